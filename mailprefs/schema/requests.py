"""What people asked about all that is kept of them: to have it, or to have it erased."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped

from mailprefs.policy import DataRequest
from mailprefs.schema.base import OF_RECIPIENT, Base, BigId, UtcDateTime, column, words


class DataRequestRow(Base):
    """One link that was mailed to a person, good once; only a hash of its nonce is kept."""

    __tablename__ = "data_requests"
    __table_args__ = (
        Index("ix_data_requests_recipient_id", "recipient_id"),
        Index("ix_data_requests_asked_at", "asked_at"),
    )

    nonce_hash: Mapped[bytes] = column(LargeBinary(32), primary_key=True, mark=OF_RECIPIENT)
    recipient_id: Mapped[int] = column(BigId, ForeignKey("recipients.id"), mark=OF_RECIPIENT)
    kind: Mapped[DataRequest] = column(words(DataRequest), mark=OF_RECIPIENT)
    asked_at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    expires_at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    used_at: Mapped[datetime | None] = column(UtcDateTime, mark=OF_RECIPIENT)
