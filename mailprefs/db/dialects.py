"""The few statements that SQLite and PostgreSQL spell differently."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Table,
    UpdateBase,
    cast,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, QueryableAttribute, Session

from mailprefs.schema.base import UtcDateTime


def is_sqlite(session: Session) -> bool:
    """Tell whether the session speaks to SQLite."""
    return session.get_bind().dialect.name == "sqlite"


def insert(
    session: Session, table: type[DeclarativeBase] | Table
) -> postgresql.Insert | sqlite.Insert:
    """Give the dialect's INSERT, which both spell ``on_conflict_do_...`` alike."""
    if is_sqlite(session):
        return sqlite.insert(table)
    return postgresql.insert(table)


def among(
    session: Session, column: QueryableAttribute[int] | ColumnElement[int], ids: Iterable[int]
) -> ColumnElement[bool]:
    """Give ``column IN ids`` as one bound value, so that the statement's text stays the same.

    SQLite reads the ids from a JSON array, PostgreSQL from a bigint array.
    """
    values = list(ids)
    if is_sqlite(session):
        members = func.json_each("[" + ",".join(map(str, values)) + "]").table_valued("value")
        return column.in_(select(members.c.value))
    return column == func.any(literal(values, postgresql.ARRAY(postgresql.BIGINT)))


def changed(
    session: Session, statement: UpdateBase, values: Mapping[str, object] | None = None
) -> int:
    """Run an INSERT, UPDATE or DELETE, and give how many rows it changed."""
    counted = {"preserve_rowcount": True}
    return session.connection().execute(statement, values, execution_options=counted).rowcount


def octets(session: Session, column: QueryableAttribute[str]) -> ColumnElement[int]:
    """Give how many bytes a text has in UTF-8; more than characters where it isn't ASCII."""
    if is_sqlite(session):
        return func.length(cast(column, LargeBinary))
    return func.octet_length(column)


def clock(session: Session) -> ColumnElement[datetime]:
    """Give the database's clock as a value within a statement, which saves asking for it."""
    if is_sqlite(session):
        return literal(datetime.now(UTC), UtcDateTime)
    return func.clock_timestamp(type_=UtcDateTime)


def database_time(session: Session) -> datetime:
    """Give the time by the database's clock, in UTC: leases are compared by nothing else."""
    if is_sqlite(session):
        return datetime.now(UTC)
    moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)
