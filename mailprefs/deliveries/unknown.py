"""What may have been accepted and may not: shown, decided by a person, or sent once more by itself.

Nobody gets a second copy without a decision that is on record. Promotional batches wait for a
person, who has them sent again or takes them as sent. Administrative ones go once more by
themselves after the settle time, because a notice twice is better than none. In both cases
``hand_overs.decision`` says what was decided, and the next call's ``after_id`` names the one that
may have reached the same people: ``copies`` counts these.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Table, case, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from mailprefs import audit, staff
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.deliveries import proof, settle
from mailprefs.errors import Conflict, NotFound
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, Decision, HandOver
from mailprefs.vendor.message import Verdict

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_IS_UNKNOWN: Final = _BATCHES.c.state == BatchState.UNKNOWN
_OPEN: Final = _BATCHES.c.n - _BATCHES.c.own
_NO_SUCH: Final = "There is no campaign {}. `mailprefs campaign list` shows those there are."


class Waiting(NamedTuple):
    """A campaign with people of whom nobody knows whether they were sent it.

    *since* is the oldest of these calls' end; *template* the kind of single message, if it is one.
    """

    campaign_id: int
    name: str
    template: str | None
    message_class: MessageClass
    batches: int
    people: int
    since: datetime


class Unknown(NamedTuple):
    """One batch that is unknown, and what is known of its call.

    *reason* is a sentence about the answer, *status* the vendor's, if it gave one. *is_second* says
    that these people were in an unclear call before.
    """

    batch_id: int
    hand_over_id: int
    people: int
    since: datetime
    reason: str
    status: int | None
    is_second: bool


class Decided(NamedTuple):
    """What a decision was about: so many batches and people."""

    batches: int
    people: int


class Copies(NamedTuple):
    """How many people may have got a second copy, and how many certainly were sent one."""

    possible: int
    certain: int


def waiting(session: Session) -> list[Waiting]:
    """List the campaigns of which something is unknown, the longest first."""
    since = func.min(_HAND_OVERS.c.ended_at)
    rows = session.execute(
        select(
            _CAMPAIGNS.c.id,
            _CAMPAIGNS.c.name,
            _CAMPAIGNS.c.template,
            _CAMPAIGNS.c.message_class,
            func.count(),
            func.sum(_OPEN),
            since,
        )
        .select_from(_BATCHES)
        .join(_CAMPAIGNS, _CAMPAIGNS.c.id == _BATCHES.c.campaign_id)
        .join(_HAND_OVERS, _HAND_OVERS.c.id == _BATCHES.c.hand_over_id)
        .where(_IS_UNKNOWN)
        .group_by(*_CAMPAIGNS.c["id", "name", "template", "message_class"])
        .order_by(since, _CAMPAIGNS.c.id)
    )
    return [Waiting(*row) for row in rows]


def listed(session: Session, campaign_id: int) -> list[Unknown]:
    """List what is unknown of one campaign, the oldest first.

    :raises NotFound: for an unknown campaign.
    """
    _find(session, campaign_id)
    rows = session.execute(
        select(
            _BATCHES.c.id,
            _HAND_OVERS.c.id,
            _OPEN,
            _HAND_OVERS.c.ended_at,
            func.coalesce(_HAND_OVERS.c.reason, "No answer came."),
            _HAND_OVERS.c.status,
            _HAND_OVERS.c.after_id.is_not(None),
        )
        .join(_HAND_OVERS, _HAND_OVERS.c.id == _BATCHES.c.hand_over_id)
        .where(_BATCHES.c.campaign_id == campaign_id, _IS_UNKNOWN)
        .order_by(_HAND_OVERS.c.id)
    )
    return [Unknown(*row) for row in rows]


def resend(
    session: Session, campaign_id: int, actor: Actor, *, now: datetime, up_to: int | None = None
) -> Decided:
    """Have what is unknown sent again; whoever may not get it any more is skipped at the claim.

    *up_to* is the newest hand-over that the person has seen; a later one is not decided about.

    :raises NotFound: for an unknown campaign.
    :raises NotAllowed: without the role.
    :raises Conflict: where nothing is unknown (any more), and for a stopped campaign.
    """
    staff.require(session, actor, Role.SEND)
    campaign = _find(session, campaign_id)
    if campaign.state is CampaignState.CANCELLED:
        raise Conflict(
            f"Campaign {campaign_id} was stopped for good, so nothing of it is sent again. What is "
            "unknown can be taken as sent."
        )
    done = _decide(session, campaign_id, Decision.RESENT, up_to)
    _note(session, actor, "campaign.unknown_resent", campaign_id, done, now)
    return done


def accept(
    session: Session, campaign_id: int, actor: Actor, *, now: datetime, up_to: int | None = None
) -> Decided:
    """Take what is unknown as sent, by a person's decision; nobody is written to again.

    *up_to* and errors as for ``resend``; a stopped campaign's can be taken as sent.
    """
    staff.require(session, actor, Role.SEND)
    _find(session, campaign_id)
    done = _decide(session, campaign_id, Decision.ACCEPTED, up_to)
    _note(session, actor, "campaign.unknown_accepted", campaign_id, done, now)
    return done


def any_to_go_again(session: Session, *, settle_time: float) -> bool:
    """Tell whether ``go_again`` would change anything; for reading, so that looking is cheap."""
    return session.execute(_unsettled(session, settle_time).limit(1)).first() is not None


def go_again(session: Session, *, settle_time: float) -> dict[int, int]:
    """Let administrative messages go once more whose fate is unknown after *settle_time* seconds.

    Only when the webhook is known alive: an event of a call that was claimed *later* has come. An
    older call's event would prove less, because the vendor posts for a day again what it couldn't
    post, in any order; after a later call's, this one's are overdue. A notice twice is better than
    none, but once is enough: what then is unknown again waits for a person, as promotional mail
    does at once. Gives how many people it is, by campaign.
    """
    found: dict[int, list[int]] = {}
    for row in session.execute(_unsettled(session, settle_time)):
        found.setdefault(row.campaign_id, []).append(row.hand_over_id)
    people: dict[int, int] = {}
    at = dialects.database_time(session)
    # All of them before the first campaign, as the package's order of locks says.
    _lock_unclear(session, [one for some in found.values() for one in some])
    for campaign_id in sorted(found):
        done = _settle(session, campaign_id, found[campaign_id], Decision.AGAIN)
        if done.batches:
            people[campaign_id] = done.people
            _note(session, audit.SYSTEM, "campaign.sent_again", campaign_id, done, at)
    return people


def copies(session: Session, campaign_id: int) -> Copies:
    """Count who may have got a message twice.

    A second call counts unless it was refused for sure, or the first was. It is certain once the
    first one's acceptance is proved, by an event or a late answer, and the second one's is known.
    """
    second, first = aliased(HandOver), aliased(HandOver)
    unclear, accepted = Verdict.UNCLEAR.value, Verdict.ACCEPTED.value
    both = (second.outcome == accepted) & (first.outcome == accepted)
    n = second.n
    row = session.execute(
        select(
            func.coalesce(func.sum(case((both, 0), else_=n)), 0),
            func.coalesce(func.sum(case((both, n), else_=0)), 0),
        )
        .join(first, first.id == second.after_id)
        .where(second.campaign_id == campaign_id, second.after_id.is_not(None))
        .where(or_(second.outcome.is_(None), second.outcome.in_([unclear, accepted])))
        .where(first.outcome.in_([unclear, accepted]))
    ).one()
    return Copies(*row)


def _find(session: Session, campaign_id: int) -> Campaign:
    campaign = session.get(Campaign, campaign_id) if 0 < campaign_id < 1 << 31 else None
    if campaign is None:
        raise NotFound(_NO_SUCH.format(campaign_id))
    return campaign


def _decide(session: Session, campaign_id: int, decision: Decision, up_to: int | None) -> Decided:
    """Decide about all that is unknown of one campaign, as far as it was seen."""
    query = select(_BATCHES.c.hand_over_id).where(
        _BATCHES.c.campaign_id == campaign_id, _IS_UNKNOWN
    )
    if up_to is not None:
        query = query.where(_BATCHES.c.hand_over_id <= up_to)
    done = _settle(session, campaign_id, session.scalars(query).all(), decision)
    if not done.batches:
        raise Conflict(
            f"Nothing of campaign {campaign_id} is unknown any more; nothing was changed."
        )
    return done


def _settle(
    session: Session, campaign_id: int, hand_over_ids: Sequence[int], decision: Decision
) -> Decided:
    """Carry a decision out on what still is unclear: hand-overs first, then campaign and batches.

    The campaign is locked against a cancel, which would miss a batch that becomes pending beside
    it; of a cancelled one nothing is sent again.
    """
    unclear = _lock_unclear(session, hand_over_ids)
    state = proof.lock(session, campaign_id)
    if state is CampaignState.CANCELLED and decision is not Decision.ACCEPTED:
        return Decided(0, 0)
    again = {"state": BatchState.PENDING, "after_id": _BATCHES.c.hand_over_id}
    left = session.scalars(
        update(_BATCHES)
        .where(dialects.among(session, _BATCHES.c.hand_over_id, unclear), _IS_UNKNOWN)
        .where(_BATCHES.c.campaign_id == campaign_id)
        .values({"state": BatchState.SENT} if decision is Decision.ACCEPTED else again)
        .returning(_OPEN)
    ).all()
    session.execute(
        update(_HAND_OVERS)
        .where(dialects.among(session, _HAND_OVERS.c.id, unclear))
        .values(decision=decision, decided_at=dialects.clock(session))
    )
    return Decided(len(left), sum(left))


def _lock_unclear(session: Session, hand_over_ids: Sequence[int]) -> Sequence[int]:
    """Lock those hand-overs of some that still are unclear; give their ids."""
    return session.scalars(
        select(_HAND_OVERS.c.id)
        .where(dialects.among(session, _HAND_OVERS.c.id, hand_over_ids))
        .where(_HAND_OVERS.c.outcome == Verdict.UNCLEAR.value)
        .order_by(_HAND_OVERS.c.id)
        .with_for_update()
    ).all()


def _unsettled(session: Session, settle_time: float) -> Select[Any]:
    """Give the unknown batches that may go again by themselves."""
    heard = select(func.max(_HAND_OVERS.c.id)).where(_HAND_OVERS.c.heard_at.is_not(None))
    until = dialects.database_time(session) - timedelta(seconds=settle_time)
    return (
        select(_BATCHES.c.campaign_id, _BATCHES.c.hand_over_id)
        .join(_HAND_OVERS, _HAND_OVERS.c.id == _BATCHES.c.hand_over_id)
        .join(_CAMPAIGNS, _CAMPAIGNS.c.id == _BATCHES.c.campaign_id)
        .where(_IS_UNKNOWN, _BATCHES.c.after_id.is_(None))
        .where(_HAND_OVERS.c.message_class == MessageClass.ADMINISTRATIVE)
        .where(_HAND_OVERS.c.ended_at < until, _HAND_OVERS.c.id < heard.scalar_subquery())
        .where(_CAMPAIGNS.c.state != CampaignState.CANCELLED)
    )


def _note(  # noqa: PLR0913, PLR0917 - who decided what about whom, and when
    session: Session, actor: Actor, action: str, campaign_id: int, done: Decided, now: datetime
) -> None:
    """Write a decision down, and let the campaign go on or end by it."""
    audit.record(session, actor, action, ("campaign", campaign_id), now=now, details=done._asdict())
    settle.end_campaigns(session, now=now)
