"""Old evidence: reduced to delivery, kind and day, later gone. Sums stay as they are.

By windows of a campaign's deliveries, each in a transaction of the caller's: so nobody waits for
long, and whatever broke off is found again. Once nothing more can come, a campaign is marked, and
never read again.
"""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.opens import turn
from mailprefs.opens.judging import Row
from mailprefs.opens.periods import RECORDED_FOR, Period
from mailprefs.opens.writing import replace_opens
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.opens import Measured, Open, OpenRetention, UndecidedOpen

WINDOW: Final = 2_000
"""Deliveries looked at in one transaction."""
_REDUCED: Final = 0
"""The ruleset of a row of which only delivery, kind and day are left."""
_ORDINALS: Final = 1 << 32


class Step(NamedTuple):
    """What one window came to: rows that changed, and the delivery to go on after; None: done."""

    rows: int
    last: int | None


def with_details(session: Session, before: datetime) -> list[int]:
    """List the campaigns that may have opens from *before* then which aren't reduced."""
    return _undone(session, before, OpenRetention.reduced_at.is_(None))


def with_evidence(session: Session, before: datetime) -> list[int]:
    """List the campaigns that began *before* then and whose evidence isn't deleted."""
    return _undone(session, before, OpenRetention.deleted_at.is_(None))


def reduce(session: Session, campaign_id: int, before: datetime, *, after: int) -> Step:
    """Reduce a window of a campaign's opens from *before* then to delivery, kind and local day.

    The policy version stays: it says under which policy they were collected.
    """
    turn.take(session)
    window = _window(session, Open, campaign_id, after)
    if window is None:
        return Step(0, None)
    zone = session.scalars(select(Campaign.report_zone).where(Campaign.id == campaign_id)).one()
    period = Period.of(zone, None)
    rows = session.connection().execute(
        select(Open.__table__).where(
            Open.delivery_id.between(*window),
            Open.ruleset != _REDUCED,
            Open.first_seen_at < before,
        )
    )
    reduced = [_reduced(Row(*row), period) for row in rows]
    replace_opens(session, reduced)
    return Step(len(reduced), window[1])


def remove(session: Session, campaign_id: int, *, after: int) -> Step:
    """Delete a window of a campaign's opens, and of what is measured of its deliveries."""
    turn.take(session)
    found = [
        window
        for table in (Open, Measured)
        if (window := _window(session, table, campaign_id, after)) is not None
    ]
    if not found:
        return Step(0, None)
    window = min(found)
    gone = sum(
        dialects.changed(session, delete(table).where(table.delivery_id.between(*window)))
        for table in (Open, Measured)
    )
    return Step(gone, window[1])


def forget_undecided(session: Session, before: datetime) -> int:
    """Delete fetches from *before* then of which nobody told when their message was delivered."""
    turn.take(session)
    old = (
        select(UndecidedOpen.delivery_id).where(UndecidedOpen.at < before).distinct().limit(WINDOW)
    )
    ids = session.scalars(old).all()
    listed = dialects.among(session, UndecidedOpen.delivery_id, ids)
    return dialects.changed(session, delete(UndecidedOpen).where(listed, UndecidedOpen.at < before))


def mark_reduced(session: Session, campaign_id: int, before: datetime, *, now: datetime) -> None:
    """Note that nothing detailed is left, unless opens may still come that are younger."""
    campaign = session.get_one(Campaign, campaign_id)
    begun = campaign.first_hand_over_at
    if campaign.closed_at is not None and begun is not None and begun + RECORDED_FOR <= before:
        _mark(session, campaign_id, "reduced_at", now)


def mark_deleted(session: Session, campaign_id: int, *, now: datetime) -> None:
    """Note that nothing is left of a campaign that began so long ago that nothing more comes."""
    _mark(session, campaign_id, "deleted_at", now)


def _mark(session: Session, campaign_id: int, word: str, now: datetime) -> None:
    mark = dialects.insert(session, OpenRetention).values({"campaign_id": campaign_id, word: now})
    session.execute(mark.on_conflict_do_update(index_elements=["campaign_id"], set_={word: now}))


def _undone(session: Session, before: datetime, is_undone: ColumnElement[bool]) -> list[int]:
    listed = (
        select(Campaign.id)
        .outerjoin(OpenRetention, OpenRetention.campaign_id == Campaign.id)
        .where(Campaign.first_hand_over_at < before, is_undone)
        .order_by(Campaign.id)
    )
    return list(session.scalars(listed))


def _window(
    session: Session, table: type[Open | Measured], campaign_id: int, after: int
) -> tuple[int, int] | None:
    """Give the first and last delivery of the next window in which there is a row."""
    begin, end = campaign_id * _ORDINALS, (campaign_id + 1) * _ORDINALS
    first = session.scalar(
        select(table.delivery_id)
        .where(table.delivery_id > max(after, begin), table.delivery_id < end)
        .order_by(table.delivery_id)
        .limit(1)
    )
    return None if first is None else (first, min(first + WINDOW, end) - 1)


def _reduced(row: Row, period: Period) -> Row:
    """Give what is left of an open: its delivery, kind, policy, and when its local day began."""
    day = period.day_began(row.first_seen_at)
    return Row(row.delivery_id, row.kind, 0, _REDUCED, row.policy_version_id, day, None, 0)
