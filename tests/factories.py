"""Rows that tests start from: plain functions that take a session and give what they stored.

They write rows only, without ledger and audit, so that a test says what it is about and no more.
"""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
from mailprefs.rendering import composing
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, SourceFormat
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver
from mailprefs.schema.opens import Measured, MeasuredTotal
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
    return stored(session, _recipient(address, hasher, columns))


def _recipient(
    address: str | None, hasher: AddressHasher, columns: Mapping[str, object]
) -> Recipient:
    known = normalise(address or f"person{next(_numbers)}@example.org")
    values: dict[str, object] = {
        "address_origin": AddressOrigin.IMPORTED,
        "attributes": {},
        "open_tracking": Choice.UNKNOWN,
        "created_at": BEGINNING,
        **columns,
    }
    return Recipient(
        address=known.address,
        address_hash=hasher.hash(known.key),
        address_key_id=hasher.key_id,
        **values,
    )


def make_subscribers(
    session: Session, topic: Topic, n: int, *, hasher: AddressHasher = HASHER, **columns: object
) -> list[Recipient]:
    """Store *n* recipients who subscribed to *topic*, in a few statements."""
    people = [_recipient(None, hasher, columns) for _ in range(n)]
    session.add_all(people)
    session.flush()
    given = {
        "topic_id": topic.id,
        "state": SubscriptionState.SUBSCRIBED,
        "policy_version_id": newest_policy(session),
        "source": Source.IMPORT,
        "since": BEGINNING,
    }
    session.add_all(Subscription(recipient_id=person.id, **given) for person in people)
    session.flush()
    return people


def newest_policy(session: Session) -> int:
    """Give the newest policy version's id, of one that is made if there is none."""
    newest = session.query(PolicyVersion.id).order_by(PolicyVersion.id.desc()).limit(1).scalar()
    return newest or make_policy(session)


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
        values["policy_version_id"] = newest_policy(session)
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


def make_campaign(session: Session, topic: Topic, **columns: object) -> Campaign:
    """Store a campaign of *topic* that is being sent; it needs no content to be looked at."""
    values: dict[str, object] = {
        "name": f"Campaign {next(_numbers)}",
        "state": CampaignState.SENDING,
        "standing": False,
        "purpose": None,
        "revision": 1,
        "report_zone": "UTC",
        "created_at": BEGINNING,
        "started_at": BEGINNING,
        "first_hand_over_at": BEGINNING,
        "frozen_to": 0,
        "chosen": 0,
        "frozen": 0,
    } | columns
    return stored(
        session,
        Campaign(topic_id=topic.id, message_class=topic.message_class, **values),
    )


def make_content(session: Session, campaign: Campaign, **columns: object) -> Content:
    """Store a content of *campaign*'s current revision, with nothing to substitute."""
    values: dict[str, object] = {
        "language": "en",
        "variant": "",
        "format": SourceFormat.MARKDOWN,
        "subject_source": "Hello",
        "body_source": "Hello there.",
        "subject": "Hello",
        "text": "Hello there.",
        "html": "<p>Hello there.</p>",
        "tags": {},
        "sha256": sha256(b"Hello there.").digest(),
        "created_at": BEGINNING,
    } | columns
    return stored(session, Content(campaign_id=campaign.id, revision=campaign.revision, **values))


def make_sent(
    session: Session,
    campaign: Campaign,
    people: Sequence[Recipient],
    *,
    modes: str = "",
    at: datetime = BEGINNING,
) -> list[int]:
    """Store that *campaign* was handed over to *people* in one call; give the delivery ids.

    *modes* has one letter a person (i individual, a aggregate, o off); all are measured without it.
    """
    modes = modes or "i" * len(people)
    policy = newest_policy(session)
    first = (campaign.id << 32) + campaign.frozen + 1
    ids = list(range(first, first + len(people)))
    session.add_all(
        Delivery(
            id=delivery_id,
            campaign_id=campaign.id,
            recipient_id=person.id,
            policy_version_id=policy,
        )
        for delivery_id, person in zip(ids, people, strict=True)
    )
    content = session.query(Content).where(Content.campaign_id == campaign.id).first()
    batch = stored(
        session,
        Batch(
            campaign_id=campaign.id,
            content_id=(content or make_content(session, campaign)).id,
            priority=2,
            first_id=ids[0],
            last_id=ids[-1],
            n=len(ids),
            own=0,
            state=BatchState.SENT,
        ),
    )
    hand_over = stored(
        session,
        HandOver(
            batch_id=batch.id,
            campaign_id=campaign.id,
            message_class=campaign.message_class,
            vendor="test",
            n=len(ids),
            fields="address",
            modes=modes,
            owner="test",
            claimed_at=at - timedelta(seconds=1),
            ended_at=at,
            outcome="accepted",
            status=202,
        ),
    )
    batch.hand_over_id = hand_over.id
    campaign.frozen += len(people)
    measured = [one for one, mode in zip(ids, modes, strict=True) if mode == "i"]
    session.add_all(Measured(delivery_id=one, bits=0) for one in measured)
    if measured:
        total = session.get(MeasuredTotal, (campaign.id, 0)) or MeasuredTotal(
            campaign_id=campaign.id, bits=0, n=0
        )
        total.n += len(measured)
        session.add(total)
    session.flush()
    return ids


def make_composed(
    session: Session, campaign: Campaign, body: str = "Hello there.", **columns: object
) -> Content:
    """Store a content of *campaign*'s current revision, composed of Markdown as a draft's is."""
    topic = session.get_one(Topic, campaign.topic_id)
    sender = session.get_one(Sender, topic.sender_id)
    language = str(columns.get("language", "en"))
    letterhead = Letterhead(
        message_class=topic.message_class,
        sender_name=sender.name,
        topic_name=topic.name,
        postal_address=sender.postal_address,
        policy_url=f"{sender.base_url}/policy",
        contact=sender.reply_to,
        purpose=campaign.purpose,
        language=language,
    )
    source = composing.Source(str(columns.pop("subject", "News")), body)
    composed = composing.compose(source, letterhead)
    return make_content(
        session,
        campaign,
        subject_source=source.subject,
        body_source=body,
        subject=composed.subject,
        text=composed.text,
        html=composed.html,
        tags=composed.document(),
        **columns,
    )


def stored(session: Session, row: Row) -> Row:
    """Store *row* and give it back with its id."""
    session.add(row)
    session.flush()
    return row
