"""The base of all tables: the UTC date-time, the words, and the privacy mark of each column."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum as PythonEnum
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, MetaData, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column


class Erasure(StrEnum):
    """What erasing a person does to a column."""

    KEEP = "keep"
    NULL = "null"
    ROW = "row"


class Retention(StrEnum):
    """How long a column's values are kept."""

    ALWAYS = "always"
    RECIPIENT = "while the recipient is known"
    LEDGER = "three years after the last entry"
    EVIDENCE = "30 days, then day and kind for 13 months"
    WEBHOOK = "7 days"
    INBOUND = "until somebody has dealt with it, 30 days at most"
    STAFF = "while the person is on the staff"
    ORDER = "until the order to erase is carried out"
    HOLD = "until the legal hold is lifted"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a column means for a person: erasure, retention and the data map follow it."""

    personal: bool
    erasure: Erasure
    retention: Retention


PLAIN = Mark(personal=False, erasure=Erasure.KEEP, retention=Retention.ALWAYS)
OF_RECIPIENT = Mark(personal=True, erasure=Erasure.ROW, retention=Retention.RECIPIENT)
LINK_TO_PERSON = Mark(personal=True, erasure=Erasure.NULL, retention=Retention.ALWAYS)
LEDGER = Mark(personal=True, erasure=Erasure.NULL, retention=Retention.LEDGER)
EVIDENCE = Mark(personal=True, erasure=Erasure.ROW, retention=Retention.EVIDENCE)
WEBHOOK = Mark(personal=True, erasure=Erasure.ROW, retention=Retention.WEBHOOK)
INBOUND = Mark(personal=True, erasure=Erasure.ROW, retention=Retention.INBOUND)
# A keyed hash outlives erasure: neither an import nor a late event brings the person back.
KEYED_HASH = Mark(personal=True, erasure=Erasure.KEEP, retention=Retention.ALWAYS)
# A delivery that is never counted, for ever; once its link to the person is gone it is nobody's.
SILENCED = Mark(personal=True, erasure=Erasure.KEEP, retention=Retention.ALWAYS)
# What an erasure that is under way needs: gone as soon as it has been carried out everywhere.
SEALED = Mark(personal=True, erasure=Erasure.KEEP, retention=Retention.ORDER)
# What an erased child's data is sealed into while a legal hold is in force.
SEALED_COPY = Mark(personal=True, erasure=Erasure.KEEP, retention=Retention.HOLD)
OF_STAFF = Mark(personal=True, erasure=Erasure.KEEP, retention=Retention.STAFF)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC date-time, to the microsecond; naive values are refused when bound.

    PostgreSQL: ``timestamptz``. SQLite: text ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the value as the driver wants it; raise ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "A date-time without a zone can't be stored; pass an aware one."
            raise ValueError(msg)
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the stored value back as an aware UTC date-time."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of every mapped class; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# SQLite gives a rowid only to a column declared exactly INTEGER; both hold 64 bits.
BigId = BigInteger().with_variant(Integer(), "sqlite")
Document = JSON().with_variant(JSONB(), "postgresql")


def words(kind: type[PythonEnum]) -> Enum:
    """Give the column type that stores a closed list of words by value (at most 24 characters)."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=24,
        values_callable=lambda members: [str(member.value) for member in members],
        validate_strings=True,
    )


def column(*args: Any, mark: Mark = PLAIN, **options: Any) -> MappedColumn[Any]:  # noqa: ANN401 - passes SQLAlchemy's own arguments through
    """Declare a column with its privacy mark; the walking tests fail for a column without one."""
    return mapped_column(*args, info={"mark": mark}, **options)
