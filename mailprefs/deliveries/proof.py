"""What follows once it is certain that a hand-over was accepted, however late that becomes known.

Meanwhile its people may be pending again, as one batch or as parts of one, or be in a later call.
Those who are in none, or in one of which nothing is known either, have their message.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Table, or_, select, update
from sqlalchemy.orm import Session

from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.vendor.message import Verdict

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_OWN: Final = (BatchState.SENDING, BatchState.UNKNOWN, BatchState.PENDING)
# Cancelled: it was to be sent again, and then its campaign was stopped.
_OF_LATER: Final = (BatchState.UNKNOWN, BatchState.PENDING, BatchState.CANCELLED)


def make_sent(session: Session, campaign_id: int, hand_over_id: int) -> None:
    """Make what a hand-over has reached sent, unless a call that may reach it again is running."""
    row = session.execute(
        select(_HAND_OVERS.c.batch_id, _HAND_OVERS.c.claimed_at).where(
            _HAND_OVERS.c.id == hand_over_id
        )
    ).one()
    sent = {"state": BatchState.SENT, "owner": None, "lease_until": None}
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.id == row.batch_id, _BATCHES.c.hand_over_id == hand_over_id)
        .where(_BATCHES.c.state.in_(_OWN))
        .values(sent)
    )
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.after_id.in_(_with_later(session, campaign_id, hand_over_id)))
        .where(_BATCHES.c.state.in_(_OF_LATER))
        .values(sent | {"hand_over_id": hand_over_id})
    )
    stamp_first(session, campaign_id, row.claimed_at)


def is_accepted(session: Session, hand_over_id: int | None) -> bool:
    """Tell whether a hand-over, or one that it was made after, is known to be accepted."""
    while hand_over_id is not None:
        row = session.execute(
            select(_HAND_OVERS.c.outcome, _HAND_OVERS.c.after_id).where(
                _HAND_OVERS.c.id == hand_over_id
            )
        ).one()
        if row.outcome == Verdict.ACCEPTED.value:
            return True
        hand_over_id = row.after_id
    return False


def stamp_first(session: Session, campaign_id: int, at: datetime) -> None:
    """Write down when a campaign first reached, or may have reached, the vendor."""
    session.execute(
        update(_CAMPAIGNS)
        .where(
            _CAMPAIGNS.c.id == campaign_id,
            or_(_CAMPAIGNS.c.first_hand_over_at.is_(None), _CAMPAIGNS.c.first_hand_over_at > at),
        )
        .values(first_hand_over_at=at)
    )


def _with_later(session: Session, campaign_id: int, hand_over_id: int) -> list[int]:
    """Give a hand-over and all later ones of its people or of some of them."""
    found, newest = [hand_over_id], [hand_over_id]
    while newest:
        newest = list(
            session.scalars(
                select(_HAND_OVERS.c.id).where(
                    _HAND_OVERS.c.campaign_id == campaign_id, _HAND_OVERS.c.after_id.in_(newest)
                )
            )
        )
        found += newest
    return found
