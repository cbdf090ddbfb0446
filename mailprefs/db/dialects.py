"""The few statements that SQLite and PostgreSQL spell differently."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    LargeBinary,
    Table,
    Text,
    TypeDecorator,
    UpdateBase,
    bindparam,
    cast,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, QueryableAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

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


class Ids(TypeDecorator[Sequence[int]]):
    """Ids as one bound value: a JSON array for SQLite, a bigint array for PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Give the type as the database has it."""
        return Text() if dialect.name == "sqlite" else postgresql.ARRAY(postgresql.BIGINT)

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> Any:  # noqa: ANN401 - a text or a list
        """Give ids as the driver takes them."""
        if value is None or dialect.name != "sqlite":
            return value
        return "[" + ",".join(map(str, value)) + "]"


class listed(FunctionElement[bool]):  # noqa: N801 - reads as a function, which it is in SQL
    """``column IN ids``, where ids are given by a name when the statement runs.

    As ``among``, for statements that are compiled once (``Kept``).
    """

    inherit_cache = True
    # As a boolean it would be compared with 1 on SQLite, which then finds it by no index.
    type = NullType()  # type: ignore[assignment]  # see above

    def __init__(self, column: QueryableAttribute[int] | ColumnElement[int], name: str) -> None:
        """Look for *column* among the ids that are given as *name*."""
        super().__init__(column, bindparam(name, type_=Ids()))


@compiles(listed, "sqlite")
def _listed_sqlite(element: listed, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    column, ids = (compiler.process(one, **words) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - of SQLAlchemy's making


@compiles(listed, "postgresql")
def _listed_postgresql(element: listed, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    column, ids = (compiler.process(one, **words) for one in element.clauses)
    return f"{column} = ANY({ids})"


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
