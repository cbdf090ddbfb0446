"""Campaigns and their contents."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped

from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.schema.base import Base, BigId, Document, UtcDateTime, column, words


class CampaignState(StrEnum):
    """Where a campaign stands; ``stalled`` is no state but sending without progress."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    FREEZING = "freezing"
    SENDING = "sending"
    PAUSED = "paused"
    HELD = "held"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class SourceFormat(StrEnum):
    """What a content was written in."""

    MARKDOWN = "markdown"
    MJML = "mjml"


class Campaign(Base):
    """One message to an audience; it belongs to one topic and has that topic's class, for ever."""

    __tablename__ = "campaigns"
    __table_args__ = (
        # The database itself refuses a campaign whose class is not its topic's.
        ForeignKeyConstraint(["topic_id", "message_class"], ["topics.id", "topics.message_class"]),
        CheckConstraint(
            "(message_class = 'administrative') = (purpose IS NOT NULL)", name="legal_purpose"
        ),
        CheckConstraint("NOT standing OR message_class = 'administrative'", name="standing"),
        CheckConstraint("approver_id IS NULL OR approver_id <> author_id", name="second_person"),
        # One standing campaign for each kind of single message.
        Index("uq_campaigns_template", "template", unique=True),
        Index("ix_campaigns_state", "state"),
        Index(
            "ix_campaigns_policy_version_id",
            "policy_version_id",
            sqlite_where=text("policy_version_id IS NOT NULL"),
            postgresql_where=text("policy_version_id IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    # Below 2**31, so that campaign and ordinal fit one signed 64-bit delivery id.
    id: Mapped[int] = column(Integer, primary_key=True)
    topic_id: Mapped[int] = column(BigId)
    message_class: Mapped[MessageClass] = column(words(MessageClass))
    name: Mapped[str] = column(Text)
    state: Mapped[CampaignState] = column(words(CampaignState))
    standing: Mapped[bool] = column(Boolean)
    # A standing campaign's kind of single message, such as "fresh_link"; else None.
    template: Mapped[str | None] = column(String(64))
    purpose: Mapped[LegalPurpose | None] = column(words(LegalPurpose))
    reason: Mapped[str | None] = column(Text)
    # Contents of this revision are the current ones; an edit makes a new revision.
    revision: Mapped[int] = column(Integer)
    author_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    editor_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    approver_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    approved_at: Mapped[datetime | None] = column(UtcDateTime)
    # The state to come back to on resume.
    paused_from: Mapped[CampaignState | None] = column(words(CampaignState))
    # Why mailprefs itself paused it (the vendor refuses the message, its time was missed); None
    # when a person did.
    paused_reason: Mapped[str | None] = column(Text)
    due_at: Mapped[datetime | None] = column(UtcDateTime)
    # The IANA zone in which the schedule was said, to show it as it was meant.
    zone: Mapped[str | None] = column(String(64))
    # The IANA zone of this campaign's days and hours in reports.
    report_zone: Mapped[str] = column(String(64))
    created_at: Mapped[datetime] = column(UtcDateTime)
    started_at: Mapped[datetime | None] = column(UtcDateTime)
    first_hand_over_at: Mapped[datetime | None] = column(UtcDateTime)
    finished_at: Mapped[datetime | None] = column(UtcDateTime)
    closed_at: Mapped[datetime | None] = column(UtcDateTime)
    # The freeze goes by recipient id: everyone up to this one has been looked at.
    frozen_to: Mapped[int] = column(BigId)
    freeze_end: Mapped[int | None] = column(BigId)
    chosen: Mapped[int] = column(Integer)
    frozen: Mapped[int] = column(Integer)
    # The local time that was said in the zone: rules of zones change, and it is what was meant.
    due_wall: Mapped[str | None] = column(String(16))
    # Which of two instants, where the zone has that local time twice: 0 the first, 1 the second.
    due_fold: Mapped[int | None] = column(SmallInteger)
    # The policy version of which this tells, if it is its notice; None for all other campaigns.
    policy_version_id: Mapped[int | None] = column(Integer)
    # It begins by then or not at all, because what it tells comes true so long after.
    send_by: Mapped[datetime | None] = column(UtcDateTime)


class Publication(Base):
    """The public page of a campaign whose staff chose one; its address outlasts a withdrawal."""

    __tablename__ = "publications"
    __table_args__ = (UniqueConstraint("slug"),)

    campaign_id: Mapped[int] = column(Integer, ForeignKey("campaigns.id"), primary_key=True)
    # The last part of the address: words of the subject, and a random end.
    slug: Mapped[str] = column(String(64))
    is_public: Mapped[bool] = column(Boolean)


class KeptOut(Base):
    """How many people the freeze kept out of a campaign, by reason."""

    __tablename__ = "kept_out"

    campaign_id: Mapped[int] = column(Integer, ForeignKey("campaigns.id"), primary_key=True)
    reason: Mapped[str] = column(String(24), primary_key=True)
    n: Mapped[int] = column(Integer)


class Content(Base):
    """An immutable subject, text and HTML of a campaign, in one language and variant."""

    __tablename__ = "contents"
    __table_args__ = (
        UniqueConstraint("campaign_id", "revision", "language", "variant"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    campaign_id: Mapped[int] = column(Integer, ForeignKey("campaigns.id"))
    revision: Mapped[int] = column(Integer)
    language: Mapped[str] = column(String(16))
    variant: Mapped[str] = column(String(32))
    format: Mapped[SourceFormat] = column(words(SourceFormat))
    # As the author wrote them.
    subject_source: Mapped[str] = column(Text)
    body_source: Mapped[str] = column(Text)
    # As it is handed over: with the vendor's substitution tags, which hold a random mark.
    subject: Mapped[str] = column(Text)
    text: Mapped[str] = column(Text)
    html: Mapped[str] = column(Text)
    # What makes one person's values for those tags (rendering.content).
    tags: Mapped[dict[str, Any]] = column(Document)
    sha256: Mapped[bytes] = column(LargeBinary(32))
    created_at: Mapped[datetime] = column(UtcDateTime)
