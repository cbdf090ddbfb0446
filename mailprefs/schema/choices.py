"""What people chose, under which words and which policy; addresses that are not to be mailed."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped

from mailprefs.policy import LeavingReason, Purpose, Scope, Source, SuppressionReason
from mailprefs.schema.base import (
    KEYED_HASH,
    LEDGER,
    LINK_TO_PERSON,
    OF_RECIPIENT,
    Base,
    BigId,
    UtcDateTime,
    column,
    words,
)


class PolicyState(StrEnum):
    """Whether the date of a policy version holds."""

    # It came or comes into force at its date, and nothing about it changes any more.
    SETTLED = "settled"
    # Its notice hasn't been sent: it isn't in force, whatever its date.
    ANNOUNCED = "announced"
    # Given up before it came into force.
    WITHDRAWN = "withdrawn"


class PolicyVersion(Base):
    """One text of the privacy policy; a trigger refuses every change of what was published."""

    __tablename__ = "policy_versions"
    __table_args__ = (UniqueConstraint("version"),)

    id: Mapped[int] = column(Integer, primary_key=True)
    version: Mapped[str] = column(String(64))
    text: Mapped[str] = column(Text)
    sha256: Mapped[bytes] = column(LargeBinary(32))
    effective_from: Mapped[datetime] = column(UtcDateTime)
    state: Mapped[PolicyState] = column(
        words(PolicyState), default=PolicyState.SETTLED, server_default=PolicyState.SETTLED.value
    )
    # Whether everybody is told by mail, and in which words.
    is_material: Mapped[bool] = column(Boolean, default=False, server_default=false())
    summary: Mapped[str | None] = column(Text)
    # None: published by an earlier release, which didn't note it.
    published_at: Mapped[datetime | None] = column(UtcDateTime)


class PolicyLapse(Base):
    """A purpose for which a policy version asks everybody's consent anew, and how far that is.

    Up to recipient ``done_to`` no earlier yes stands any more; ``ended_at``: nobody's does.
    """

    __tablename__ = "policy_lapses"

    policy_version_id: Mapped[int] = column(
        Integer, ForeignKey("policy_versions.id"), primary_key=True
    )
    purpose: Mapped[Purpose] = column(words(Purpose), primary_key=True)
    done_to: Mapped[int] = column(BigId)
    ended_at: Mapped[datetime | None] = column(UtcDateTime)


class PurposeRow(Base):
    """Something we ask people about; consent is always to one purpose."""

    __tablename__ = "purposes"

    slug: Mapped[str] = column(String(32), primary_key=True)
    name: Mapped[str] = column(Text)


class Wording(Base):
    """The exact words that a person saw when choosing; kept as proof, never changed."""

    __tablename__ = "wordings"
    __table_args__ = (UniqueConstraint("purpose", "language", "sha256"),)

    id: Mapped[int] = column(Integer, primary_key=True)
    purpose: Mapped[str] = column(String(32), ForeignKey("purposes.slug"))
    language: Mapped[str] = column(String(16))
    text: Mapped[str] = column(Text)
    sha256: Mapped[bytes] = column(LargeBinary(32))


class ConsentEntry(Base):
    """One entry of the consent ledger: append-only, chained, erasable without breaking the chain.

    Triggers refuse DELETE, INSERT out of sequence, and every UPDATE but salt, payload and
    recipient_id together to NULL (erasure).
    """

    __tablename__ = "consent_entries"
    __table_args__ = (Index("ix_consent_entries_recipient_id", "recipient_id"),)

    seq: Mapped[int] = column(BigId, primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime] = column(UtcDateTime)
    commitment: Mapped[bytes] = column(LargeBinary(32))
    entry_hash: Mapped[bytes] = column(LargeBinary(32))
    salt: Mapped[bytes | None] = column(LargeBinary(16), mark=LEDGER)
    payload: Mapped[str | None] = column(Text, mark=LEDGER)
    # No foreign key: the entry outlives the person, as an unreadable link of the chain.
    recipient_id: Mapped[int | None] = column(BigId, mark=LEDGER)


class ConsentHead(Base):
    """The one row that says where the ledger ends; locked by whoever appends."""

    __tablename__ = "consent_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    seq: Mapped[int] = column(BigId)
    entry_hash: Mapped[bytes] = column(LargeBinary(32))


class LedgerCheck(Base):
    """The one row of the ledger's nightly check: how far it is, and what the last one found."""

    __tablename__ = "ledger_checks"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    begun_at: Mapped[datetime] = column(UtcDateTime)
    # The last sign of life, and the end; None while it is under way or broke off.
    seen_at: Mapped[datetime] = column(UtcDateTime)
    ended_at: Mapped[datetime | None] = column(UtcDateTime)
    # Everything up to this entry holds.
    seq: Mapped[int] = column(BigId)
    entry_hash: Mapped[bytes] = column(LargeBinary(32))
    # What is wrong, and since when that is known; None while all that was checked holds.
    sentence: Mapped[str | None] = column(Text)
    broken_since: Mapped[datetime | None] = column(UtcDateTime)


class LeavingReasonTotal(Base):
    """How many people of a topic gave one reason for leaving in a month; who, nobody knows."""

    __tablename__ = "leaving_reasons"

    # 0: they left by no message of ours.
    topic_id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False)
    month: Mapped[str] = column(String(7), primary_key=True)
    reason: Mapped[LeavingReason] = column(words(LeavingReason), primary_key=True)
    n: Mapped[int] = column(Integer)


class ReasonGiven(Base):
    """That somebody gave a reason for leaving, and not which: so that each leaving counts once."""

    __tablename__ = "reasons_given"

    recipient_id: Mapped[int] = column(
        BigId, primary_key=True, autoincrement=False, mark=OF_RECIPIENT
    )
    left_at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)


class Suppression(Base):
    """An address, by keyed hash, that is not to be mailed; one row a reason, each liftable."""

    __tablename__ = "suppressions"
    __table_args__ = (
        UniqueConstraint("address_hash", "reason"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    address_hash: Mapped[bytes] = column(LargeBinary(16), mark=KEYED_HASH)
    address_key_id: Mapped[int] = column(SmallInteger)
    scope: Mapped[Scope] = column(words(Scope))
    reason: Mapped[SuppressionReason] = column(words(SuppressionReason))
    source: Mapped[Source] = column(words(Source))
    # The message that caused it, if one did.
    delivery_id: Mapped[int | None] = column(BigId, mark=LINK_TO_PERSON)
    created_at: Mapped[datetime] = column(UtcDateTime)


class SuppressionLift(Base):
    """A suppression that was lifted: which, since when it had stood, by whom and why."""

    __tablename__ = "suppression_lifts"
    __table_args__ = (
        Index("ix_suppression_lifts_address_hash", "address_hash"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True, mark=OF_RECIPIENT)
    address_hash: Mapped[bytes] = column(LargeBinary(16), mark=OF_RECIPIENT)
    reason: Mapped[SuppressionReason] = column(words(SuppressionReason), mark=OF_RECIPIENT)
    source: Mapped[Source] = column(words(Source), mark=OF_RECIPIENT)
    since: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    lifted_at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)
    # None: whoever held the console, or the system itself.
    staff_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"), mark=OF_RECIPIENT)
    because: Mapped[str] = column(Text, mark=OF_RECIPIENT)
