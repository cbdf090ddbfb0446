"""The people who run mailprefs, how they sign in, and what they did."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped

from mailprefs.policy import Role
from mailprefs.schema.base import OF_STAFF, Base, BigId, Document, UtcDateTime, column, words


class Staff(Base):
    """A person with roles who signs in to the staff pages."""

    __tablename__ = "staff"
    __table_args__ = (
        UniqueConstraint("email"),
        UniqueConstraint("session_key"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(Integer, primary_key=True)
    email: Mapped[str] = column(String(320), mark=OF_STAFF)
    name: Mapped[str] = column(Text, mark=OF_STAFF)
    password_hash: Mapped[str | None] = column(Text, mark=OF_STAFF)
    # Changed with the password, which ends every session of this person.
    session_key: Mapped[str] = column(String(64), mark=OF_STAFF)
    active: Mapped[bool] = column(Boolean)
    created_at: Mapped[datetime] = column(UtcDateTime)


class StaffRole(Base):
    """One role of one member of staff."""

    __tablename__ = "staff_roles"

    staff_id: Mapped[int] = column(Integer, ForeignKey("staff.id"), primary_key=True)
    role: Mapped[Role] = column(words(Role), primary_key=True)


class SignInLink(Base):
    """A single-use link that signs a member of staff in; only a hash of its nonce is kept."""

    __tablename__ = "sign_in_links"

    nonce_hash: Mapped[bytes] = column(LargeBinary(32), primary_key=True)
    staff_id: Mapped[int] = column(Integer, ForeignKey("staff.id"))
    expires_at: Mapped[datetime] = column(UtcDateTime)
    used_at: Mapped[datetime | None] = column(UtcDateTime)


class ApiKey(Base):
    """A key of one of the company's own programs; only a hash of it is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("key_hash"), {"sqlite_autoincrement": True})

    id: Mapped[int] = column(Integer, primary_key=True)
    # Which program it is for.
    name: Mapped[str] = column(String(80))
    # SHA-256 of 256 random bits: there is nothing to try out.
    key_hash: Mapped[bytes] = column(LargeBinary(32))
    # policy.KeyScope, several.
    scopes: Mapped[list[Any]] = column(Document)
    created_at: Mapped[datetime] = column(UtcDateTime)
    # None: whoever holds the console.
    created_by: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    expires_at: Mapped[datetime] = column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = column(UtcDateTime)
    last_used_on: Mapped[date | None] = column(Date)


class AuditEntry(Base):
    """Who did what, when and why; append-only, and free of recipients' data by rule."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_subject_kind_subject_id", "subject_kind", "subject_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(BigId, primary_key=True)
    at: Mapped[datetime] = column(UtcDateTime)
    # None: the system itself.
    staff_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    # "page", "console" or "api"; "system" for what nobody asked for.
    door: Mapped[str] = column(String(16))
    action: Mapped[str] = column(String(64))
    subject_kind: Mapped[str] = column(String(32))
    subject_id: Mapped[str] = column(String(64))
    reason: Mapped[str | None] = column(Text)
    details: Mapped[dict[str, Any]] = column(Document)
