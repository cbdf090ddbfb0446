"""What should move and doesn't: stalled campaigns with their cause, and schedules that were missed.

*Stalled* is no state of a campaign but a finding: something is due, and nothing has happened for
``STALLED_AFTER``. The cause is a sentence for staff that says what it waits for, and until when if
anybody knows. A campaign that waits behind one that moves is not stalled.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.deliveries import breaker, limits, pace, presence
from mailprefs.rates import NONE, Limits
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.schema.staff import AuditEntry

STALLED_AFTER: Final = timedelta(minutes=2)
"""Without a hand-over for so long, a campaign that should move is shown as stalled."""
LATE_AFTER: Final = timedelta(seconds=10)
"""So long after its time a campaign that hasn't begun is late: workers look each second."""
MOVING: Final = (CampaignState.SCHEDULED, CampaignState.FREEZING, CampaignState.SENDING)
_WAITING: Final = (BatchState.PENDING, BatchState.SENDING)
# By these somebody has let a campaign, or all of them, go on: it counts from here.
_SET_GOING: Final = ("campaign.resumed", "campaign.unknown_resent", "campaign.sent_again")
_STARTED: Final = "sending.started"
_REFUSED_FOR_NOW: Final = "The vendor takes nothing at the moment; {}."
_ANY_MOMENT: Final = "Workers are running; if it doesn't begin in a moment, their log says why."
_NOBODY: Final = "No worker is running; start one with `mailprefs run`."
_NOT_SEEN: Final = (
    "No worker has been seen since {}: none is running, or none reaches the database. Start one "
    "with `mailprefs run`."
)
_IN_VAIN: Final = "Workers are running, but nothing has gone out since {}; their log says why."


class Stalled(NamedTuple):
    """A campaign that should move and doesn't: since when, and why, as a sentence for staff."""

    campaign_id: int
    since: datetime
    cause: str


class Halt(NamedTuple):
    """All sending stands still: stopped by mailprefs, or because the vendor takes nothing.

    *stopped_at* and *reason* are those of a stop; *wait_until* is when it is tried again.
    """

    stopped_at: datetime | None
    reason: str
    wait_until: datetime | None

    @property
    def sentence(self) -> str:
        """Say that nothing goes, since or until when, and what to do."""
        if self.stopped_at is not None:
            return (
                f"All sending is stopped since {times.written(self.stopped_at)}: {self.reason} "
                "Once that is mended: `mailprefs sending start`."
            )
        return _waits(self.wait_until)


class Missed(NamedTuple):
    """A campaign that was found too late after its time, and waits for a person."""

    campaign_id: int
    due_at: datetime


def stalled(session: Session, *, now: datetime, limited: Limits = NONE) -> list[Stalled]:
    """List the campaigns that should move and don't; *limited* are the limits in force."""
    moving = select(Campaign).where(Campaign.state.in_(MOVING), Campaign.standing.is_(False))
    found = (
        stall(session, campaign, now=now, limited=limited)
        for campaign in session.scalars(moving.order_by(Campaign.id)).all()
    )
    return [one for one in found if one is not None]


def stall(
    session: Session,
    campaign: Campaign,
    *,
    now: datetime,
    limited: Limits = NONE,
    is_kept: bool = False,
) -> Stalled | None:
    """Tell since when a campaign that should move doesn't, and why; None if it does or needn't.

    *is_kept*: the cause is read later, so it names no next try, which would be past by then.
    """
    since = _last_move(session, campaign)
    if since is None or now - since < STALLED_AFTER:
        return None
    found = halt(session, now=now)
    if is_kept and found and found.stopped_at is None:
        return Stalled(campaign.id, since, _REFUSED_FOR_NOW.format("it is tried again by itself"))
    cause = _held_up(session, campaign, now, limited) or _unattended(session, since, now)
    return Stalled(campaign.id, since, cause) if cause else None


def late(session: Session, campaign: Campaign, *, now: datetime) -> str | None:
    """Say why a scheduled campaign hasn't begun though its time is over; None if it isn't late."""
    due_at = campaign.due_at if campaign.state is CampaignState.SCHEDULED else None
    if due_at is None or now - due_at < LATE_AFTER:
        return None
    return _nobody(session) or _ANY_MOMENT


def halt(session: Session, *, now: datetime) -> Halt | None:
    """Tell whether all sending stands still at this moment: told at once, not when it is long."""
    paced = pace.show(session)
    if paced.stopped_at is not None:
        return Halt(paced.stopped_at, paced.stopped_reason or "", None)
    if paced.wait_until is not None and paced.wait_until > now:
        return Halt(None, "", paced.wait_until)
    return None


def missed(session: Session) -> list[Missed]:
    """List the campaigns whose time was missed and that wait for a person."""
    rows = session.execute(
        select(Campaign.id, Campaign.due_at)
        .where(Campaign.state == CampaignState.PAUSED, Campaign.due_at.is_not(None))
        .where(Campaign.paused_from == CampaignState.SCHEDULED)
        .where(Campaign.paused_reason.is_not(None))
        .order_by(Campaign.id)
    )
    return [Missed(campaign_id, due_at) for campaign_id, due_at in rows if due_at is not None]


def _held_up(session: Session, campaign: Campaign, now: datetime, limited: Limits) -> str | None:
    """Say what holds all sending up, or this campaign by its limits; None if nothing does."""
    paced = pace.show(session)
    if paced.stopped_at is not None:
        return f"All sending is stopped: {paced.stopped_reason}"
    if broken := breaker.show(session).sentence:
        return broken
    if paced.wait_until is not None and paced.wait_until > now:
        return _waits(paced.wait_until)
    use = limits.reached(session, limited, campaign)
    return use.sentence if use else None


def _unattended(session: Session, since: datetime, now: datetime) -> str | None:
    """Say that nobody is at work, or that all work is in vain; None if something else moves."""
    newest = select(HandOver.claimed_at).order_by(HandOver.id.desc()).limit(1)
    last = session.scalar(newest)
    if last is not None and now - last < STALLED_AFTER:
        return None
    return _nobody(session) or _IN_VAIN.format(times.written(since, seconds=True))


def _nobody(session: Session) -> str | None:
    """Say that no process that sends is running; None if one is."""
    found = presence.show(session)
    if found.alive:
        return None
    if found.last is None:
        return _NOBODY
    return _NOT_SEEN.format(times.written(found.last, seconds=True))


def _waits(until: datetime | None) -> str:
    """Say that the vendor takes nothing: it asked us to wait, or answered that it is too much.

    Also where it can't be reached; so nothing is said of who wants us to wait.
    """
    then = f"the next try is at {times.written(until, seconds=True)}" if until else "it goes on"
    return _REFUSED_FOR_NOW.format(f"{then}, by itself")


def _last_move(session: Session, campaign: Campaign) -> datetime | None:
    """Give when the campaign last moved, or should have begun to; None if nothing is due."""
    if campaign.state is CampaignState.SCHEDULED:
        return campaign.due_at
    begun = max(filter(None, (campaign.started_at, _set_going(session, campaign.id))), default=None)
    if campaign.state is CampaignState.FREEZING:
        return begun
    if campaign.state is not CampaignState.SENDING:
        return None
    waiting = exists().where(Batch.campaign_id == campaign.id, Batch.state.in_(_WAITING))
    if not session.scalar(select(waiting)):
        return None
    last = session.scalar(
        select(HandOver.claimed_at)
        .where(HandOver.campaign_id == campaign.id)
        .order_by(HandOver.id.desc())
        .limit(1)
    )
    return max(filter(None, (last, begun, campaign.created_at)))


def _set_going(session: Session, campaign_id: int) -> datetime | None:
    """Give when somebody last let this campaign go on, or all sending; None if nobody had to."""
    kind, key, action = AuditEntry.subject_kind, AuditEntry.subject_id, AuditEntry.action
    this = and_(kind == "campaign", key == str(campaign_id), action.in_(_SET_GOING))
    everything = and_(kind == "vendor", key == "pace", action == _STARTED)
    return session.scalar(select(func.max(AuditEntry.at)).where(or_(this, everything)))
