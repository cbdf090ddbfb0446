"""Imports: where people came from, how far each file got, and what was refused."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import Base, BigId, Document, UtcDateTime, column, words


class ImportedAs(StrEnum):
    """What a file says of the people in it."""

    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class Import(Base):
    """One run of one file; killed half way, the next run of the same file goes on."""

    __tablename__ = "imports"

    id: Mapped[int] = column(Integer, primary_key=True)
    topic_id: Mapped[int] = column(BigId, ForeignKey("topics.id"))
    digest: Mapped[bytes] = column(LargeBinary(32))
    imported_as: Mapped[ImportedAs] = column(words(ImportedAs))
    # Where these people agreed, in the words of whoever imported them.
    source: Mapped[str] = column(Text)
    policy_version_id: Mapped[int] = column(Integer, ForeignKey("policy_versions.id"))
    staff_id: Mapped[int | None] = column(Integer, ForeignKey("staff.id"))
    started_at: Mapped[datetime] = column(UtcDateTime)
    finished_at: Mapped[datetime | None] = column(UtcDateTime)
    # Rows of the file that are done, and the counts up to there.
    rows_done: Mapped[int] = column(Integer)
    counts: Mapped[dict[str, Any]] = column(Document)


class ImportRefusal(Base):
    """One line of a file that was refused, and why, without what stood in it."""

    __tablename__ = "import_refusals"

    import_id: Mapped[int] = column(Integer, ForeignKey("imports.id"), primary_key=True)
    line: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    field: Mapped[str | None] = column(String(64))
    reason: Mapped[str] = column(Text)
