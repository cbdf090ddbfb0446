"""Take opens back from the evidence: what a refusal and an erasure do. Sums stay as they are."""

from collections.abc import Collection

from sqlalchemy import delete, select, type_coerce
from sqlalchemy.orm import Session

from mailprefs.db.dialects import among, insert
from mailprefs.opens import turn
from mailprefs.policy import MessageClass
from mailprefs.schema.base import BigId
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.opens import Measured, Open, SilencedDelivery, UndecidedOpen


def silence(session: Session, recipient_id: int) -> int:
    """Forget a person's opens, and record none of the messages that they have or wait for, ever.

    Sums stay as they are: they name nobody. Gives how many messages that concerns. The caller takes
    permissions (``Gate.TAKING``), so that no batch of fetches is counted at the same time.
    """
    # Only promotional mail is measured. By campaign, since one row of each is found by an index; of
    # a join SQLite would read every delivery first.
    promotional = select(Campaign.id).where(Campaign.message_class == MessageClass.PROMOTIONAL)
    ids = session.scalars(
        select(Delivery.id).where(
            Delivery.campaign_id.in_(promotional),
            Delivery.recipient_id == recipient_id,
            Delivery.idempotency_key.is_(None),
        )
    ).all()
    if ids:
        turn.take(session)
        rows = [{"delivery_id": one} for one in ids]
        session.execute(insert(session, SilencedDelivery).on_conflict_do_nothing(), rows)
        for table in (Open, UndecidedOpen, Measured):
            session.execute(delete(table).where(among(session, table.delivery_id, ids)))
    return len(ids)


def mute(session: Session, recipient_ids: Collection[int]) -> None:
    """Record none of the messages that these people have or wait for any more.

    What was recorded stays: it was allowed at its time. The caller takes permissions, as above.
    """
    if not recipient_ids:
        return
    turn.take(session)
    theirs = (
        select(Delivery.id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            Campaign.message_class == MessageClass.PROMOTIONAL,
            Campaign.closed_at.is_(None),
            among(session, type_coerce(Delivery.recipient_id, BigId), recipient_ids),
            Delivery.idempotency_key.is_(None),
        )
    )
    table = insert(session, SilencedDelivery).from_select(["delivery_id"], theirs)
    session.execute(table.on_conflict_do_nothing())
