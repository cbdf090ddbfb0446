"""Recipients, the fields that describe them, topics, senders and subscriptions."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped

from mailprefs.policy import (
    AddressOrigin,
    Choice,
    Frequency,
    MessageClass,
    Source,
    SubscriptionState,
    TrackingMode,
)
from mailprefs.schema.base import (
    KEYED_HASH,
    OF_RECIPIENT,
    Base,
    BigId,
    Document,
    UtcDateTime,
    column,
    words,
)


class Recipient(Base):
    """A person with an address; the id is never used again, not even after erasure."""

    __tablename__ = "recipients"
    __table_args__ = (
        UniqueConstraint("address_hash"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True, mark=OF_RECIPIENT)
    address: Mapped[str] = column(String(320), mark=OF_RECIPIENT)
    # 16 bytes, keyed (MAILPREFS_ADDRESS_KEY), so that a suppression is a join in SQL.
    address_hash: Mapped[bytes] = column(LargeBinary(16), mark=KEYED_HASH)
    address_key_id: Mapped[int] = column(SmallInteger)
    address_origin: Mapped[AddressOrigin] = column(words(AddressOrigin), mark=OF_RECIPIENT)
    first_name: Mapped[str | None] = column(Text, mark=OF_RECIPIENT)
    last_name: Mapped[str | None] = column(Text, mark=OF_RECIPIENT)
    attributes: Mapped[dict[str, Any]] = column(Document, mark=OF_RECIPIENT)
    # ISO 3166-1 alpha-2; from an import, a form or the person, never from an IP address.
    region: Mapped[str | None] = column(String(2), mark=OF_RECIPIENT)
    language: Mapped[str | None] = column(String(16), mark=OF_RECIPIENT)
    zone: Mapped[str | None] = column(String(64), mark=OF_RECIPIENT)
    # The current answer to the purpose open_tracking; the consent ledger holds its history.
    open_tracking: Mapped[Choice] = column(words(Choice), mark=OF_RECIPIENT)
    # A day, kept 60 days: "this person's mail is loaded by Apple's privacy proxy".
    apple_seen_on: Mapped[date | None] = column(Date, mark=OF_RECIPIENT)
    created_at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    # Promotional mail comes again from then on; an instant that is past holds nothing back.
    paused_until: Mapped[datetime | None] = column(UtcDateTime, mark=OF_RECIPIENT)
    # None, and never "any", where nothing was chosen: the rule of who may get what asks for NULL.
    frequency: Mapped[Frequency | None] = column(words(Frequency), mark=OF_RECIPIENT)
    # Since when ``language`` is the person's own choice, which no file overrides.
    language_since: Mapped[datetime | None] = column(UtcDateTime, mark=OF_RECIPIENT)


class Attribute(Base):
    """A field that describes recipients, beyond the columns every recipient has."""

    __tablename__ = "attributes"

    name: Mapped[str] = column(String(64), primary_key=True)
    label: Mapped[str] = column(Text)
    created_at: Mapped[datetime] = column(UtcDateTime)


class Sender(Base):
    """Who a message comes from; a brand of the company, for one message class."""

    __tablename__ = "senders"
    __table_args__ = (
        UniqueConstraint("id", "message_class"),
        CheckConstraint("message_class IN ('promotional', 'administrative')", name="class"),
    )

    id: Mapped[int] = column(Integer, primary_key=True)
    message_class: Mapped[MessageClass] = column(words(MessageClass))
    name: Mapped[str] = column(Text)
    from_address: Mapped[str] = column(String(320))
    reply_to: Mapped[str] = column(String(320))
    postal_address: Mapped[str] = column(Text)
    base_url: Mapped[str] = column(Text)
    ip_pool: Mapped[str | None] = column(String(64))
    created_at: Mapped[datetime] = column(UtcDateTime)


class Topic(Base):
    """What one can be subscribed to; it has one class, for ever, and one sender of that class."""

    __tablename__ = "topics"
    __table_args__ = (
        UniqueConstraint("slug"),
        UniqueConstraint("id", "message_class"),
        ForeignKeyConstraint(
            ["sender_id", "message_class"], ["senders.id", "senders.message_class"]
        ),
        CheckConstraint("message_class IN ('promotional', 'administrative')", name="class"),
        # Whoever was never asked can't be measured by name where consent is needed.
        CheckConstraint("unasked_tracking IN ('off', 'aggregate')", name="unasked"),
        CheckConstraint("message_class = 'promotional' OR tracking = 'off'", name="pixel"),
        {"sqlite_autoincrement": True},
    )

    # In people's unsubscribe links: never used again.
    id: Mapped[int] = column(BigId, primary_key=True)
    slug: Mapped[str] = column(String(64))
    name: Mapped[str] = column(Text)
    description: Mapped[str] = column(Text)
    message_class: Mapped[MessageClass] = column(words(MessageClass))
    sender_id: Mapped[int] = column(Integer)
    tracking: Mapped[TrackingMode] = column(words(TrackingMode))
    unasked_tracking: Mapped[TrackingMode] = column(words(TrackingMode))
    created_at: Mapped[datetime] = column(UtcDateTime)


class Subscription(Base):
    """Where one person stands with one topic; the consent ledger holds how it came to be."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_topic_id_state", "topic_id", "state"),
        {"sqlite_with_rowid": False},
    )

    recipient_id: Mapped[int] = column(
        BigId, ForeignKey("recipients.id"), primary_key=True, mark=OF_RECIPIENT
    )
    topic_id: Mapped[int] = column(
        BigId, ForeignKey("topics.id"), primary_key=True, mark=OF_RECIPIENT
    )
    state: Mapped[SubscriptionState] = column(words(SubscriptionState), mark=OF_RECIPIENT)
    source: Mapped[Source] = column(words(Source), mark=OF_RECIPIENT)
    since: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    policy_version_id: Mapped[int] = column(
        Integer, ForeignKey("policy_versions.id"), mark=OF_RECIPIENT
    )


class SignUp(Base):
    """A topic that somebody asked for at an address, until the mailbox's owner confirms it.

    Apart from ``subscriptions``: whoever knows an address may ask, and what is on file of its owner
    stays as it is until they answer.
    """

    __tablename__ = "sign_ups"
    __table_args__ = ({"sqlite_with_rowid": False},)

    recipient_id: Mapped[int] = column(
        BigId, ForeignKey("recipients.id"), primary_key=True, mark=OF_RECIPIENT
    )
    topic_id: Mapped[int] = column(
        BigId, ForeignKey("topics.id"), primary_key=True, mark=OF_RECIPIENT
    )
    asked_at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    source: Mapped[Source] = column(words(Source), mark=OF_RECIPIENT)
    # Which form, or which key of a program.
    source_ref: Mapped[str | None] = column(String(64), mark=OF_RECIPIENT)
    wording_id: Mapped[int] = column(Integer, ForeignKey("wordings.id"), mark=OF_RECIPIENT)
    language: Mapped[str] = column(String(16), mark=OF_RECIPIENT)
