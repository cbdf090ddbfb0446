"""Opens, and what is known of deliveries: reduced, later gone. Sums are never touched."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.jobs.retention import stepping
from mailprefs.jobs.retention.stepping import NOTHING, Found, Way, found_of
from mailprefs.opens import ageing, turn
from mailprefs.opens.ageing import Window
from mailprefs.privacy.holds import Held
from mailprefs.schema.opens import Open, UndecidedOpen


def undecided() -> Way:
    """Delete fetches of which nobody told when their message was delivered."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a delivery
        ids = session.scalars(
            select(UndecidedOpen.delivery_id)
            .where(UndecidedOpen.at < before, UndecidedOpen.delivery_id > (last or 0))
            .distinct()
            .order_by(UndecidedOpen.delivery_id)
            .limit(stepping.AT_ONCE)
        ).all()
        return found_of(ids, ids[-1] if ids else None)

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        turn.take(session)
        listed = dialects.among(session, UndecidedOpen.delivery_id, ids)
        is_free = held.spares(session, UndecidedOpen)
        old = delete(UndecidedOpen).where(listed, UndecidedOpen.at < before, is_free)
        return dialects.changed(session, old)

    return Way(find, change)


def details() -> Way:
    """Reduce opens to delivery, kind and local day."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a delivery
        listed = ageing.with_details(session, before)
        return _found(ageing.next_window(session, listed, ageing.REDUCED, last or 0))

    def change(session: Session, before: datetime, windows: Sequence[Any], held: Held) -> int:
        is_free = held.spares(session, Open)
        return sum(ageing.reduce(session, window, before, is_free) for window in windows)

    def mark(session: Session, before: datetime, held: Held) -> None:
        for campaign_id in set(ageing.with_details(session, before)) - held.campaigns:
            ageing.mark_reduced(session, campaign_id, before)

    return Way(find, change, mark)


def whole() -> Way:
    """Delete opens, what is measured, and what became of deliveries in mailboxes."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a delivery
        listed = ageing.with_evidence(session, before)
        return _found(ageing.next_window(session, listed, ageing.DELETED, last or 0))

    def change(session: Session, before: datetime, windows: Sequence[Any], held: Held) -> int:
        del before  # a campaign's evidence is as old as the campaign
        is_free = partial(held.spares, session)
        return sum(ageing.remove(session, window, is_free) for window in windows)

    def mark(session: Session, before: datetime, held: Held) -> None:
        for campaign_id in set(ageing.with_evidence(session, before)) - held.campaigns:
            ageing.mark_deleted(session, campaign_id)

    return Way(find, change, mark)


def _found(window: Window | None) -> Found:
    return NOTHING if window is None else Found([window], window.last)
