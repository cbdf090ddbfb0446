"""What the law asks of us about people: holds on their data, and what was disclosed to whom."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped

from mailprefs.policy import Source
from mailprefs.schema.base import (
    KEYED_HASH,
    LINK_TO_PERSON,
    SEALED_COPY,
    Base,
    BigId,
    UtcDateTime,
    column,
    words,
)


class DisclosureBasis(StrEnum):
    """On which ground data about people went to somebody else."""

    VENDOR = "vendor"
    AFFILIATE = "affiliate"
    LAW = "law"
    TRANSFER = "transfer"
    CONSENT = "consent"


class LegalHold(Base):
    """That nothing of one person may be deleted for now: since when, by whom and why.

    The person is known by the keyed hash of the address, which outlives a child's erasure.
    """

    __tablename__ = "legal_holds"
    __table_args__ = (
        Index("ix_legal_holds_address_hash", "address_hash"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    address_hash: Mapped[bytes] = column(LargeBinary(16), mark=KEYED_HASH)
    address_key_id: Mapped[int] = column(SmallInteger)
    reason: Mapped[str] = column(Text)
    placed_at: Mapped[datetime] = column(UtcDateTime)
    # None: whoever held the console.
    placed_by: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    # An erasure that was asked for meanwhile, and by which door: it is done when the hold is over.
    erasure_asked_at: Mapped[datetime | None] = column(UtcDateTime)
    erasure_source: Mapped[Source | None] = column(words(Source))
    # All that was kept of a child who was erased meanwhile, encrypted, until the hold is over.
    sealed: Mapped[bytes | None] = column(LargeBinary, mark=SEALED_COPY)
    # None: it is in force.
    lifted_at: Mapped[datetime | None] = column(UtcDateTime)
    lifted_by: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    lifted_because: Mapped[str | None] = column(Text)


class Disclosure(Base):
    """One time that data about people went to somebody else, on which ground and why.

    What the vendor of the mail gets with each message stands in ``hand_overs``, and nowhere twice.
    """

    __tablename__ = "disclosures"
    __table_args__ = (
        Index("ix_disclosures_at", "at"),
        Index("ix_disclosures_recipient_id", "recipient_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    at: Mapped[datetime] = column(UtcDateTime)
    basis: Mapped[DisclosureBasis] = column(words(DisclosureBasis))
    to_whom: Mapped[str] = column(Text)
    # Which fields, comma-separated, and of how many people.
    fields: Mapped[str] = column(Text)
    n: Mapped[int] = column(Integer)
    reason: Mapped[str] = column(Text)
    # None: whoever held the console.
    staff_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    # Whose, where it was one person; no foreign key, as the entry outlives them.
    recipient_id: Mapped[int | None] = column(BigId, mark=LINK_TO_PERSON)
    # Of the file that mailprefs made for it, if it made one.
    sha256: Mapped[bytes | None] = column(LargeBinary(32))
