"""What nobody is at work on any more: lost leases, and campaigns that have come to their end."""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Table, and_, case, exists, not_, or_, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.deliveries.outcome import stamp_first
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.vendor.message import Verdict

LOST: Final = "The worker that held this call was lost; it may have been accepted."
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
    lost = session.execute(
        update(_BATCHES)
        .where(_is_lost(session))
        .values(state=BatchState.UNKNOWN, owner=None, lease_until=None)
        .returning(_BATCHES.c.id, _BATCHES.c.hand_over_id)
    ).all()
    for _, hand_over_id in lost:
        row = session.execute(
            update(_HAND_OVERS)
            .where(_HAND_OVERS.c.id == hand_over_id, _HAND_OVERS.c.outcome.is_(None))
            .values(ended_at=dialects.clock(session), outcome=Verdict.UNCLEAR.value, reason=LOST)
            .returning(_HAND_OVERS.c.campaign_id, _HAND_OVERS.c.claimed_at)
        ).one_or_none()
        if row is not None:
            stamp_first(session, row.campaign_id, row.claimed_at)
    return sorted(batch_id for batch_id, _ in lost)


def any_ended(session: Session) -> bool:
    """Tell whether ``end_campaigns`` would change one; for reading, so that looking is cheap."""
    return session.execute(select(_CAMPAIGNS.c.id).where(_has_ended()).limit(1)).first() is not None


def end_campaigns(session: Session, *, now: datetime) -> dict[int, CampaignState]:
    """Move campaigns on whose batches say so; give the new state of each.

    *Finished* when nothing is pending, sending or unknown; *held* when only unknown is left;
    *sending* again when a person had unknown ones sent again. An empty claim alone decides nothing.
    """
    changed = session.execute(
        update(_CAMPAIGNS)
        .where(_has_ended())
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
