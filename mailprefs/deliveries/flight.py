"""Who is in a request that may be about to begin."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mailprefs.db.dialects import among, database_time
from mailprefs.policy import MessageClass
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver

MAY_BEGIN_FOR: Final = timedelta(seconds=10)
"""How old a claim can be whose request hasn't begun: itself, and ``START_WITHIN`` after it.

An older one is a call that takes long, or that of a worker who is gone."""


def holds(session: Session, recipient_id: int) -> bool:
    """Tell whether somebody is in a promotional batch that was claimed just now, unanswered yet.

    Ends of the claim are seen when they are recorded: the vendor's answer, or that the request has
    not begun. Read after the person's choice was committed, it can't become true again.
    """
    is_promotional = Campaign.message_class == MessageClass.PROMOTIONAL
    return bool(_carrying(session, recipient_id, is_promotional))


def carrying(session: Session, recipient_id: int) -> Sequence[int]:
    """List the unanswered hand-overs of any class that somebody is in, claimed just now.

    For somebody who is about to be erased, after which nothing says any more where they were.
    """
    return _carrying(session, recipient_id)


def any_of(session: Session, hand_over_ids: Sequence[int]) -> bool:
    """Tell whether one of these hand-overs may still be about to begin."""
    under_way = (
        select(HandOver.id)
        .join(Batch, Batch.hand_over_id == HandOver.id)
        .where(
            among(session, HandOver.id, hand_over_ids),
            Batch.state == BatchState.SENDING,
            HandOver.claimed_at > database_time(session) - MAY_BEGIN_FOR,
        )
    )
    return session.execute(under_way.limit(1)).first() is not None


def _carrying(session: Session, recipient_id: int, *conditions: ColumnElement[bool]) -> list[int]:
    """List the hand-overs; each batch is looked into by its range.

    In one statement SQLite would begin with the deliveries, and read every one there is.
    """
    begun = session.execute(
        select(HandOver.id, Batch.first_id, Batch.last_id)
        .join(Batch, Batch.hand_over_id == HandOver.id)
        .join(Campaign, Campaign.id == Batch.campaign_id)
        .where(
            Batch.state == BatchState.SENDING,
            HandOver.claimed_at > database_time(session) - MAY_BEGIN_FOR,
            *conditions,
        )
    ).all()
    return [call for call, *ends in begun if _is_among(session, recipient_id, *ends)]


def _is_among(session: Session, recipient_id: int, first: int, last: int) -> bool:
    carried = select(Delivery.id).where(
        Delivery.id.between(first, last),
        Delivery.recipient_id == recipient_id,
        Delivery.own_state.is_(None),
    )
    return session.execute(carried.limit(1)).first() is not None
