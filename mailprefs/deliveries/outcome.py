"""What a request came to, written down once; the batch moves on accordingly.

======================  =======================================================================
accepted                the batch is sent
unclear                 the batch is unknown: it may have been accepted, so it is never sent again
                        by itself
refused_address         those people failed, the others are pending again
refused_message         the campaign is paused with the vendor's reason; a single message failed
later, not_connected    pending again, and all workers wait together
not_allowed             pending again, and everything stops with the reason
too_large               pending again, as two batches
======================  =======================================================================

An answer may come after the lease was lost and the batch became unknown; it still counts. An event
may come before the answer; it is proof, whatever the answer says.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    String,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.db import dialects
from mailprefs.deliveries import breaker, calls, hold, limits, measure, pace, pick, proof
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.pick import Picked
from mailprefs.policy import Failure
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, Decision, HandOver
from mailprefs.vendor.message import Outcome, Verdict

GIVEN_BACK: Final = "given_back"
"""The outcome of a hand-over whose request never began."""
_LONGEST_REASON: Final = 2_000
_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_REFUSING: Final = frozenset({Verdict.REFUSED_ADDRESS, Verdict.REFUSED_MESSAGE, Verdict.TOO_LARGE})
"""Answers after which the same request would be refused again."""
_UNDECIDED: Final = (BatchState.SENDING, BatchState.UNKNOWN)


def _settled(state: BatchState, *before: BatchState) -> Update:
    """Give the statement that brings a hand-over's batch from one of some states to another."""
    return (
        update(_BATCHES)
        .where(
            _BATCHES.c.id == bindparam("batch"),
            _BATCHES.c.hand_over_id == bindparam("hand_over"),
            _BATCHES.c.state.in_(before),
        )
        .values(state=state, owner=None, lease_until=None)
    )


# Kept, because making a statement takes longer than running it.
_UNKNOWN: Final = _settled(BatchState.UNKNOWN, *_UNDECIDED)
# Pending: a person has decided to send an unknown batch again, and now the answer is here.
_SENT: Final = _settled(BatchState.SENT, *_UNDECIDED, BatchState.PENDING)


def _ended(at: ColumnElement[datetime]) -> Update:
    """Give the statement that ends a hand-over which has no answer that is certain yet.

    One that an event has proved stays accepted, and gets the rest of the answer.
    """
    outcome = _HAND_OVERS.c.outcome
    accepted = Verdict.ACCEPTED.value
    proved = and_(outcome == accepted, _HAND_OVERS.c.status.is_(None))
    return (
        update(_HAND_OVERS)
        .where(
            _HAND_OVERS.c.id == bindparam("hand_over"),
            or_(outcome.is_(None), outcome == Verdict.UNCLEAR.value, proved),
        )
        .values(
            ended_at=at,
            outcome=case((outcome == accepted, accepted), else_=bindparam("word", type_=String)),
            status=bindparam("new_status"),
            message_id=bindparam("new_message_id"),
            reason=bindparam("new_reason"),
        )
        .returning(_HAND_OVERS.c.decision)
    )


_END_SQLITE: Final = _ended(bindparam("at", type_=UtcDateTime))
_END_POSTGRESQL: Final = _ended(func.clock_timestamp(type_=UtcDateTime))


def record(session: Session, claim: Claim, outcome: Outcome) -> None:
    """Write down what the request of *claim* came to; a second time changes nothing."""
    ended = _end_hand_over(session, claim, outcome.verdict.value, outcome)
    if ended is None:
        return
    _tell_breaker(session, claim, outcome.verdict)
    if outcome.verdict in {Verdict.ACCEPTED, Verdict.UNCLEAR}:
        _may_be_accepted(session, claim, outcome.verdict)
        if ended.decision is not None and outcome.verdict is Verdict.ACCEPTED:
            proof.make_sent(session, claim.held.campaign_id, claim.held.hand_over_id)
        return
    _slow_down(session, claim, outcome)
    failed = _failed(claim, outcome)
    left = _back_to_pending(session, claim, failed)
    if left is None or failed or outcome.verdict not in _REFUSING:
        return
    if outcome.verdict is Verdict.TOO_LARGE and left.open > 1:
        pick.split(session, left, left.open // 2)
    else:
        pause(session, claim.held.campaign_id, outcome.reason)


def give_back(session: Session, claim: Claim, reason: str) -> None:
    """Make a batch pending again whose request never began."""
    began = Outcome(verdict=Verdict.NOT_CONNECTED, reason=reason)
    if _end_hand_over(session, claim, GIVEN_BACK, began) is not None:
        _tell_breaker(session, claim, began.verdict)
        _back_to_pending(session, claim, {})


class _Ended(NamedTuple):
    """A hand-over that has its answer now, and what was decided while it had none."""

    decision: Decision | None


def _end_hand_over(session: Session, claim: Claim, word: str, outcome: Outcome) -> _Ended | None:
    """Write the end of a hand-over down; None if it has one that is certain."""
    values: dict[str, object] = {
        "hand_over": claim.held.hand_over_id,
        "word": word,
        "new_status": outcome.status,
        "new_message_id": outcome.message_id,
        "new_reason": outcome.reason[:_LONGEST_REASON] or None,
    }
    if dialects.is_sqlite(session):
        values["at"] = dialects.database_time(session)
        query = _END_SQLITE
    else:
        query = _END_POSTGRESQL
    row = session.connection().execute(query, values).one_or_none()
    return _Ended(row.decision) if row is not None else None


def _tell_breaker(session: Session, claim: Claim, verdict: Verdict) -> None:
    """Let the breaker know of what concerns it: unclear answers, and any to its probes."""
    hand_over_id, first_after = claim.held.hand_over_id, claim.probe_after
    if verdict is Verdict.UNCLEAR:
        breaker.unclear(session, hand_over_id, first_after=first_after)
    elif claim.is_probe and verdict is Verdict.ACCEPTED:
        breaker.close(session)
    elif claim.is_probe:
        breaker.undecided(session, hand_over_id, first_after=first_after)


def _may_be_accepted(session: Session, claim: Claim, verdict: Verdict) -> None:
    """Make the batch sent, or unknown where the vendor's answer was not to be had."""
    is_accepted = verdict is Verdict.ACCEPTED
    is_sent = is_accepted or proof.is_accepted(session, claim.picked.after_id)
    held = {"batch": claim.held.batch_id, "hand_over": claim.held.hand_over_id}
    session.connection().execute(_SENT if is_sent else _UNKNOWN, held)
    if claim.picked.is_first:
        proof.stamp_first(session, claim.held.campaign_id, claim.held.claimed_at)
    if is_accepted and claim.waits:
        pace.went_well(session)


def _slow_down(session: Session, claim: Claim, outcome: Outcome) -> None:
    """Make all workers wait or stop, where that is what the answer means."""
    if outcome.verdict in {Verdict.LATER, Verdict.NOT_CONNECTED}:
        pace.wait_for_all(session, seconds=outcome.retry_after, waits=claim.waits)
        if outcome.verdict is Verdict.LATER:
            calls.refused(session, claim.held.claimed_at)
    elif outcome.verdict is Verdict.NOT_ALLOWED and pace.stop(session, outcome.reason):
        audit.record(
            session,
            audit.SYSTEM,
            "sending.stopped",
            ("vendor", "pace"),
            now=dialects.database_time(session),
        )


def _failed(claim: Claim, outcome: Outcome) -> dict[int, Failure]:
    """Give the deliveries that the answer refuses for good."""
    people = claim.people
    if outcome.verdict is Verdict.REFUSED_ADDRESS and outcome.refused:
        refused = (people[position].delivery_id for position in outcome.refused)
        return dict.fromkeys(refused, Failure.REFUSED_ADDRESS)
    if outcome.verdict in _REFUSING and claim.picked.template is not None:
        # One odd message must not hold up all others of its kind.
        return dict.fromkeys((one.delivery_id for one in people), Failure.REFUSED_MESSAGE)
    return {}


def _back_to_pending(
    session: Session, claim: Claim, failed: Mapping[int, Failure]
) -> Picked | None:
    """Make the batch pending again but for who *failed*; give it if anything is left to do."""
    held = claim.held
    # Locked against a cancel, which would miss a batch that becomes pending beside it.
    campaign_state = session.execute(
        select(_CAMPAIGNS.c.state).where(_CAMPAIGNS.c.id == held.campaign_id).with_for_update()
    ).scalar_one()
    own = session.execute(
        select(_BATCHES.c.own)
        .where(_BATCHES.c.id == held.batch_id, _BATCHES.c.hand_over_id == held.hand_over_id)
        .where(_BATCHES.c.state.in_(_UNDECIDED))
        .with_for_update()
    ).scalar_one_or_none()
    if own is None:
        return None
    own += hold.fail(session, failed)
    limits.give_back(session, claim.counted, len(claim.people), at=held.claimed_at)
    if claim.picked.is_measurable:
        measure.take_back(session, held.campaign_id, (held.first_id, held.last_id))
    state = BatchState.PENDING if own < claim.picked.n else BatchState.SENT
    if campaign_state is CampaignState.CANCELLED and state is BatchState.PENDING:
        state = BatchState.CANCELLED
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.id == held.batch_id)
        .values(state=state, own=own, owner=None, lease_until=None)
    )
    return claim.picked._replace(own=own) if state is BatchState.PENDING else None


def pause(session: Session, campaign_id: int, reason: str) -> None:
    """Pause a running campaign because of something that a person has to mend."""
    paused = dialects.changed(
        session,
        update(_CAMPAIGNS)
        .where(
            _CAMPAIGNS.c.id == campaign_id,
            _CAMPAIGNS.c.state.in_([CampaignState.SENDING, CampaignState.FREEZING]),
        )
        .values(
            state=CampaignState.PAUSED,
            paused_from=_CAMPAIGNS.c.state,
            paused_reason=reason[:_LONGEST_REASON],
        ),
    )
    if paused:
        audit.record(
            session,
            audit.SYSTEM,
            "campaign.paused",
            ("campaign", campaign_id),
            now=dialects.database_time(session),
        )
