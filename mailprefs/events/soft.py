"""Mailboxes that refuse for the time being: often enough in a row, and newsletters pause.

The rule is one function of what is known, whatever came first: refused on ``DAYS`` distinct days
(UTC) within ``WINDOW``, all of them after the last message that was delivered and after the last
lift. So a delivery sets it back, and takes the suppression away again; nobody has to.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from mailprefs import audit, suppressions
from mailprefs.db import dialects
from mailprefs.events.storing import Whose
from mailprefs.policy import Source, SuppressionReason
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxFact, SoftBounce
from mailprefs.schema.people import Recipient
from mailprefs.suppressions import Evidence

DAYS: Final = 3
"""On so many distinct days a mailbox has to refuse."""
WINDOW: Final = timedelta(days=30)
"""Within so long."""
_REASON: Final = SuppressionReason.SOFT_BOUNCES


def refused(
    session: Session, delivery_id: int, whose: Whose, at: datetime, *, now: datetime
) -> None:
    """Note that a mailbox refused a delivery for now, and suppress the address if it is time.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    if whose.recipient_id is None:
        return
    insert = dialects.insert(session, SoftBounce).values(
        delivery_id=delivery_id, recipient_id=whose.recipient_id, occurred_at=at
    )
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["delivery_id"],
            set_={"occurred_at": at},
            # The first refusal of a delivery stands, in whatever order they are told.
            where=SoftBounce.occurred_at > at,
        )
    )
    decide(session, whose, now=now)


def delivered(session: Session, delivery_ids: Collection[int], *, now: datetime) -> list[Whose]:
    """Set back those who got a message after all; give those who have to be held back now.

    Those, because the delivery was earlier than was told first. Nobody is held back here: that
    needs the gate, which mere counting doesn't take.
    """
    if not delivery_ids:
        return []
    rows = session.execute(
        select(Recipient.id, Recipient.address_hash, Recipient.address_key_id)
        .join(Delivery, Delivery.recipient_id == Recipient.id)
        .where(dialects.among(session, Delivery.id, delivery_ids))
        .where(
            select(SoftBounce.delivery_id).where(SoftBounce.recipient_id == Recipient.id).exists()
        )
        .distinct()
        .order_by(Recipient.id)
    ).all()
    people = [Whose(*row) for row in rows]
    return [whose for whose in people if not _decide(session, whose, now=now, may_add=False)]


def decide(session: Session, whose: Whose, *, now: datetime) -> None:
    """Make the suppression say what the rule says of one person.

    :raises RuntimeError: if it has to be added without ``Gate.TAKING``.
    """
    _decide(session, whose, now=now, may_add=True)


def _decide(session: Session, whose: Whose, *, now: datetime, may_add: bool) -> bool:
    """Apply the rule; False if a suppression would have to be added, and may not be."""
    if whose.recipient_id is None or whose.address_hash is None or whose.key_id is None:
        return True
    cause = _cause(session, whose.recipient_id, whose.address_hash)
    stands = session.scalar(
        select(Suppression).where(
            Suppression.address_hash == whose.address_hash, Suppression.reason == _REASON
        )
    )
    if cause is not None:
        delivery_id, at = cause
        evidence = Evidence(whose.address_hash, whose.key_id, _REASON, at, delivery_id)
        if stands is None and not may_add:
            return False
        if stands is None:
            suppressions.believe(session, evidence)
        elif stands.source is Source.VENDOR:
            stands.created_at, stands.delivery_id = at, delivery_id
            session.flush()
    elif stands is not None and stands.source is Source.VENDOR:
        suppressions.lift(session, whose.address_hash, _REASON)
        subject = ("suppression", stands.id)
        audit.record(session, audit.SYSTEM, "suppression.reset_by_delivery", subject, now=now)
    return True


def held_back(session: Session, *, after: int = 0, limit: int = 100) -> list[Whose]:
    """List whom the rule holds back, by their numbers, so that it can be applied to them anew."""
    rows = session.execute(
        select(Recipient.id, Recipient.address_hash, Recipient.address_key_id)
        .join(Suppression, Suppression.address_hash == Recipient.address_hash)
        .where(Suppression.reason == _REASON, Suppression.source == Source.VENDOR)
        .where(
            select(SoftBounce.delivery_id).where(SoftBounce.recipient_id == Recipient.id).exists(),
            Recipient.id > after,
        )
        .order_by(Recipient.id)
        .limit(limit)
    )
    return [Whose(*row) for row in rows]


def refused_often(session: Session, *, after: int = 0, limit: int = 100) -> list[Whose]:
    """List who isn't held back and was refused often enough to be, by their numbers.

    Most had a delivery in between; the rule tells.
    """
    often = (
        select(SoftBounce.recipient_id)
        .where(SoftBounce.recipient_id > after)
        .group_by(SoftBounce.recipient_id)
        .having(func.count() >= DAYS)
    )
    rows = session.execute(
        select(Recipient.id, Recipient.address_hash, Recipient.address_key_id)
        .where(
            Recipient.id.in_(often),
            ~select(Suppression.id)
            .where(
                Suppression.address_hash == Recipient.address_hash, Suppression.reason == _REASON
            )
            .exists(),
        )
        .order_by(Recipient.id)
        .limit(limit)
    )
    return [Whose(*row) for row in rows]


def is_in_force() -> ColumnElement[bool]:
    """Say in SQL that a refusal's person is held back at present, which it may be the cause of."""
    return (
        select(Recipient.id)
        .join(Suppression, Suppression.address_hash == Recipient.address_hash)
        .where(Recipient.id == SoftBounce.recipient_id, Suppression.reason == _REASON)
        .exists()
    )


def _cause(session: Session, recipient_id: int, address_hash: bytes) -> tuple[int, datetime] | None:
    """Give the refusal that made it so many, and when; None while there aren't enough."""
    since = suppressions.lifted_at(session, address_hash, _REASON)
    rows = session.execute(
        select(SoftBounce.occurred_at, SoftBounce.delivery_id)
        .where(SoftBounce.recipient_id == recipient_id)
        .order_by(SoftBounce.occurred_at, SoftBounce.delivery_id)
    ).all()
    if len({at.date() for at, _ in rows}) < DAYS:
        return None
    delivered_at = _last_delivered(session, recipient_id, rows[0][0])
    after = max((one for one in (since, delivered_at) if one is not None), default=None)
    first_of_day: dict[object, datetime] = {}
    for at, delivery_id in rows:
        if after is not None and at <= after:
            continue
        first_of_day.setdefault(at.date(), at)
        days = [day for day in first_of_day.values() if day > at - WINDOW]
        if len(days) >= DAYS:
            return delivery_id, at
    return None


def _last_delivered(session: Session, recipient_id: int, since: datetime) -> datetime | None:
    """Give when a person last got a message of a campaign, as far back as it matters.

    A campaign that ended a month before can't have brought it: a vendor tries for three days.
    Single messages have no index by person, and aren't looked at.
    """
    return session.scalar(
        select(func.max(MailboxFact.occurred_at))
        .join(Delivery, Delivery.id == MailboxFact.delivery_id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            MailboxFact.event == "delivered",
            Delivery.recipient_id == recipient_id,
            # So that the index of a campaign's people can be used.
            Delivery.idempotency_key.is_(None),
            MailboxFact.occurred_at >= since,
            or_(Campaign.finished_at.is_(None), Campaign.finished_at >= since - WINDOW),
        )
    )
