"""What people wrote to us or told us on our pages, kept for a short while."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import INBOUND, Base, BigId, Document, UtcDateTime, column


class InboundRow(Base):
    """One mail to our mailbox, or one address that was reported as a child's.

    What it says is kept until somebody has dealt with it, and 30 days at most; that it came, for 30
    days, so that a copy of it does nothing.
    """

    __tablename__ = "inbound_mails"
    __table_args__ = (
        UniqueConstraint("digest"),
        Index("ix_inbound_mails_received_at", "received_at"),
        Index("ix_inbound_mails_recipient_id", "recipient_id"),
        Index("ix_inbound_mails_sender_hash", "sender_hash"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True, mark=INBOUND)
    # Keyed: the same for all copies of one mail, and nothing can be told from it; random for what
    # has no copies.
    digest: Mapped[bytes] = column(LargeBinary(16), mark=INBOUND)
    received_at: Mapped[datetime] = column(UtcDateTime, mark=INBOUND)
    # An inbound.Wish.
    wish: Mapped[str] = column(String(24), mark=INBOUND)
    # Whose token it held, else who is on file under the address of ``sender_hash``.
    recipient_id: Mapped[int | None] = column(BigId, mark=INBOUND)
    # The sender's address, or the reported one, keyed as ``recipients.address_hash``: so that
    # erasing finds it whoever is on file.
    sender_hash: Mapped[bytes | None] = column(LargeBinary(16), mark=INBOUND)
    # The sender's domain vouched for it.
    is_proven: Mapped[bool] = column(Boolean, mark=INBOUND)
    # None as soon as somebody has dealt with it, and from the start where nobody has to.
    sender: Mapped[str | None] = column(Text, mark=INBOUND)
    subject: Mapped[str | None] = column(Text, mark=INBOUND)
    body: Mapped[str | None] = column(Text, mark=INBOUND)
    # Names and kinds of what hung on it.
    attachments: Mapped[list[Any]] = column(Document, mark=INBOUND)
    # The delivery of the message that passes it on to the contact.
    forward_id: Mapped[int | None] = column(BigId, mark=INBOUND)
    # That of the link to their own choices, which went to the address on file.
    link_id: Mapped[int | None] = column(BigId, mark=INBOUND)
    handled_at: Mapped[datetime | None] = column(UtcDateTime, mark=INBOUND)
    handled_by: Mapped[int | None] = column(Integer, ForeignKey("staff.id"), mark=INBOUND)
