"""How campaigns stand, the same for page, command line and API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.campaigns import progress, states, undecided
from mailprefs.campaigns.progress import Halt, Stalled
from mailprefs.campaigns.undecided import Undecided
from mailprefs.deliveries import breaker, unknown
from mailprefs.deliveries.counts import Counts, counts
from mailprefs.deliveries.unknown import Copies
from mailprefs.policy import MessageClass
from mailprefs.rates import NONE, Limits
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.people import Topic
from mailprefs.settings import Settings

STALLED: Final = "stalled"
MISSED, OVERDUE, STOPPED, WAITING = "missed", "overdue", "sending stopped", "waiting"
REASONS: Final[Mapping[str, str]] = {
    "not_subscribed": "Not subscribed to this topic",
    "unsubscribed": "Unsubscribed",
    "suppressed": "Address is suppressed (bounced or complained)",
    "unconfirmed": "Address was never confirmed",
    "erased": "Erased",
    "cancelled": "Campaign was cancelled",
    "empty_field": "A merge field without fallback is empty",
    "pausing": "Paused all promotional mail for a while",
    "too_frequent": "Wants one a week at most, and got another campaign",
    "not_on_allow_list": "Not on the allow list of this environment",
    "told": "An earlier notice of the same has told them",
    "refused_address": "The vendor doesn’t take the address",
    "refused_message": "The vendor refused the message",
    "broken_message": "The message couldn’t be made ready; the log says where",
}
"""Why somebody was kept out, skipped or failed, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One campaign: what it is, where it stands, and where everybody in it is."""

    id: int
    name: str
    topic: str
    state: CampaignState
    message_class: MessageClass
    created_at: datetime
    due_at: datetime | None
    zone: str | None
    started_at: datetime | None
    finished_at: datetime | None
    approved: bool
    paused_reason: str | None
    counts: Counts
    mailbox: dict[str, int]
    copies: Copies
    breaker: str | None
    stall: Stalled | None
    halt: Halt | None
    begins_in: timedelta | None
    is_missed: bool = False
    late: str | None = None
    undecided: Undecided | None = None

    @property
    def label(self) -> str:
        """Give the state as people read it; a campaign that should move and doesn't is stalled."""
        return STALLED if self.stall else self.state.value

    @property
    def word(self) -> str:
        """Give in a word how it stands at this moment, for people; ``label`` is for programs."""
        if self.is_missed:
            return MISSED
        if self.late:
            return OVERDUE
        if self.halt and self.halt.stopped_at:
            return STOPPED
        return WAITING if self.halt and not self.stall else self.label

    @property
    def stalled(self) -> str | None:
        """Give why the campaign doesn't move, if it should."""
        return self.stall.cause if self.stall else None

    @property
    def stands_still(self) -> str | None:
        """Say what keeps it from moving at this moment: a stop, a wait, a stall, the breaker."""
        return (self.halt and self.halt.sentence) or self.stalled or self.breaker

    @property
    def uncertain(self) -> str | None:
        """Say of how many people nobody knows whether they were sent it, and what follows."""
        n = self.counts.unknown
        if not n:
            return None
        told = (
            f"Whether {undecided.in_people(n)} got this is unknown: the vendor may have taken the "
            "message or not."
        )
        if self.state is CampaignState.CANCELLED:
            return (
                f"{told} Its events settle it as soon as they come. Nothing of a stopped campaign "
                "is sent again."
            )
        seen = self.undecided
        is_early = seen is None or seen.is_early
        by = f"by {times.written(seen.settles_at)}" if seen and seen.settles_at else "in time"
        if self.message_class is MessageClass.ADMINISTRATIVE:
            return (
                f"{told} If the vendor's events haven't settled it {by}, it goes once more by "
                "itself, when events of later calls have come; what is unknown again then waits "
                "for a person."
            )
        if is_early:
            return (
                f"{told} If the vendor's events haven't settled it {by}, you decide. Until then "
                "nothing needs doing; nothing is sent again by itself."
            )
        return f"{told} Events haven't settled it {by}: you decide. Nothing is sent by itself."

    @property
    def begins(self) -> str | None:
        """Say when a scheduled campaign begins, in the zone that was chosen and in UTC."""
        if self.state is not CampaignState.SCHEDULED or self.due_at is None:
            return None
        at = times.written(self.due_at)
        if self.zone is None or self.zone == "UTC":
            return at
        return f"{times.written(self.due_at, self.zone)} ({self.zone}), which is {at}"

    @property
    def soon(self) -> str:
        """Say how soon a scheduled campaign begins, to follow when: ``, in 45 s``; else ""."""
        if self.begins is None or self.begins_in is None:
            return ""
        left = self.begins_in.total_seconds()
        if self.late:
            return f", overdue by {times.lasting(-left)}"
        return f", in {times.lasting(left)}" if left >= 0.5 else ", now"

    @property
    def done(self) -> int:
        """Give how many people have reached an end: sent, skipped or failed."""
        skipped, failed = self.counts.skipped, self.counts.failed
        return self.counts.sent + sum(skipped.values()) + sum(failed.values())

    def lines(self) -> Iterator[tuple[str, int]]:
        """Give the sum equation, line by line."""
        yield "chosen", self.counts.chosen
        for reason, n in self.counts.kept_out.items():
            yield f"  kept out: {in_words(reason)}", n
        yield "frozen", self.counts.frozen
        yield "  sent", self.counts.sent
        for reason, n in self.counts.skipped.items():
            yield f"  skipped: {in_words(reason)}", n
        for reason, n in self.counts.failed.items():
            yield f"  failed: {in_words(reason)}", n
        yield "  unknown", self.counts.unknown
        yield "  pending", self.counts.pending
        if self.copies.possible:
            yield "possible second copies", self.copies.possible
        if self.copies.certain:
            yield "certain second copies", self.copies.certain
        for event, n in self.mailbox.items():
            yield f"mailbox: {event}", n

    def as_json(self) -> dict[str, Any]:
        """Give the overview as JSON: the object that ``campaign show --json`` prints."""
        return {
            "id": self.id,
            "name": self.name,
            "topic": self.topic,
            "state": self.label,
            "message_class": self.message_class.value,
            "due_at": self.due_at.isoformat() if self.due_at else None,
            "zone": self.zone,
            "approved": self.approved,
            "stalled": self.stalled,
            "stalled_since": self.stall.since.isoformat() if self.stall else None,
            "paused_reason": self.paused_reason,
            "breaker": self.breaker,
            "stopped": self.halt.reason if self.halt and self.halt.stopped_at else None,
            "stopped_since": _iso(self.halt.stopped_at) if self.halt else None,
            "waits_until": _iso(self.halt.wait_until) if self.halt else None,
            "chosen": self.counts.chosen,
            "kept_out": self.counts.kept_out,
            "frozen": self.counts.frozen,
            "sent": self.counts.sent,
            "skipped": self.counts.skipped,
            "failed": self.counts.failed,
            "unknown": self.counts.unknown,
            "settles_at": _iso(self.undecided.settles_at) if self.undecided else None,
            "pending": self.counts.pending,
            "second_copies": {"possible": self.copies.possible, "certain": self.copies.certain},
            "mailbox": self.mailbox,
        }


def in_words(reason: str) -> str:
    """Say why somebody was kept out, skipped or failed, for the middle of a line."""
    words = REASONS.get(reason, reason.replace("_", " "))
    return words[:1].lower() + words[1:]


def overview(
    session: Session,
    campaign_id: int,
    *,
    now: datetime,
    limited: Limits = NONE,
    settle_time: float | None = None,
) -> Overview:
    """Show one campaign; *limited* are the limits in force.

    With *settle_time*, in seconds, it says until when events may settle what is unknown.

    :raises NotFound: for an unknown campaign.
    """
    campaign = states.find(session, campaign_id)
    topic = session.get_one(Topic, campaign.topic_id).slug
    one = _overview(session, campaign, topic, now, limited)
    if settle_time is None or not one.counts.unknown:
        return one
    seen = undecided.look(session, campaign_id, settle_time=settle_time, now=now)
    return replace(one, undecided=seen)


def overview_under(
    session: Session, campaign_id: int, settings: Settings, *, now: datetime
) -> Overview:
    """Show one campaign as it stands under an installation's settings.

    :raises NotFound: for an unknown campaign.
    """
    return overview(
        session, campaign_id, now=now, limited=settings.limits, settle_time=settings.settle_time
    )


def listed(
    session: Session, *, now: datetime, limit: int = 100, limited: Limits = NONE
) -> list[Overview]:
    """Show the newest campaigns, newest first; single messages' standing campaigns are left out."""
    rows = session.execute(
        select(Campaign, Topic.slug)
        .join(Topic, Topic.id == Campaign.topic_id)
        .where(Campaign.standing.is_(False))
        .order_by(Campaign.id.desc())
        .limit(limit)
    )
    return [_overview(session, campaign, slug, now, limited) for campaign, slug in rows]


def _overview(
    session: Session, campaign: Campaign, topic: str, now: datetime, limited: Limits
) -> Overview:
    rows = session.execute(
        select(MailboxTotal.event, MailboxTotal.n)
        .where(MailboxTotal.campaign_id == campaign.id)
        .order_by(MailboxTotal.event)
    )
    mailbox: dict[str, int] = dict(rows.all())
    return Overview(
        id=campaign.id,
        name=campaign.name,
        topic=topic,
        state=campaign.state,
        message_class=campaign.message_class,
        created_at=campaign.created_at,
        due_at=campaign.due_at,
        zone=campaign.zone,
        started_at=campaign.started_at,
        finished_at=campaign.finished_at,
        approved=campaign.approved_at is not None,
        paused_reason=campaign.paused_reason,
        counts=counts(session, campaign.id),
        mailbox=mailbox,
        copies=unknown.copies(session, campaign.id),
        breaker=breaker.show(session).sentence if campaign.state in states.RUNNING else None,
        begins_in=campaign.due_at - now if campaign.due_at else None,
        stall=progress.stall(session, campaign, now=now, limited=limited),
        halt=progress.halt(session, now=now) if campaign.state in states.RUNNING else None,
        is_missed=states.is_missed(campaign),
        late=progress.late(session, campaign, now=now),
    )


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
