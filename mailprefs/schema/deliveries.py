"""The send ledger: deliveries, batches, hand-overs, and the pace of the vendor."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped

from mailprefs.policy import MessageClass
from mailprefs.schema.base import (
    LINK_TO_PERSON,
    OF_RECIPIENT,
    Base,
    BigId,
    Document,
    UtcDateTime,
    column,
    words,
)


class OwnState(StrEnum):
    """A state that a delivery has for itself; without one it is in its batch's state."""

    SKIPPED = "skipped"
    FAILED = "failed"


class BatchState(StrEnum):
    """Where a batch stands; ``unknown`` may have been accepted: never sent again by itself."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Decision(StrEnum):
    """What was done about a hand-over of which nobody knows whether it was accepted."""

    AGAIN = "again_by_itself"
    RESENT = "resent"
    ACCEPTED = "taken_as_accepted"


class Delivery(Base):
    """One campaign x one recipient; insert-only but for its own state and erasure.

    ``id`` is ``campaign_id << 32 | ordinal`` (ordinal from 1): the 8 bytes that stand in links, in
    the spool and in the vendor's custom arguments. No foreign keys: recipients' ids are never used
    again, the campaign is part of the key, and a million rows are inserted in seconds.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("id >> 32 = campaign_id", name="campaign"),
        CheckConstraint("(own_state IS NULL) = (own_reason IS NULL)", name="own"),
        # Nobody twice in one campaign; a standing campaign's messages are told apart by their key.
        Index(
            "uq_deliveries_campaign_id_recipient_id",
            "campaign_id",
            "recipient_id",
            unique=True,
            sqlite_where=text("idempotency_key IS NULL"),
            postgresql_where=text("idempotency_key IS NULL"),
        ),
        Index(
            "uq_deliveries_campaign_id_idempotency_key",
            "campaign_id",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "ix_deliveries_own_state",
            "campaign_id",
            "own_state",
            "own_reason",
            sqlite_where=text("own_state IS NOT NULL"),
            postgresql_where=text("own_state IS NOT NULL"),
        ),
        # Campaigns find a person by the unique index of each; single messages have none.
        Index(
            "ix_deliveries_recipient_id",
            "recipient_id",
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    id: Mapped[int] = column(BigId, primary_key=True, autoincrement=False)
    campaign_id: Mapped[int] = column(Integer)
    recipient_id: Mapped[int | None] = column(BigId, mark=LINK_TO_PERSON)
    policy_version_id: Mapped[int] = column(Integer)
    own_state: Mapped[OwnState | None] = column(words(OwnState))
    own_reason: Mapped[str | None] = column(String(24))
    # Whoever made it up may have put a person into it.
    idempotency_key: Mapped[str | None] = column(String(64), mark=LINK_TO_PERSON)


class LastPromotion(Base):
    """Which campaign last reached somebody who wants at most one promotional message a week.

    Only of people who chose that, written by the claim. No foreign keys: a claim has looked at the
    person and the campaign already.
    """

    __tablename__ = "last_promotions"

    recipient_id: Mapped[int] = column(
        BigId, primary_key=True, autoincrement=False, mark=OF_RECIPIENT
    )
    campaign_id: Mapped[int] = column(Integer, mark=OF_RECIPIENT)
    at: Mapped[datetime] = column(UtcDateTime, mark=OF_RECIPIENT)


class SingleValues(Base):
    """The merge values of one single message (a fresh link, a confirmation)."""

    __tablename__ = "single_values"

    delivery_id: Mapped[int] = column(
        BigId, primary_key=True, autoincrement=False, mark=OF_RECIPIENT
    )
    values: Mapped[dict[str, Any]] = column(Document, mark=OF_RECIPIENT)


class Batch(Base):
    """One vendor call's worth of deliveries of one content: the ids from first to last."""

    __tablename__ = "batches"
    __table_args__ = (
        Index(
            "ix_batches_pending",
            "campaign_id",
            "priority",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_batches_sending",
            "lease_until",
            sqlite_where=text("state = 'sending'"),
            postgresql_where=text("state = 'sending'"),
        ),
        Index(
            "ix_batches_unknown",
            "campaign_id",
            sqlite_where=text("state = 'unknown'"),
            postgresql_where=text("state = 'unknown'"),
        ),
        Index("ix_batches_campaign_id_first_id", "campaign_id", "first_id"),
        Index(
            "ix_batches_after_id",
            "after_id",
            sqlite_where=text("after_id IS NOT NULL"),
            postgresql_where=text("after_id IS NOT NULL"),
        ),
        CheckConstraint("own BETWEEN 0 AND n", name="own"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    campaign_id: Mapped[int] = column(Integer, ForeignKey("campaigns.id"))
    content_id: Mapped[int] = column(BigId, ForeignKey("contents.id"))
    # Lower ones of a campaign are claimed first; between campaigns, the class decides.
    priority: Mapped[int] = column(SmallInteger)
    first_id: Mapped[int] = column(BigId)
    last_id: Mapped[int] = column(BigId)
    n: Mapped[int] = column(Integer)
    # How many of the n have a state of their own.
    own: Mapped[int] = column(Integer)
    state: Mapped[BatchState] = column(words(BatchState))
    # The hand-over that holds it while sending, or whose outcome it has.
    hand_over_id: Mapped[int | None] = column(BigId)
    owner: Mapped[str | None] = column(String(64))
    lease_until: Mapped[datetime | None] = column(UtcDateTime)
    # The unclear hand-over that these people are claimed again after: they may get a second copy.
    after_id: Mapped[int | None] = column(BigId)


LOST: Final = "The worker that held this call was lost; it may have been accepted."
"""The reason of a hand-over that nobody has answered; it ended when somebody noticed."""


class HandOver(Base):
    """One vendor call made for a batch: what was handed over, when, and what came of it."""

    __tablename__ = "hand_overs"
    __table_args__ = (
        Index("ix_hand_overs_batch_id", "batch_id"),
        Index("ix_hand_overs_campaign_id", "campaign_id"),
        Index("ix_hand_overs_message_id", "message_id"),
        Index(
            "ix_hand_overs_heard",
            "id",
            sqlite_where=text("heard_at IS NOT NULL"),
            postgresql_where=text("heard_at IS NOT NULL"),
        ),
        Index(
            "ix_hand_overs_after_id",
            "campaign_id",
            "after_id",
            sqlite_where=text("after_id IS NOT NULL"),
            postgresql_where=text("after_id IS NOT NULL"),
        ),
        Index("ix_hand_overs_claimed_at", "claimed_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    batch_id: Mapped[int] = column(BigId, ForeignKey("batches.id"))
    campaign_id: Mapped[int] = column(Integer)
    message_class: Mapped[MessageClass] = column(words(MessageClass))
    vendor: Mapped[str] = column(String(32))
    # How many people the request carried, and which of their fields, comma-separated.
    n: Mapped[int] = column(Integer)
    fields: Mapped[str] = column(Text)
    # One character a delivery from the batch's first to its last: i individual, a aggregate,
    # o off, - not part of this call.
    modes: Mapped[str] = column(Text)
    owner: Mapped[str] = column(String(64))
    claimed_at: Mapped[datetime] = column(UtcDateTime)
    ended_at: Mapped[datetime | None] = column(UtcDateTime)
    # A vendor.message.Verdict, or "given_back" when the request never began; None while it runs.
    outcome: Mapped[str | None] = column(String(24))
    status: Mapped[int | None] = column(SmallInteger)
    message_id: Mapped[str | None] = column(String(128))
    reason: Mapped[str | None] = column(Text)
    # The earlier, unclear hand-over of the same people: this one may be their second copy.
    after_id: Mapped[int | None] = column(BigId)
    # When the first event of one of its deliveries came: proof that the vendor accepted all of it.
    heard_at: Mapped[datetime | None] = column(UtcDateTime)
    # What was decided when nobody knew whether it was accepted, and when.
    decision: Mapped[Decision | None] = column(words(Decision))
    decided_at: Mapped[datetime | None] = column(UtcDateTime)


class VendorPace(Base):
    """What all workers obey before a claim: limiter, common wait, stop and breaker."""

    __tablename__ = "vendor_pace"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    # The limiter's theoretical arrival time: the next batch may be claimed from then on.
    next_turn_at: Mapped[datetime] = column(UtcDateTime)
    wait_until: Mapped[datetime | None] = column(UtcDateTime)
    waits: Mapped[int] = column(Integer)
    stopped_at: Mapped[datetime | None] = column(UtcDateTime)
    stopped_reason: Mapped[str | None] = column(Text)
    # The breaker: unclear answers in a row, and since when nothing but probes is claimed.
    unclear: Mapped[int] = column(Integer, server_default=text("0"))
    opened_at: Mapped[datetime | None] = column(UtcDateTime)
    # No probe begins before; the hand-over of the one that is under way, and how many there were.
    probe_at: Mapped[datetime | None] = column(UtcDateTime)
    probing_id: Mapped[int | None] = column(BigId)
    probes: Mapped[int] = column(Integer, server_default=text("0"))
