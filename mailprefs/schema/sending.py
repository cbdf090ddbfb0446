"""What all workers share beside the ledger: counted limits, the pace of calls, who is at work."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Float, Integer, String
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import Base, UtcDateTime, column


class SendCount(Base):
    """How many recipients were claimed lately: of everything, of one class, from one domain.

    ``name`` is "all", a message class, or "from " and the domain of a From address.
    """

    __tablename__ = "send_counts"

    name: Mapped[str] = column(String(300), primary_key=True)
    # The last claim and its size: at so many a second, the next one may come so much later.
    turn_at: Mapped[datetime] = column(UtcDateTime)
    turn_n: Mapped[int] = column(Integer)
    # The hour and the day that are being counted, by their beginnings.
    hour_at: Mapped[datetime] = column(UtcDateTime)
    hour_n: Mapped[int] = column(Integer)
    day_at: Mapped[datetime] = column(UtcDateTime)
    day_n: Mapped[int] = column(Integer)
    # A domain's first hand-over: its days of a ramp plan are counted from then on.
    first_at: Mapped[datetime | None] = column(UtcDateTime)


class CallPace(Base):
    """How many calls a second the vendor takes, as its refusals have taught us; one row."""

    __tablename__ = "call_pace"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    refused_at: Mapped[datetime] = column(UtcDateTime)
    # None until the first claim after a refusal, which works it out.
    rate: Mapped[float | None] = column(Float)
    # What had just been refused: the next rate is below it.
    ceiling: Mapped[float | None] = column(Float)


class Presence(Base):
    """One process that sends: since when, and when it was last seen, by the database's clock."""

    __tablename__ = "presences"

    owner: Mapped[str] = column(String(64), primary_key=True)
    started_at: Mapped[datetime] = column(UtcDateTime)
    seen_at: Mapped[datetime] = column(UtcDateTime)
