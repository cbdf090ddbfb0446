"""What nobody is at work on any more: lost leases, late proofs, and campaigns that have ended."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    and_,
    case,
    exists,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.deliveries import proof
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import LOST, Batch, BatchState, HandOver
from mailprefs.vendor.message import Verdict

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]


def any_lost(session: Session) -> bool:
    """Tell whether a lease has run out; for reading, so that looking costs no write."""
    found = select(_BATCHES.c.id).where(_is_lost(session)).limit(1)
    return session.execute(found).first() is not None


def sweep(session: Session) -> list[int]:
    """Make batches unknown whose lease has run out; give their ids.

    Their request may have been accepted, so none is sent again by itself.
    """
    held_by = session.scalars(
        select(_BATCHES.c.hand_over_id).where(_is_lost(session)).order_by(_BATCHES.c.hand_over_id)
    ).all()
    ended = [_end(session, hand_over_id) for hand_over_id in held_by if hand_over_id is not None]
    lost = [row for row in ended if row is not None]
    for row in sorted(lost, key=lambda one: one.campaign_id):
        _lose(session, row)
    return sorted(row.batch_id for row in lost)


def _end(session: Session, hand_over_id: int) -> Row[Any] | None:
    """End a hand-over as unclear; None if its answer has come meanwhile."""
    return session.execute(
        update(_HAND_OVERS)
        .where(_HAND_OVERS.c.id == hand_over_id, _HAND_OVERS.c.outcome.is_(None))
        .values(ended_at=dialects.clock(session), outcome=Verdict.UNCLEAR.value, reason=LOST)
        .returning(*_HAND_OVERS.c["id", "batch_id", "campaign_id", "claimed_at", "after_id"])
    ).one_or_none()


def _lose(session: Session, row: Row[Any]) -> None:
    """Make the batch of a lost hand-over unknown; sent, if its people have it from an earlier."""
    proof.lock(session, row.campaign_id)
    proof.stamp_first(session, row.campaign_id, row.claimed_at)
    is_sent = proof.earlier(session, row.after_id).accepted is not None
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.id == row.batch_id, _BATCHES.c.hand_over_id == row.id)
        .where(_BATCHES.c.state == BatchState.SENDING)
        .values(
            state=BatchState.SENT if is_sent else BatchState.UNKNOWN, owner=None, lease_until=None
        )
    )


def proved(session: Session, hand_over_ids: Collection[int], *, now: datetime) -> None:
    """Take note that events of these hand-overs came: the vendor accepted all of each.

    What was unknown or still waits for its answer is sent. Where its people were claimed again
    meanwhile, the first event makes it certain that they get a second copy (``unknown.copies``).
    Ids that aren't ours are passed over; a second event of a hand-over changes nothing.
    """
    unheard = session.execute(
        select(_HAND_OVERS.c.id, _HAND_OVERS.c.campaign_id, _HAND_OVERS.c.outcome)
        .where(dialects.among(session, _HAND_OVERS.c.id, sorted(set(hand_over_ids))))
        .where(_HAND_OVERS.c.heard_at.is_(None))
        .order_by(_HAND_OVERS.c.id)
        .with_for_update()
    ).all()
    if not unheard:
        return
    word = _HAND_OVERS.c.outcome
    uncertain = or_(word.is_(None), word == Verdict.UNCLEAR.value)
    session.execute(
        update(_HAND_OVERS)
        .where(dialects.among(session, _HAND_OVERS.c.id, [row.id for row in unheard]))
        .values(
            heard_at=now,
            outcome=case((uncertain, Verdict.ACCEPTED.value), else_=word),
            ended_at=func.coalesce(_HAND_OVERS.c.ended_at, dialects.clock(session)),
        )
    )
    for row in sorted(unheard, key=lambda one: one.campaign_id):
        if row.outcome != Verdict.ACCEPTED.value:
            proof.make_sent(session, row.campaign_id, row.id)


def any_ended(session: Session) -> bool:
    """Tell whether ``end_campaigns`` would change one; for reading, so that looking is cheap."""
    return session.execute(select(_CAMPAIGNS.c.id).where(_has_ended()).limit(1)).first() is not None


def end_campaigns(session: Session, *, now: datetime) -> dict[int, CampaignState]:
    """Move campaigns on whose batches say so; give the new state of each.

    *Finished* when nothing is pending, sending or unknown; *held* when only unknown is left;
    *sending* again when a person had unknown ones sent again. An empty claim alone decides nothing.
    One that somebody else has locked is passed over, until the next look: this waits for nobody.
    """
    free = session.scalars(
        select(_CAMPAIGNS.c.id)
        .where(_has_ended())
        .order_by(_CAMPAIGNS.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    changed = session.execute(
        update(_CAMPAIGNS)
        .where(_CAMPAIGNS.c.id.in_(free), _has_ended())
        .values(
            state=case(
                (_has(BatchState.PENDING, BatchState.SENDING), CampaignState.SENDING.value),
                (_has(BatchState.UNKNOWN), CampaignState.HELD.value),
                else_=CampaignState.FINISHED.value,
            ),
            finished_at=case(
                (_has(BatchState.PENDING, BatchState.SENDING, BatchState.UNKNOWN), None),
                else_=now,
            ),
        )
        .returning(_CAMPAIGNS.c.id, _CAMPAIGNS.c.state)
    )
    return {campaign_id: CampaignState(state) for campaign_id, state in changed}


def _is_lost(session: Session) -> ColumnElement[bool]:
    return and_(
        _BATCHES.c.state == BatchState.SENDING, _BATCHES.c.lease_until < dialects.clock(session)
    )


def _has_ended() -> ColumnElement[bool]:
    """Give whether a campaign's state is not the one that its batches say."""
    is_open = _has(BatchState.PENDING, BatchState.SENDING)
    is_unknown = _has(BatchState.UNKNOWN)
    state = _CAMPAIGNS.c.state
    return and_(
        not_(_CAMPAIGNS.c.standing),
        or_(
            and_(state == CampaignState.SENDING, not_(is_open)),
            and_(state == CampaignState.HELD, or_(is_open, not_(is_unknown))),
            and_(
                state == CampaignState.PAUSED,
                _CAMPAIGNS.c.paused_from == CampaignState.SENDING,
                not_(is_open),
                not_(is_unknown),
            ),
        ),
    )


def _has(*states: BatchState) -> ColumnElement[bool]:
    """Give whether a campaign has a batch in one of these states, by their partial indexes."""
    return or_(
        *(
            exists()
            .where(_BATCHES.c.campaign_id == _CAMPAIGNS.c.id, _BATCHES.c.state == state)
            .correlate(_CAMPAIGNS)
            for state in states
        )
    )
