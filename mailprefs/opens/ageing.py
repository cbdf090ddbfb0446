"""Old evidence: reduced to delivery, kind and day, later gone. Sums stay as they are.

By windows of a campaign's deliveries, each in a transaction of the caller's: so nobody waits for
long, and whatever broke off is found again. Once nothing more can come, a campaign is marked, and
never read again.
"""

from collections.abc import Callable, Sequence
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
from mailprefs.schema.events import MailboxFact
from mailprefs.schema.opens import Measured, Open, OpenRetention

WINDOW: Final = 500
"""Deliveries looked at in one transaction."""
_REDUCED: Final = 0
"""The ruleset of a row of which only delivery, kind and day are left."""
_ORDINALS: Final = 1 << 32
Evidence = Open | Measured | MailboxFact


REDUCED: Final = (Open,)
"""What is reduced."""
DELETED: Final = (Open, Measured, MailboxFact)
"""What is deleted once a campaign is old."""


class Window(NamedTuple):
    """The deliveries of one campaign from the first to the last."""

    first: int
    last: int

    @property
    def campaign_id(self) -> int:
        """Give whose deliveries they are."""
        return self.first // _ORDINALS


def with_details(session: Session, before: datetime) -> list[int]:
    """List the campaigns that may have opens from *before* then which aren't reduced."""
    return _undone(session, before, OpenRetention.reduced_at.is_(None))


def with_evidence(session: Session, before: datetime) -> list[int]:
    """List the campaigns that began *before* then and whose evidence isn't deleted.

    Not those of single messages, which go on for ever.
    """
    is_undone = OpenRetention.deleted_at.is_(None) & Campaign.standing.is_(False)
    return _undone(session, before, is_undone)


def next_window(
    session: Session, campaigns: Sequence[int], tables: Sequence[type[Evidence]], after: int
) -> Window | None:
    """Give the next deliveries of some campaigns (in order) of which there is a row in *tables*."""
    for campaign_id in campaigns:
        if after < (campaign_id + 1) * _ORDINALS - 1:
            found = [_window(session, table, campaign_id, after) for table in tables]
            if windows := [one for one in found if one is not None]:
                return min(windows)
    return None


def reduce(session: Session, window: Window, before: datetime, is_free: ColumnElement[bool]) -> int:
    """Reduce a window's opens from *before* then to delivery, kind and local day.

    Only those that are *free*: no legal hold keeps them. The policy version stays: it says under
    which policy they were collected.
    """
    turn.take(session)
    its = Campaign.id == window.campaign_id
    zone = session.scalars(select(Campaign.report_zone).where(its)).one()
    period = Period.of(zone, None)
    rows = session.connection().execute(
        select(Open.__table__).where(
            Open.delivery_id.between(*window),
            Open.ruleset != _REDUCED,
            Open.first_seen_at < before,
            is_free,
        )
    )
    reduced = [_reduced(Row(*row), period) for row in rows]
    replace_opens(session, reduced)
    return len(reduced)


def remove(
    session: Session, window: Window, is_free: Callable[[type[Evidence]], ColumnElement[bool]]
) -> int:
    """Delete a window's opens, what is measured of it, and what became of it in mailboxes.

    Only what is *free*, asked for each table: no legal hold keeps it.
    """
    turn.take(session)
    gone = (delete(one).where(one.delivery_id.between(*window), is_free(one)) for one in DELETED)
    return sum(dialects.changed(session, one) for one in gone)


def mark_reduced(session: Session, campaign_id: int, before: datetime) -> None:
    """Note that nothing detailed is left, unless opens may still come that are younger."""
    campaign = session.get_one(Campaign, campaign_id)
    begun = campaign.first_hand_over_at
    if campaign.closed_at is not None and begun is not None and begun + RECORDED_FOR <= before:
        _mark(session, campaign_id, "reduced_at")


def mark_deleted(session: Session, campaign_id: int) -> None:
    """Note that nothing is left of a campaign that began so long ago that nothing more comes."""
    _mark(session, campaign_id, "deleted_at")


def _mark(session: Session, campaign_id: int, word: str) -> None:
    now = dialects.database_time(session)
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


def _window(session: Session, table: type[Evidence], campaign_id: int, after: int) -> Window | None:
    """Give the first and last delivery of the next window in which there is a row."""
    begin, end = campaign_id * _ORDINALS, (campaign_id + 1) * _ORDINALS
    first = session.scalar(
        select(table.delivery_id)
        .where(table.delivery_id > max(after, begin), table.delivery_id < end)
        .order_by(table.delivery_id)
        .limit(1)
    )
    return None if first is None else Window(first, min(first + WINDOW, end) - 1)


def _reduced(row: Row, period: Period) -> Row:
    """Give what is left of an open: its delivery, kind, policy, and when its local day began."""
    day = period.day_began(row.first_seen_at)
    return Row(row.delivery_id, row.kind, 0, _REDUCED, row.policy_version_id, day, None, 0)
