"""Who is in a request that may be on its way at this moment."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.policy import MessageClass
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, BatchState, Delivery


def holds(session: Session, recipient_id: int) -> bool:
    """Tell whether somebody is in a promotional batch that is claimed and not answered yet.

    Ends of the claim are seen when they are recorded: the vendor's answer, or that the request has
    not begun. Read after the person's choice was committed, it can't become true again.
    """
    carried = (
        select(Delivery.id)
        .join(Batch, Batch.campaign_id == Delivery.campaign_id)
        .join(Campaign, Campaign.id == Batch.campaign_id)
        .where(
            Batch.state == BatchState.SENDING,
            Delivery.recipient_id == recipient_id,
            Delivery.id.between(Batch.first_id, Batch.last_id),
            Delivery.own_state.is_(None),
            Campaign.message_class == MessageClass.PROMOTIONAL,
        )
    )
    return session.execute(carried.limit(1)).first() is not None
