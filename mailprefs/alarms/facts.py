"""What alarms are worked out from: the database's state in a few cheap questions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs import events, inbound, instance, privacy
from mailprefs.campaigns import progress
from mailprefs.campaigns.progress import MOVING, Missed, Stalled
from mailprefs.deliveries import breaker, limits, pace, unknown
from mailprefs.deliveries.unknown import Waiting
from mailprefs.errors import BadFile
from mailprefs.inbound import Unforwarded
from mailprefs.policy import MessageClass
from mailprefs.rates import Limits
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import LedgerCheck
from mailprefs.schema.deliveries import HandOver
from mailprefs.schema.events import MalformedEvent, Reconciliation
from mailprefs.schema.opens import SpoolPosition
from mailprefs.settings import Settings
from mailprefs.vendor.message import Verdict

WINDOW: Final = timedelta(hours=24)
"""How far back the webhook is looked at: so long the vendor repeats what wasn't taken."""
_BY_ITSELF: Final = timedelta(hours=2)
"""So long administrative mail may take to be settled by itself, beyond the settle time."""


_ERASED_WITHIN: Final = timedelta(days=1)
_NIGHTS: Final = timedelta(days=14)
_COMPARED_WITHIN: Final = timedelta(hours=2)


class Stopped(NamedTuple):
    """All sending is stopped: since when and why."""

    since: datetime
    reason: str


class Open(NamedTuple):
    """The breaker is open: since when, and what that means."""

    since: datetime
    sentence: str


class Uncompared(NamedTuple):
    """The vendor's lists weren't compared: for how many nights, since when, and why."""

    nights: int
    since: datetime
    reason: str


class Broken(NamedTuple):
    """The consent ledger doesn't hold: since when that is known, and what is wrong."""

    since: datetime
    sentence: str


class ErasureWaits(NamedTuple):
    """Erasures that aren't whole long after they should be: how many, since when, and why."""

    n: int
    since: datetime
    reason: str


class Facts(NamedTuple):
    """The sending as the database knows it, at one moment."""

    now: datetime
    stopped: Stopped | None = None
    breaker: Open | None = None
    stalled: tuple[Stalled, ...] = ()
    unknown: tuple[Waiting, ...] = ()
    missed: tuple[Missed, ...] = ()
    # The first request that the vendor took and after which its webhook told nothing.
    untold_since: datetime | None = None
    tracking_seen: datetime | None = None
    set_aside: int = 0
    set_aside_since: datetime | None = None
    uncompared: Uncompared | None = None
    broken: Broken | None = None
    erasures: ErasureWaits | None = None
    unforwarded: Unforwarded | None = None
    copied: str | None = None


def gather(session: Session, settings: Settings, *, now: datetime) -> Facts:
    """Read the facts, on one view of the database."""
    set_aside, set_aside_since = _set_aside(session, now)
    return Facts(
        now=now,
        stopped=_stopped(session),
        breaker=_breaker(session),
        stalled=tuple(_stalled(session, settings.limits, now)),
        unknown=tuple(_unknown(session, timedelta(seconds=settings.settle_time), now)),
        missed=tuple(progress.missed(session)),
        untold_since=_untold_since(session, now),
        tracking_seen=_tracking_seen(session, now),
        set_aside=set_aside,
        set_aside_since=set_aside_since,
        uncompared=_uncompared(session, now),
        broken=_broken(session),
        erasures=_erasures(session, now),
        unforwarded=inbound.unforwarded(session),
        copied=_copied(session, settings),
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


def _breaker(session: Session) -> Open | None:
    found = breaker.show(session)
    if found.open_since is None:
        return None
    # Without the next try: it is past when the alarm is read, and the page tells the present one.
    lasts, _, _ = (found.sentence or "").rpartition("; ")
    return Open(found.open_since, f"{lasts}.")


def _stalled(session: Session, limited: Limits, now: datetime) -> Iterator[Stalled]:
    """Give what should move and doesn't, single messages included.

    Whoever waits for a limit of our own is where the operator wants them: that is no alarm.
    """
    moving = select(Campaign).where(Campaign.state.in_(MOVING)).order_by(Campaign.id)
    for campaign in session.scalars(moving).all():
        found = progress.stall(session, campaign, now=now, limited=limited, is_kept=True)
        if found is not None and limits.reached(session, limited, campaign) is None:
            yield found


def _unknown(session: Session, settle_time: timedelta, now: datetime) -> Iterator[Waiting]:
    """Give what a person has to decide about; what settles by itself has its time first."""
    for found in unknown.waiting(session):
        is_promotional = found.message_class is MessageClass.PROMOTIONAL
        patience = settle_time if is_promotional else settle_time + _BY_ITSELF
        if found.since <= now - patience:
            yield found


def _untold_since(session: Session, now: datetime) -> datetime | None:
    last_told = events.last_received(session)
    since = max(filter(None, (last_told, now - WINDOW)))
    return session.scalar(
        select(HandOver.claimed_at)
        .where(HandOver.claimed_at > since, HandOver.outcome == Verdict.ACCEPTED.value)
        .order_by(HandOver.claimed_at)
        .limit(1)
    )


def _tracking_seen(session: Session, now: datetime) -> datetime | None:
    seen = events.tracking_seen(session)
    return seen if seen is not None and seen > now - WINDOW else None


def _set_aside(session: Session, now: datetime) -> tuple[int, datetime | None]:
    row = session.execute(
        select(func.count(), func.min(MalformedEvent.received_at)).where(
            MalformedEvent.received_at > now - WINDOW
        )
    ).one()
    return row[0], row[1]


def _uncompared(session: Session, now: datetime) -> Uncompared | None:
    """Give the nights since the last good comparison that had one which failed or was cut off.

    None while nothing is compared, as without a key for the lists; and while one is running.
    """
    rows = session.execute(
        select(Reconciliation.started_at, Reconciliation.ended_at, Reconciliation.failure)
        .where(Reconciliation.started_at > now - _NIGHTS)
        .order_by(Reconciliation.night.desc())
    )
    failed: list[tuple[datetime, str]] = []
    for started_at, ended_at, failure in rows:
        if failure is not None:
            failed.append((started_at, failure))
        elif ended_at is not None:
            break
        elif started_at < now - _COMPARED_WITHIN:
            failed.append((started_at, "It was cut off."))
    return Uncompared(len(failed), failed[-1][0], failed[0][1]) if failed else None


def _broken(session: Session) -> Broken | None:
    found = session.get(LedgerCheck, 1)
    if found is None or found.sentence is None or found.broken_since is None:
        return None
    return Broken(found.broken_since, found.sentence)


def _erasures(session: Session, now: datetime) -> ErasureWaits | None:
    late = [one for one in privacy.waiting(session) if one.erased_at < now - _ERASED_WITHIN]
    if not late:
        return None
    first = late[0]
    why = first.failure or "The deleted rows couldn't be cleaned out of the database's files."
    return ErasureWaits(len(late), first.erased_at, why)


def _copied(session: Session, settings: Settings) -> str | None:
    """Give why nothing may be sent from this machine; None if this is the live installation."""
    try:
        return instance.examine(session, instance.place(settings))
    except BadFile as error:
        return str(error)
