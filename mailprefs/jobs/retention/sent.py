"""Deliveries: whose they were, what stood in single messages, and what the vendor answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, func, select, tuple_, update
from sqlalchemy.orm import QueryableAttribute, Session

from mailprefs.db import dialects
from mailprefs.jobs.retention import stepping
from mailprefs.jobs.retention.stepping import NOTHING, Found, Way, found_of
from mailprefs.policy import MessageClass
from mailprefs.privacy.holds import Held
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver, SingleValues
from mailprefs.schema.events import MailboxFact

_ENDED: Final = (CampaignState.FINISHED, CampaignState.CANCELLED)
_LIVE: Final = (BatchState.PENDING, BatchState.SENDING, BatchState.UNKNOWN)


def links(message_class: MessageClass) -> Way:
    """Cut deliveries' link to their person, for campaigns of one class that have ended."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - as below
        campaign_id, person = last or (0, 0)
        for number in session.scalars(_ended(message_class, before, campaign_id)):
            # By the index that lets nobody be twice in a campaign.
            rows = session.execute(
                select(Delivery.recipient_id, Delivery.id)
                .where(Delivery.campaign_id == number, Delivery.idempotency_key.is_(None))
                .where(Delivery.recipient_id > (person if number == campaign_id else 0))
                .order_by(Delivery.recipient_id)
                .limit(stepping.AT_ONCE)
            ).all()
            if rows:
                return Found([row.id for row in rows], (number, rows[-1].recipient_id))
        return NOTHING

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        del before  # a campaign that has ended doesn't begin again
        listed = dialects.among(session, Delivery.id, ids)
        cut = update(Delivery).where(listed, held.spares(session, Delivery))
        return dialects.changed(session, cut.values(recipient_id=None))

    return Way(find, change)


def single_messages() -> Way:
    """Make single messages nobody's: person, key, and what became of them in the mailbox."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a delivery
        key = Delivery.idempotency_key
        begin = last or 0
        for campaign_id, until in _made_before(session, before):
            ids = session.scalars(
                _over(select(Delivery.id), Delivery.id, campaign_id)
                .where(Delivery.campaign_id == campaign_id, key.is_not(None))
                .where(Delivery.id > begin, Delivery.id <= until)
                .order_by(Delivery.id)
                .limit(stepping.AT_ONCE)
            ).all()
            if ids:
                return Found(ids, ids[-1])
        return NOTHING

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        del before  # they are as old as they were when they were found
        facts = dialects.among(session, MailboxFact.delivery_id, ids)
        session.execute(delete(MailboxFact).where(facts, held.spares(session, MailboxFact)))
        listed = dialects.among(session, Delivery.id, ids)
        cut = update(Delivery).where(listed, held.spares(session, Delivery))
        return dialects.changed(session, cut.values(recipient_id=None, idempotency_key=None))

    return Way(find, change)


def single_values() -> Way:
    """Delete what stood in single messages that are handed over or will never be."""
    key = SingleValues.delivery_id

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a delivery
        begin = last or 0
        for campaign_id, until in _made_before(session, before):
            ids = session.scalars(
                _over(select(key), key, campaign_id)
                .where(key > begin, key.between(campaign_id << 32, until))
                .order_by(key)
                .limit(stepping.AT_ONCE)
            ).all()
            if ids:
                return Found(ids, ids[-1])
        return NOTHING

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        del before  # as above
        listed = dialects.among(session, key, ids)
        gone = delete(SingleValues).where(listed, held.spares(session, SingleValues))
        return dialects.changed(session, gone)

    return Way(find, change)


def hand_overs() -> Way:
    """Forget the vendor's own words about a call."""
    columns = (HandOver.claimed_at, HandOver.id)

    def says(before: datetime) -> ColumnElement[bool]:
        is_answered = and_(HandOver.reason.is_not(None), HandOver.outcome.is_not(None))
        return and_(HandOver.claimed_at < before, is_answered)

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - time and id
        query = select(*columns).where(says(before)).order_by(*columns).limit(stepping.AT_ONCE)
        if last is not None:
            query = query.where(tuple_(*columns) > tuple_(*last))
        rows = session.execute(query).all()
        return found_of([row.id for row in rows], tuple(rows[-1]) if rows else None)

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        listed = dialects.among(session, HandOver.id, ids)
        is_free = held.spares_batches(session, HandOver.batch_id)
        forget = update(HandOver).where(listed, says(before), is_free).values(reason=None)
        return dialects.changed(session, forget)

    return Way(find, change)


def _ended(message_class: MessageClass, before: datetime, begin: int) -> Select[Any]:
    """Give the campaigns from *begin* on that have ended, and began before then."""
    begun = func.coalesce(Campaign.first_hand_over_at, Campaign.started_at, Campaign.created_at)
    return (
        select(Campaign.id)
        .where(
            Campaign.id >= begin,
            Campaign.message_class == message_class,
            Campaign.standing.is_(False),
            Campaign.state.in_(_ENDED),
            begun < before,
        )
        .order_by(Campaign.id)
    )


def _made_before(session: Session, before: datetime) -> list[tuple[int, int]]:
    """Give each kind of single message with its last delivery of which the like was handed over.

    Deliveries are numbered in the order in which they were made, so every one up to there was made
    before then, handed over or not.
    """
    rows = session.execute(
        select(HandOver.campaign_id, func.max(Batch.last_id))
        .join(Batch, Batch.id == HandOver.batch_id)
        .join(Campaign, Campaign.id == HandOver.campaign_id)
        .where(Campaign.standing, HandOver.claimed_at < before)
        .group_by(HandOver.campaign_id)
        .order_by(HandOver.campaign_id)
    )
    return [(row[0], row[1]) for row in rows]


def _over(query: Select[Any], delivery: QueryableAttribute[int], campaign_id: int) -> Select[Any]:
    """Leave out deliveries of batches that may still be handed over."""
    live = select(Batch.id).where(
        Batch.campaign_id == campaign_id,
        Batch.first_id == delivery,
        Batch.state.in_(_LIVE),
    )
    return query.where(~live.exists())
