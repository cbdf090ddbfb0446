"""Rows that tests start from: plain functions that take a session and give what they stored.

They write rows only, without ledger and audit, so that a test says what it is about and no more.
"""

import itertools
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeVar

from sqlalchemy.orm import Session

from mailprefs.addresses import AddressHasher, normalise
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    MessageClass,
    Role,
    Source,
    SubscriptionState,
    TrackingMode,
)
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.people import Recipient, Sender, Subscription, Topic
from mailprefs.schema.staff import Staff, StaffRole

# A Sunday morning long before any test's own times, so that everything made here is in force.
BEGINNING = datetime(2026, 1, 4, 8, 0, tzinfo=UTC)
HASHER = AddressHasher(sha256(b"the address key of people who don't exist").digest(), key_id=1)

Row = TypeVar("Row")

_numbers = itertools.count(1)


def make_policy(
    session: Session, version: str | None = None, *, effective_from: datetime = BEGINNING
) -> int:
    """Store a policy version, in force since long ago; give its id."""
    name = version or f"2026-{next(_numbers)}"
    text = f"Privacy policy {name}: one click ends promotional mail."
    policy = PolicyVersion(
        version=name,
        text=text,
        sha256=sha256(text.encode()).digest(),
        effective_from=effective_from,
    )
    return stored(session, policy).id


def make_sender(
    session: Session, message_class: MessageClass = MessageClass.PROMOTIONAL, **columns: object
) -> Sender:
    """Store a sender of one message class."""
    number = next(_numbers)
    values: dict[str, object] = {
        "name": f"Example {number}",
        "from_address": f"news{number}@mail.example.com",
        "reply_to": "hello@example.com",
        "postal_address": "Example GmbH, Musterweg 1, 10115 Berlin, Germany",
        "base_url": "https://mail.example.com",
        "created_at": BEGINNING,
    } | columns
    return stored(session, Sender(message_class=message_class, **values))


def make_topic(
    session: Session,
    slug: str | None = None,
    message_class: MessageClass = MessageClass.PROMOTIONAL,
    **columns: object,
) -> Topic:
    """Store a topic, with a sender of its own unless ``sender_id`` is given."""
    is_promotional = message_class is MessageClass.PROMOTIONAL
    name = slug or f"topic-{next(_numbers)}"
    values: dict[str, object] = {
        "name": name.replace("-", " ").capitalize(),
        "description": f"Everything about {name}.",
        "tracking": TrackingMode.INDIVIDUAL if is_promotional else TrackingMode.OFF,
        "unasked_tracking": TrackingMode.OFF,
        "created_at": BEGINNING,
    } | columns
    if "sender_id" not in values:
        values["sender_id"] = make_sender(session, message_class).id
    return stored(session, Topic(slug=name, message_class=message_class, **values))


def make_recipient(
    session: Session,
    address: str | None = None,
    *,
    hasher: AddressHasher = HASHER,
    **columns: object,
) -> Recipient:
    """Store a recipient with an imported address, who was never asked about tracking."""
    known = normalise(address or f"person{next(_numbers)}@example.org")
    values: dict[str, object] = {
        "address_origin": AddressOrigin.IMPORTED,
        "attributes": {},
        "open_tracking": Choice.UNKNOWN,
        "created_at": BEGINNING,
    } | columns
    return stored(
        session,
        Recipient(
            address=known.address,
            address_hash=hasher.hash(known.key),
            address_key_id=hasher.key_id,
            **values,
        ),
    )


def subscribe(
    session: Session,
    recipient: Recipient,
    topic: Topic,
    state: SubscriptionState = SubscriptionState.SUBSCRIBED,
    **columns: object,
) -> Subscription:
    """Store where *recipient* stands with *topic*, under the newest policy version."""
    values: dict[str, object] = {"source": Source.IMPORT, "since": BEGINNING} | columns
    if "policy_version_id" not in values:
        newest = session.query(PolicyVersion.id).order_by(PolicyVersion.id.desc()).limit(1).scalar()
        values["policy_version_id"] = newest or make_policy(session)
    return stored(
        session,
        Subscription(recipient_id=recipient.id, topic_id=topic.id, state=state, **values),
    )


def make_staff(session: Session, *roles: Role, email: str | None = None) -> Staff:
    """Store an active member of staff with *roles* and no password."""
    number = next(_numbers)
    person = stored(
        session,
        Staff(
            email=email or f"staff{number}@example.com",
            name=f"Staff {number}",
            password_hash=None,
            session_key=f"{number:064d}",
            active=True,
            created_at=BEGINNING,
        ),
    )
    session.add_all(StaffRole(staff_id=person.id, role=role) for role in roles)
    session.flush()
    return person


def stored(session: Session, row: Row) -> Row:
    """Store *row* and give it back with its id."""
    session.add(row)
    session.flush()
    return row
