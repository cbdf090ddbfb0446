"""Erasures: the proof of each, without the person, and what is left to do about it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import (
    KEYED_HASH,
    SEALED,
    Base,
    BigId,
    Document,
    UtcDateTime,
    column,
)


class ErasureOrder(Base):
    """One erasure: when, how many rows of which tables, and how far the vendor and the disk are.

    An address that is erased again, because its owner had come back, has one more.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        Index("ix_erasures_address_hash", "address_hash"),
        Index(
            "ix_erasures_open",
            "id",
            sqlite_where=text("sealed IS NOT NULL OR cleaned_at IS NULL"),
            postgresql_where=text("sealed IS NOT NULL OR cleaned_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    address_hash: Mapped[bytes] = column(LargeBinary(16), mark=KEYED_HASH)
    address_key_id: Mapped[int] = column(SmallInteger)
    # The number that the person had, until nothing can hold it any more; None: never a recipient.
    number: Mapped[int | None] = column(BigId, mark=SEALED)
    # The address, encrypted, until the vendor has taken the order to erase it.
    sealed: Mapped[bytes | None] = column(LargeBinary, mark=SEALED)
    erased_at: Mapped[datetime] = column(UtcDateTime)
    removed: Mapped[dict[str, Any]] = column(Document)
    # Calls to the vendor so far, when the next one is due, and what the last one came to.
    calls: Mapped[int] = column(Integer)
    call_at: Mapped[datetime] = column(UtcDateTime)
    failure: Mapped[str | None] = column(Text)
    vendor_took_at: Mapped[datetime | None] = column(UtcDateTime)
    # When what was deleted was last cleaned out of the database's files; None: that is to be done.
    cleaned_at: Mapped[datetime | None] = column(UtcDateTime)
