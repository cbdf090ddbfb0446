"""What the vendor told us, and what became of sent mail."""

from datetime import datetime

from sqlalchemy import Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import EVIDENCE, WEBHOOK, Base, BigId, UtcDateTime, column


class VendorEventRow(Base):
    """One event of the vendor's webhook, without address, IP address and user agent."""

    __tablename__ = "vendor_events"
    __table_args__ = (
        UniqueConstraint("event_id"),
        UniqueConstraint("natural_key"),
        Index("ix_vendor_events_delivery_id", "delivery_id"),
        Index("ix_vendor_events_received_at", "received_at"),
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
