"""What stands in the way of the sending, since when, and who has been told."""

from datetime import datetime

from sqlalchemy import Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import Base, UtcDateTime, column


class Alarm(Base):
    """One condition of the installation, from when it was first seen to when it was gone.

    Its sentence names campaigns and machines by number and name, never a person.
    """

    __tablename__ = "alarms"
    __table_args__ = (
        Index(
            "uq_alarms_kind_subject",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
        Index("ix_alarms_cleared_at", "cleared_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = column(Integer, primary_key=True)
    # An alarms.kinds.AlarmKind; a later release may know more of them.
    kind: Mapped[str] = column(String(32))
    # What it is about, such as "campaign 7" or a machine's name; "" for the installation.
    subject: Mapped[str] = column(String(128))
    sentence: Mapped[str] = column(Text)
    # When the condition itself began, which is before anybody looked.
    since: Mapped[datetime] = column(UtcDateTime)
    raised_at: Mapped[datetime] = column(UtcDateTime)
    last_seen: Mapped[datetime] = column(UtcDateTime)
    cleared_at: Mapped[datetime | None] = column(UtcDateTime)
    # MAILPREFS_ALARM_URL and the operator's mail, each for the raising and for the clearing.
    told_at: Mapped[datetime | None] = column(UtcDateTime)
    told_cleared_at: Mapped[datetime | None] = column(UtcDateTime)
    mailed_at: Mapped[datetime | None] = column(UtcDateTime)
    mailed_cleared_at: Mapped[datetime | None] = column(UtcDateTime)


class Turn(Base):
    """When a piece of work that one process at a time does was last begun."""

    __tablename__ = "turns"

    name: Mapped[str] = column(String(32), primary_key=True)
    taken_at: Mapped[datetime] = column(UtcDateTime)
