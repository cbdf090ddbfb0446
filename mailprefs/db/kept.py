"""Statements of hot paths, compiled once and run by SQLite's driver itself.

SQLAlchemy takes some 60 us to run a statement that SQLite answers in ten, and every batch of a
campaign has eight of them: more than asking about each of its people again. What is written in
SQLAlchemy's words stays so; only what is done each time anew is done once. PostgreSQL, where the
way to the server takes longer than that, runs them as any other statement.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import Dialect, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql import Delete, Insert, Select, TextClause, Update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from mailprefs.db import dialects

_Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete | TextClause
_Convert = Callable[[Any], Any]
_NOTHING: Final[Mapping[str, object]] = {}


class _Bound(NamedTuple):
    """One place in a statement's text: the name it is given by, or None and what it always is."""

    name: str | None
    convert: _Convert | None
    always: object


class _Spelt(NamedTuple):
    """A statement as SQLite's driver takes it, and what makes values of ours of its own."""

    text: str
    places: tuple[_Bound, ...]
    converts: tuple[_Convert | None, ...]

    def given(self, values: Mapping[str, object]) -> list[Any]:
        """Give *values* in the order of the places."""
        return [
            always if name is None else convert(values[name]) if convert else values[name]
            for name, convert, always in self.places
        ]


class Kept:
    """A statement to be run many times, in threads and on both databases alike."""

    def __init__(self, statement: _Statement) -> None:
        """Take a statement; every value that changes is a ``bindparam`` with a type."""
        self.statement = statement
        self._spelt: _Spelt | None = None

    def rows(
        self, session: Session, values: Mapping[str, object] = _NOTHING
    ) -> Sequence[Sequence[Any]]:
        """Run it and give the rows."""
        if not dialects.is_sqlite(session):
            return session.connection().execute(self.statement, values).all()
        converts, found = self._run(session, values)
        rows: list[tuple[Any, ...]] = found.fetchall()
        if not any(converts):
            return rows
        return [
            tuple(
                convert(value) if convert else value
                for convert, value in zip(converts, row, strict=True)
            )
            for row in rows
        ]

    def row(
        self, session: Session, values: Mapping[str, object] = _NOTHING
    ) -> Sequence[Any] | None:
        """Run it and give its one row, or None."""
        rows = self.rows(session, values)
        return rows[0] if rows else None

    def change(self, session: Session, values: Mapping[str, object] = _NOTHING) -> int:
        """Run it and give how many rows it changed."""
        if not dialects.is_sqlite(session):
            counted = {"preserve_rowcount": True}
            connection = session.connection()
            return connection.execute(self.statement, values, execution_options=counted).rowcount
        changed: int = self._run(session, values)[1].rowcount
        return changed

    def change_each(self, session: Session, values: Sequence[Mapping[str, object]]) -> int:
        """Run it with each of *values*, on one way to the server; give how many rows changed."""
        if not values:
            return 0
        connection = session.connection()
        if not dialects.is_sqlite(session):
            counted = {"preserve_rowcount": True}
            done = connection.execute(self.statement, values, execution_options=counted)
            return done.rowcount
        spelt = self._in(connection.dialect)
        driver: Any = connection.connection.driver_connection
        changed: int = driver.executemany(spelt.text, map(spelt.given, values)).rowcount
        return changed

    def _run(
        self, session: Session, values: Mapping[str, object]
    ) -> tuple[Sequence[_Convert | None], Any]:
        connection = session.connection()
        spelt = self._in(connection.dialect)
        driver: Any = connection.connection.driver_connection
        return spelt.converts, driver.execute(spelt.text, spelt.given(values))

    def _in(self, dialect: Dialect) -> _Spelt:
        spelt = self._spelt
        if spelt is None:
            spelt = self._spelt = _spell(self.statement, dialect)
        return spelt


class KeptInsert:
    """An INSERT to be run many times that says ``ON CONFLICT``, which needs the dialect's own."""

    def __init__(self, table: type[DeclarativeBase], names: Sequence[str]) -> None:
        """Insert the columns *names*; their values are given by name."""
        self._columns = {name: table.__table__.c[name] for name in names}
        self._sqlite, self._postgresql = sqlite.insert(table), postgresql.insert(table)
        self._values = {
            name: bindparam(f"{name}_", type_=column.type) for name, column in self._columns.items()
        }
        self._kept: dict[bool, Kept] = {}

    def or_nothing(self) -> Self:
        """Let a row that is there already stay as it is."""
        for is_sqlite, made in self._inserts():
            self._kept[is_sqlite] = Kept(made.on_conflict_do_nothing())
        return self

    def or_update(self, keys: Sequence[str], changes: Mapping[str, Any] | None = None) -> Self:
        """Let a row with the same *keys* get the new values, or *changes*."""
        for is_sqlite, made in self._inserts():
            new = changes or {name: made.excluded[name] for name in self._columns}
            self._kept[is_sqlite] = Kept(
                made.on_conflict_do_update(index_elements=list(keys), set_=dict(new))
            )
        return self

    def change(self, session: Session, **values: object) -> int:
        """Run it and give how many rows it inserted or changed."""
        return self._kept[dialects.is_sqlite(session)].change(session, _named(values))

    def change_each(self, session: Session, values: Sequence[Mapping[str, object]]) -> int:
        """Run it with each of *values*, and give how many rows it inserted or changed."""
        kept = self._kept[dialects.is_sqlite(session)]
        return kept.change_each(session, list(map(_named, values)))

    def _inserts(self) -> Iterator[tuple[bool, Any]]:
        """Give SQLite's and PostgreSQL's; inline, as nobody asks for the new row's number."""
        for is_sqlite, made in ((True, self._sqlite), (False, self._postgresql)):
            yield is_sqlite, made.values(self._values).inline()


def _named(values: Mapping[str, object]) -> dict[str, object]:
    return {f"{name}_": value for name, value in values.items()}


def _spell(statement: _Statement, dialect: Dialect) -> _Spelt:
    """Compile a statement for SQLite's driver."""
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - no statement of these makes a table
    places = []
    for name in compiled.positiontup or ():
        bound = compiled.binds[name]
        convert = bound.type.dialect_impl(dialect).bind_processor(dialect)
        if bound.required:
            places.append(_Bound(name, convert, None))
        else:
            always = bound.effective_value
            places.append(_Bound(None, None, convert(always) if convert else always))
    columns = () if isinstance(statement, TextClause) else statement.exported_columns
    converts = tuple(_result(column.type, dialect) for column in columns)
    return _Spelt(str(compiled), tuple(places), converts)


def _result(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)
