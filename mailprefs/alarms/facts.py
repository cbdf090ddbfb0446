"""What alarms are worked out from: the database's state in a few cheap questions."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import String, func, literal, select, text, type_coerce
from sqlalchemy.orm import Session

from mailprefs.campaigns import progress
from mailprefs.campaigns.progress import Missed, Stalled
from mailprefs.deliveries import pace
from mailprefs.schema.deliveries import Batch, HandOver, VendorPace
from mailprefs.schema.events import MalformedEvent, VendorEventRow
from mailprefs.schema.opens import SpoolPosition
from mailprefs.vendor.message import Verdict

WINDOW: Final = timedelta(hours=24)
"""How far back the webhook is looked at: so long the vendor repeats what wasn't taken."""
_DECIDE_AFTER: Final = timedelta(minutes=30)


class Stopped(NamedTuple):
    """All sending is stopped: since when and why."""

    since: datetime
    reason: str


class Waiting(NamedTuple):
    """People of a campaign of whom a person has to decide."""

    campaign_id: int
    people: int
    since: datetime


class Breaker(NamedTuple):
    """The breaker is open: since when, after how many unclear answers, and the next probe."""

    since: datetime
    unclear: int
    next_probe: datetime | None


class Facts(NamedTuple):
    """The sending as the database knows it, at one moment."""

    now: datetime
    stopped: Stopped | None = None
    breaker: Breaker | None = None
    stalled: tuple[Stalled, ...] = ()
    unknown: tuple[Waiting, ...] = ()
    missed: tuple[Missed, ...] = ()
    # The first request that the vendor took and after which its webhook told nothing.
    untold_since: datetime | None = None
    tracking_seen: datetime | None = None
    set_aside: int = 0
    set_aside_since: datetime | None = None


def gather(session: Session, *, now: datetime) -> Facts:
    """Read the facts, on one view of the database."""
    set_aside, set_aside_since = _set_aside(session, now)
    return Facts(
        now=now,
        stopped=_stopped(session),
        breaker=_breaker(session),
        stalled=tuple(progress.stalled(session, now=now)),
        unknown=tuple(_unknown(session, now)),
        missed=tuple(progress.missed(session)),
        untold_since=_untold_since(session, now),
        tracking_seen=_tracking_seen(session, now),
        set_aside=set_aside,
        set_aside_since=set_aside_since,
    )


def positions(session: Session) -> dict[bytes, int]:
    """Give up to where each segment of the pixel's spools is counted."""
    rows = session.execute(select(SpoolPosition.segment, SpoolPosition.position))
    return {row.segment: row.position for row in rows}


def _stopped(session: Session) -> Stopped | None:
    found = pace.show(session)
    if found.stopped_at is None:
        return None
    return Stopped(found.stopped_at, found.stopped_reason or "")


def _breaker(session: Session) -> Breaker | None:
    row = session.execute(
        select(VendorPace.opened_at, VendorPace.unclear, VendorPace.probe_at)
    ).one_or_none()
    if row is None or row.opened_at is None:
        return None
    return Breaker(row.opened_at, row.unclear, row.probe_at)


def _unknown(session: Session, now: datetime) -> Iterable[Waiting]:
    since = func.min(HandOver.claimed_at)
    rows = session.execute(
        select(Batch.campaign_id, func.sum(Batch.n - Batch.own).label("people"), since.label("at"))
        .join(HandOver, HandOver.id == Batch.hand_over_id)
        # Spelled out, as the index of these few has it.
        .where(type_coerce(Batch.state, String) == literal("unknown", literal_execute=True))
        .group_by(Batch.campaign_id)
        .having(since <= now - _DECIDE_AFTER)
        .order_by(Batch.campaign_id)
    )
    return [Waiting(row.campaign_id, row.people, row.at) for row in rows]


def _untold_since(session: Session, now: datetime) -> datetime | None:
    last_told = session.scalar(select(func.max(VendorEventRow.received_at)))
    since = max(filter(None, (last_told, now - WINDOW)))
    return session.scalar(
        select(HandOver.claimed_at)
        .where(HandOver.claimed_at > since, HandOver.outcome == Verdict.ACCEPTED.value)
        .order_by(HandOver.claimed_at)
        .limit(1)
    )


def _tracking_seen(session: Session, now: datetime) -> datetime | None:
    # Spelled out, because the index of these few holds by the words.
    tracking = text("kind IN ('opened', 'clicked')")
    return session.scalar(
        select(func.max(VendorEventRow.received_at)).where(
            VendorEventRow.received_at > now - WINDOW, tracking
        )
    )


def _set_aside(session: Session, now: datetime) -> tuple[int, datetime | None]:
    row = session.execute(
        select(func.count(), func.min(MalformedEvent.received_at)).where(
            MalformedEvent.received_at > now - WINDOW
        )
    ).one()
    return row[0], row[1]
