"""What the vendor told us, and what became of sent mail."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import (
    EVIDENCE,
    WEBHOOK,
    Base,
    BigId,
    Document,
    UtcDateTime,
    column,
)


class VendorEventRow(Base):
    """One event of the vendor's webhook, without address, IP address and user agent."""

    __tablename__ = "vendor_events"
    __table_args__ = (
        UniqueConstraint("event_id"),
        UniqueConstraint("natural_key"),
        Index("ix_vendor_events_delivery_id", "delivery_id"),
        Index("ix_vendor_events_received_at", "received_at"),
        # Of a vendor that doesn't track, as it should, there is none.
        Index(
            "ix_vendor_events_tracking",
            "received_at",
            sqlite_where=text("kind IN ('opened', 'clicked')"),
            postgresql_where=text("kind IN ('opened', 'clicked')"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True, mark=WEBHOOK)
    event_id: Mapped[str | None] = column(String(100), mark=WEBHOOK)
    # The same on every copy of one happening, also where the vendor's id changes between copies.
    natural_key: Mapped[str] = column(String(32), mark=WEBHOOK)
    # Not of one of our deliveries: None.
    delivery_id: Mapped[int | None] = column(BigId, mark=WEBHOOK)
    hand_over_id: Mapped[int | None] = column(BigId, mark=WEBHOOK)
    kind: Mapped[str] = column(String(32), mark=WEBHOOK)
    occurred_at: Mapped[datetime] = column(UtcDateTime, mark=WEBHOOK)
    message_id: Mapped[str | None] = column(String(200), mark=WEBHOOK)
    status: Mapped[str | None] = column(String(16), mark=WEBHOOK)
    classification: Mapped[str | None] = column(String(32), mark=WEBHOOK)
    received_at: Mapped[datetime] = column(UtcDateTime, mark=WEBHOOK)


class MailboxFact(Base):
    """The first time that something became known of one sent delivery, such as delivered."""

    __tablename__ = "mailbox_facts"
    __table_args__ = ({"sqlite_with_rowid": False},)

    delivery_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False, mark=EVIDENCE)
    event: Mapped[str] = column(String(24), primary_key=True, mark=EVIDENCE)
    occurred_at: Mapped[datetime] = column(UtcDateTime, mark=EVIDENCE)


class MailboxTotal(Base):
    """How many deliveries of a campaign have one mailbox fact; never lowered by erasure."""

    __tablename__ = "mailbox_totals"

    campaign_id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    event: Mapped[str] = column(String(24), primary_key=True)
    n: Mapped[int] = column(Integer)


class MalformedEvent(Base):
    """An event of the vendor that couldn't be read: why, and nothing of what it said."""

    __tablename__ = "malformed_events"
    __table_args__ = (Index("ix_malformed_events_received_at", "received_at"),)

    # Of the event's text, so that its copies count once; nobody can read it back.
    digest: Mapped[str] = column(String(32), primary_key=True)
    sentence: Mapped[str] = column(Text)
    received_at: Mapped[datetime] = column(UtcDateTime)


class SoftBounce(Base):
    """A mailbox that refused one delivery for the time being; kept while it may count."""

    __tablename__ = "soft_bounces"
    __table_args__ = (
        Index("ix_soft_bounces_recipient_id", "recipient_id"),
        Index("ix_soft_bounces_occurred_at", "occurred_at"),
    )

    delivery_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False, mark=EVIDENCE)
    recipient_id: Mapped[int] = column(BigId, mark=EVIDENCE)
    occurred_at: Mapped[datetime] = column(UtcDateTime, mark=EVIDENCE)


class Reconciliation(Base):
    """One night's comparison with the vendor's suppression lists, and what came of it."""

    __tablename__ = "reconciliations"

    night: Mapped[date] = column(Date, primary_key=True)
    # From when on the lists were asked for.
    since: Mapped[datetime] = column(UtcDateTime)
    started_at: Mapped[datetime] = column(UtcDateTime)
    # None while it runs, and if it was cut off.
    ended_at: Mapped[datetime | None] = column(UtcDateTime)
    found: Mapped[dict[str, Any]] = column(Document)
    failure: Mapped[str | None] = column(Text)
