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
may come before the answer; it is proof, whatever the answer says. So is one of an earlier call of
the same people: what isn't accepted goes back to pending only if they haven't got it before.

An answer may even come after a person has taken the batch as sent. If it says for sure that nothing
was accepted, and no earlier call may have been, then these people have nothing: the batch is
pending again. A campaign that had finished by that decision is paused and says so, because somebody
meant to write to nobody any more; of a cancelled one the batch is cancelled.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    String,
    Table,
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
from mailprefs.db.kept import Kept
from mailprefs.deliveries import breaker, calls, hold, limits, measure, pace, pick, proof
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.pick import Picked
from mailprefs.policy import Failure
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import LOST, Batch, BatchState, Decision, HandOver
from mailprefs.vendor.message import Outcome, Verdict

GIVEN_BACK: Final = "given_back"
"""The outcome of a hand-over whose request never began."""
NOT_TAKEN: Final = (
    "The vendor refused a call that was taken as sent, so its people have got nothing. Resume the "
    "campaign to send it to them, or cancel it."
)
"""Why a campaign that had finished is paused."""
_LONGEST_REASON: Final = 2_000
_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_REFUSING: Final = frozenset({Verdict.REFUSED_ADDRESS, Verdict.REFUSED_MESSAGE, Verdict.TOO_LARGE})
"""Answers after which the same request would be refused again."""
_UNDECIDED: Final = (BatchState.SENDING, BatchState.UNKNOWN)


def _settled(state: BatchState, *before: BatchState) -> Kept:
    """Give the statement that brings a hand-over's batch from one of some states to another."""
    return Kept(
        update(_BATCHES)
        .where(
            _BATCHES.c.id == bindparam("batch"),
            _BATCHES.c.hand_over_id == bindparam("hand_over"),
            or_(*(_BATCHES.c.state == one for one in before)),
        )
        .values(state=state, owner=None, lease_until=None)
    )


_UNKNOWN: Final = _settled(BatchState.UNKNOWN, *_UNDECIDED)
# Pending: a person has decided to send an unknown batch again, and now the answer is here.
_SENT: Final = _settled(BatchState.SENT, *_UNDECIDED, BatchState.PENDING)


def _ended(at: ColumnElement[datetime]) -> Kept:
    """Give the statement that ends a hand-over which has no answer that is certain yet.

    One that an event has proved stays accepted, and gets the rest of the answer. An unclear answer
    says something only where none had come, which is so after the worker was lost, too.
    """
    outcome, word = _HAND_OVERS.c.outcome, bindparam("word", type_=String)
    accepted, unclear = Verdict.ACCEPTED.value, Verdict.UNCLEAR.value
    proved = and_(outcome == accepted, _HAND_OVERS.c.status.is_(None))
    says_more = or_(word != unclear, _HAND_OVERS.c.reason == LOST)
    return Kept(
        update(_HAND_OVERS)
        .where(
            _HAND_OVERS.c.id == bindparam("hand_over"),
            or_(outcome.is_(None), and_(outcome == unclear, says_more), proved),
        )
        .values(
            ended_at=at,
            outcome=case((outcome == accepted, accepted), else_=word),
            status=bindparam("new_status"),
            message_id=bindparam("new_message_id"),
            reason=bindparam("new_reason"),
        )
        .returning(_HAND_OVERS.c.decision, outcome)
    )


_END_SQLITE: Final = _ended(bindparam("at", type_=UtcDateTime))
_END_POSTGRESQL: Final = _ended(func.clock_timestamp(type_=UtcDateTime))


def record(session: Session, claim: Claim, outcome: Outcome) -> None:
    """Write down what the request of *claim* came to; a second time changes nothing."""
    ended = _end_hand_over(session, claim, outcome.verdict.value, outcome)
    if ended is None:
        return
    _tell_breaker(session, claim, Verdict.ACCEPTED if ended.is_accepted else outcome.verdict)
    _slow_down(session, claim, outcome)
    if ended.is_accepted and outcome.verdict is not Verdict.ACCEPTED:
        return  # An event was faster, and has made the batch sent.
    if outcome.verdict in {Verdict.ACCEPTED, Verdict.UNCLEAR}:
        _may_be_accepted(session, claim, ended)
        return
    failed = _failed(claim, outcome)
    left = _back_to_pending(session, claim, ended, failed)
    if left is None or failed or outcome.verdict not in _REFUSING:
        return
    if outcome.verdict is Verdict.TOO_LARGE and left.open > 1:
        pick.split(session, left, left.open // 2)
    else:
        pause(session, claim.held.campaign_id, outcome.reason)


def give_back(session: Session, claim: Claim, reason: str) -> None:
    """Make a batch pending again whose request never began."""
    began = Outcome(verdict=Verdict.NOT_CONNECTED, reason=reason)
    ended = _end_hand_over(session, claim, GIVEN_BACK, began)
    if ended is not None and not ended.is_accepted:
        _tell_breaker(session, claim, began.verdict)
        _back_to_pending(session, claim, ended, {})


class _Ended(NamedTuple):
    """A hand-over that has its answer now, and what was decided while it had none.

    *is_accepted*: by this answer, or because an event has proved it.
    """

    decision: Decision | None
    is_accepted: bool


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
    row = query.row(session, values)
    return _Ended(row[0], row[1] == Verdict.ACCEPTED.value) if row else None


def _tell_breaker(session: Session, claim: Claim, verdict: Verdict) -> None:
    """Let the breaker know of what concerns it: unclear answers, and any to its probes."""
    hand_over_id, first_after = claim.held.hand_over_id, claim.probe_after
    if verdict is Verdict.UNCLEAR:
        breaker.unclear(session, hand_over_id, first_after=first_after)
    elif claim.is_probe and verdict is Verdict.ACCEPTED:
        breaker.close(session)
    elif claim.is_probe:
        breaker.undecided(session, hand_over_id, first_after=first_after)


def _may_be_accepted(session: Session, claim: Claim, ended: _Ended) -> None:
    """Make the batch sent, or unknown where the vendor's answer was not to be had."""
    held, after_id = claim.held, claim.picked.after_id
    if ended.is_accepted and ended.decision is not None:
        proof.make_sent(session, held.campaign_id, held.hand_over_id)
        return
    is_sent = ended.is_accepted
    if not is_sent and after_id is not None:
        proof.lock(session, held.campaign_id)
        is_sent = proof.earlier(session, after_id).accepted is not None
    if claim.picked.is_first:
        proof.stamp_first(session, held.campaign_id, held.claimed_at)
    found = {"batch": held.batch_id, "hand_over": held.hand_over_id}
    (_SENT if is_sent else _UNKNOWN).change(session, found)


def _slow_down(session: Session, claim: Claim, outcome: Outcome) -> None:
    """Make all workers wait or stop, or wait no longer, where that is what the answer means."""
    if outcome.verdict is Verdict.ACCEPTED and claim.waits:
        pace.went_well(session)
    elif outcome.verdict in {Verdict.LATER, Verdict.NOT_CONNECTED}:
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
    session: Session, claim: Claim, ended: _Ended, failed: Mapping[int, Failure]
) -> Picked | None:
    """Make the batch pending again but for who *failed*; give it if anything is left to do."""
    held = claim.held
    limits.give_back(session, claim.counted, len(claim.people), at=held.claimed_at)
    campaign_state = proof.lock(session, held.campaign_id)
    before = proof.earlier(session, claim.picked.after_id)
    own = _own_of(session, claim, _taken_as_sent(ended, before))
    if own is None:
        return None
    if before.accepted is not None:
        _leave(session, claim, state=BatchState.SENT, hand_over_id=before.accepted)
        return None
    own += hold.fail(session, failed)
    # Measured rows of an earlier call that may have arrived are that call's, too.
    if claim.picked.is_measurable and not before.may_be_accepted:
        measure.take_back(session, held.campaign_id, (held.first_id, held.last_id))
    state = BatchState.PENDING if own < claim.picked.n else BatchState.SENT
    if campaign_state is CampaignState.CANCELLED and state is BatchState.PENDING:
        state = BatchState.CANCELLED
    _leave(session, claim, state=state, own=own)
    if state is not BatchState.PENDING:
        return None
    if campaign_state is CampaignState.FINISHED:
        pause(session, held.campaign_id, NOT_TAKEN, of=(CampaignState.FINISHED,))
    return claim.picked._replace(own=own)


def _taken_as_sent(ended: _Ended, before: proof.Earlier) -> tuple[BatchState, ...]:
    """Give the state of a batch that was taken as sent by a decision which is void now."""
    is_void = ended.decision is Decision.ACCEPTED and not before.may_be_accepted
    return (BatchState.SENT,) if is_void else ()


def _own_of(session: Session, claim: Claim, also: tuple[BatchState, ...]) -> int | None:
    """Lock the claim's batch, if it is still its own; give how many have a state of their own."""
    return session.execute(
        select(_BATCHES.c.own)
        .where(_BATCHES.c.id == claim.held.batch_id)
        .where(_BATCHES.c.hand_over_id == claim.held.hand_over_id)
        .where(_BATCHES.c.state.in_([*_UNDECIDED, *also]))
        .with_for_update()
    ).scalar_one_or_none()


def _leave(session: Session, claim: Claim, **values: object) -> None:
    """Change the claim's batch, which is nobody's from now on."""
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.id == claim.held.batch_id)
        .values(owner=None, lease_until=None, **values)
    )


def pause(
    session: Session,
    campaign_id: int,
    reason: str,
    *,
    of: Collection[CampaignState] = (CampaignState.SENDING, CampaignState.FREEZING),
) -> None:
    """Pause a campaign, in one of the states *of*, for something that a person has to mend.

    One that had finished goes on like one that was being sent, once it is resumed.
    """
    was, finished = _CAMPAIGNS.c.state, CampaignState.FINISHED
    paused = dialects.changed(
        session,
        update(_CAMPAIGNS)
        .where(
            _CAMPAIGNS.c.id == campaign_id,
            was.in_(of),
        )
        .values(
            state=CampaignState.PAUSED,
            paused_from=case((was == finished, CampaignState.SENDING.value), else_=was),
            finished_at=None,
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
