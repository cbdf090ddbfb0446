"""Who wants at most one promotional message a week, and which campaign has reached them last.

A claim remembers it, of these people only, and before its request is made. So whatever comes of
that request, nobody gets two campaigns within a week: not while an answer is unknown, not from two
campaigns that are claimed at the same moment (the first to write a person's row has them; the other
waits for it on PostgreSQL, and skips the person). What the campaign's own later claims hold stays
in it: a batch that a 429 or a late start gave back, the rest of one after a probe, and people whom
a decision sends an unknown batch once more. The price is on the side of less mail: somebody whose
address the vendor refused, or whose campaign was cancelled after the claim, gets no other one for a
week either.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Table, delete, or_, select
from sqlalchemy.orm import Session

from mailprefs.audience import WEEK
from mailprefs.db import dialects
from mailprefs.policy import MessageClass
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, Delivery, HandOver, LastPromotion
from mailprefs.vendor.message import Verdict

_LAST: Final[Table] = LastPromotion.metadata.tables[LastPromotion.__tablename__]
_MAY_HAVE_ARRIVED: Final = (Verdict.ACCEPTED.value, Verdict.UNCLEAR.value)


def take_turns(
    session: Session, campaign_id: int, people: Collection[int], *, now: datetime
) -> set[int]:
    """Note that a campaign reaches these people; give those whom another has reached first.

    Rows are taken in the order of people, so that two claims never wait for each other in a circle.
    """
    insert = dialects.insert(session, _LAST)
    insert = insert.on_conflict_do_update(
        index_elements=[_LAST.c.recipient_id],
        set_={"campaign_id": insert.excluded.campaign_id, "at": insert.excluded.at},
        where=or_(_LAST.c.campaign_id == insert.excluded.campaign_id, _LAST.c.at <= now - WEEK),
    )
    rows = [{"recipient_id": one, "campaign_id": campaign_id, "at": now} for one in sorted(people)]
    taken = session.connection().execute(insert.returning(_LAST.c.recipient_id), rows)
    return set(people).difference(taken.scalars())


def begin(session: Session, recipient_id: int, *, now: datetime) -> None:
    """Look up which campaign reached somebody last, who chooses now to be reached once a week.

    Behind the gate: no claim is under way that could reach them unseen.
    """
    last = session.execute(
        select(Delivery.campaign_id, HandOver.claimed_at)
        .join(Batch, Batch.campaign_id == Delivery.campaign_id)
        .join(HandOver, HandOver.batch_id == Batch.id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            Delivery.recipient_id == recipient_id,
            # Or the index that finds a person in a campaign couldn't be used.
            Delivery.idempotency_key.is_(None),
            Delivery.id.between(Batch.first_id, Batch.last_id),
            Delivery.own_state.is_(None),
            Campaign.message_class == MessageClass.PROMOTIONAL,
            HandOver.claimed_at > now - WEEK,
            or_(HandOver.outcome.is_(None), HandOver.outcome.in_(_MAY_HAVE_ARRIVED)),
        )
        .order_by(HandOver.claimed_at.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return
    values = {"campaign_id": last.campaign_id, "at": last.claimed_at}
    session.execute(
        dialects.insert(session, LastPromotion)
        .values(recipient_id=recipient_id, **values)
        .on_conflict_do_update(index_elements=["recipient_id"], set_=values)
    )


def end(session: Session, recipient_id: int) -> None:
    """Forget which campaign reached somebody last, who chooses no frequency any more."""
    session.execute(delete(LastPromotion).where(LastPromotion.recipient_id == recipient_id))
