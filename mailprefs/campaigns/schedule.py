"""When a campaign begins: a local time and its zone become one instant, and stay what was meant.

A schedule is stored as it was said (local time, IANA zone, and which of two where the zone has it
twice) and as the instant that this means. When rules of zones change before it is due, the instant
follows the local time (``renew``). One that nothing was running for is not sent late by itself:
beyond a grace time it waits for a person (``hold_missed``).
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs import audit, times
from mailprefs.audit import SYSTEM
from mailprefs.errors import BadInput
from mailprefs.schema.campaigns import Campaign, CampaignState

_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_UNREADABLE: Final = "Write the time as 2027-03-28T09:00 and the zone as Europe/Berlin."
_WITH_OFFSET: Final = "Write the local time without an offset; the zone says which instant it is."
_GAP: Final = (
    "{at} doesn't exist in {zone} on {day}: clocks are put forward over it. Choose {before} or "
    "{after} instead."
)
_TWICE: Final = (
    "{at} happens twice in {zone} on {day}, as clocks are put back: first at {first}, then at "
    "{second}. Say which: the first or the second occurrence (--occurrence first or --occurrence "
    "second at the console)."
)
_MISSED: Final = (
    "It was to begin at {due}, when nothing was running that sends; it was found at {found}. "
    "Go on to send it now, take it back to the draft, or stop it for good."
)


class Occurrence(StrEnum):
    """Which of two instants is meant, where a zone has one local time twice."""

    FIRST = "first"
    SECOND = "second"


class Said(NamedTuple):
    """A schedule as it was said in its zone: the local time, and 1 for its second occurrence."""

    wall: str
    fold: int


def instant(local: str, zone: str, occurrence: Occurrence | None = None) -> datetime:
    """Give the instant of a local time such as ``2027-03-28T09:00`` in an IANA zone.

    *occurrence* says which one is meant of a local time that the zone has twice.

    :raises BadInput: for a text that isn't such a time, an unknown zone, a time that the zone
        skips, and one that it has twice unless *occurrence* says which; with the choices.
    """
    try:
        wall = datetime.fromisoformat(local if _LOCAL.match(local) else "")
        there = ZoneInfo(zone)
        first, second = (wall.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError) as error:
        raise BadInput(_UNREADABLE) from error
    if wall.tzinfo is not None:
        raise BadInput(_WITH_OFFSET)
    told = {"at": f"{wall:%H:%M}", "zone": zone, "day": f"{wall.day} {wall:%b %Y}"}
    if first.astimezone(there).replace(tzinfo=None) != wall:
        near = sorted(f"{one.astimezone(there):%H:%M}" for one in (first, second))
        raise BadInput(_GAP.format(**told, before=near[0], after=near[1]))
    if first != second and occurrence is None:
        both = (times.written(one) for one in (first, second))
        raise BadInput(_TWICE.format(**told, **dict(zip(Occurrence, both, strict=True))))
    return second if occurrence is Occurrence.SECOND else first


def due_after(now: datetime, delay: float) -> datetime:
    """Give the instant at which a send pressed *now* begins, after *delay* seconds to undo it."""
    return now + timedelta(seconds=delay)


def said(due_at: datetime, zone: str) -> Said:
    """Give how an instant is said in a zone."""
    local = due_at.astimezone(ZoneInfo(zone))
    return Said(f"{local:%Y-%m-%dT%H:%M}", local.fold)


def renew(session: Session, *, now: datetime) -> list[int]:
    """Let schedules follow their local times, where rules of zones have changed; give which did.

    For the start of a service: rules come with a new release of the operating system's zones. What
    is due already stays as it is.
    """
    waiting = session.execute(
        select(Campaign.id, Campaign.due_at, Campaign.zone, Campaign.due_wall, Campaign.due_fold)
        .where(Campaign.state == CampaignState.SCHEDULED, Campaign.due_at > now)
        .where(Campaign.due_wall.is_not(None))
        .order_by(Campaign.id)
    )
    changed = []
    for campaign_id, due_at, zone, wall, fold in waiting.all():
        local = datetime.fromisoformat(wall or "").replace(
            tzinfo=ZoneInfo(zone or "UTC"), fold=fold or 0
        )
        meant = local.astimezone(UTC)
        # Seconds are no part of what was said.
        if due_at is None or abs(meant - due_at) < timedelta(minutes=1):
            continue
        moved = session.execute(
            update(Campaign)
            .where(Campaign.id == campaign_id, Campaign.state == CampaignState.SCHEDULED)
            .where(Campaign.due_at == due_at)
            .values(due_at=meant)
            .returning(Campaign.id)
        )
        if moved.one_or_none() is not None:
            changed.append(campaign_id)
            details = {"was": due_at.isoformat(), "is": meant.isoformat(), "zone": zone}
            subject = ("campaign", campaign_id)
            audit.record(session, SYSTEM, "campaign.rescheduled", subject, now=now, details=details)
    return changed


def hold_missed(session: Session, *, now: datetime, grace: float) -> list[int]:
    """Let a person decide about campaigns that are found *grace* seconds too late; give which.

    A morning's offer in the evening, or a newsletter that a service finds after its holidays,
    helps nobody: it goes when somebody says so.
    """
    late = Campaign.due_at < now - timedelta(seconds=grace)
    waiting = session.execute(
        select(Campaign.id, Campaign.due_at, Campaign.zone)
        .where(Campaign.state == CampaignState.SCHEDULED, late)
        .order_by(Campaign.id)
    )
    held = []
    for campaign_id, due_at, zone in waiting.all():
        due = times.written(due_at or now, zone or "UTC")
        reason = _MISSED.format(due=due, found=times.written(now))
        moved = session.execute(
            update(Campaign)
            .where(Campaign.id == campaign_id, Campaign.state == CampaignState.SCHEDULED, late)
            .values(
                state=CampaignState.PAUSED,
                paused_from=CampaignState.SCHEDULED,
                paused_reason=reason,
            )
            .returning(Campaign.id)
        )
        if moved.one_or_none() is not None:
            held.append(campaign_id)
            subject = ("campaign", campaign_id)
            audit.record(session, SYSTEM, "campaign.missed", subject, now=now, reason=reason)
    return held
