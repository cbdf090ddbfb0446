"""Which installation this database is the live one of, and how many refusals it knows."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Integer, String
from sqlalchemy.orm import Mapped

from mailprefs.schema.base import Base, BigId, UtcDateTime, column


class InstanceRow(Base):
    """The one row by which a database knows itself; a copy of it has the same, and that is told."""

    __tablename__ = "instance"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    # A random name, also in a file beside the keys; None until the service first ran.
    name: Mapped[str | None] = column(String(32))
    # How many refusals were committed: the number of the journal's newest line, or more.
    refusals: Mapped[int] = column(BigId)
    adopted_at: Mapped[datetime | None] = column(UtcDateTime)


class InstanceMachine(Base):
    """A machine that may send for this database, by a hash of its own number."""

    __tablename__ = "instance_machines"

    machine: Mapped[str] = column(String(32), primary_key=True)
    joined_at: Mapped[datetime] = column(UtcDateTime)
