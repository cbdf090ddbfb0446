"""Write what a batch changes: one statement for each table at most, whatever the number of rows.

Through the driver, and as one JSON text or one array for each column: a campaign has a row of
``opens`` for each reader, and between two statements of SQLite's driver another thread may take the
interpreter while the writer lock is held.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.opens.fetches import Hit
from mailprefs.opens.judging import Row
from mailprefs.opens.periods import instant


class _Table(NamedTuple):
    """A table to write to: its columns with their types, and which of them are the key."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Give the names of the columns."""
        return tuple(name for name, _ in self.columns)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Give the types of the columns."""
        return tuple(kind for _, kind in self.columns)


_OPENS: Final = _Table(
    "opens",
    (
        ("delivery_id", "bigint"),
        ("kind", "smallint"),
        ("reason", "smallint"),
        ("ruleset", "smallint"),
        ("policy_version_id", "integer"),
        ("first_seen_at", "timestamptz"),
        ("country", "varchar"),
        ("client", "smallint"),
    ),
)
_UNDECIDED: Final = _Table(
    "undecided_opens",
    (
        ("delivery_id", "bigint"),
        ("kind", "smallint"),
        ("at", "timestamptz"),
        ("reason", "smallint"),
        ("ruleset", "smallint"),
        ("country", "varchar"),
        ("client", "smallint"),
    ),
)
_ROLLUP: Final = _Table(
    "open_rollup",
    (
        ("campaign_id", "integer"),
        ("dimension", "varchar"),
        ("value", "varchar"),
        ("kind", "smallint"),
        ("n", "integer"),
    ),
    key=4,
)
_TOTALS: Final = _Table(
    "measured_totals", (("campaign_id", "integer"), ("bits", "smallint"), ("n", "integer")), key=2
)
_LOADS: Final = _Table(
    "loads",
    (("campaign_id", "integer"), ("day", "date"), ("kind", "smallint"), ("n", "integer")),
    key=3,
)


class Writes:
    """What a batch changes, collected and then written in the order of the calls.

    On PostgreSQL all of it is one statement, because each one waits for the server once.
    """

    def __init__(self) -> None:
        """Collect nothing yet."""
        self._collected: list[tuple[_Statement, Sequence[Sequence[Any]]]] = []

    def insert_opens(self, rows: Sequence[Row]) -> None:
        """Insert rows of which none is there yet, as the turn makes sure."""
        self._collect(_insert(_OPENS), rows)

    def keep_undecided(self, hits: Iterable[tuple[int, Hit]]) -> None:
        """Keep fetches of which it isn't known yet whether they came before the delivery."""
        rows = {
            (one, said.kind, instant(at)): (said.reason, said.ruleset, said.country, said.client)
            for one, (at, said) in hits
        }
        self._collect(_ignoring(_UNDECIDED), [(*key, *rest) for key, rest in rows.items()])

    def set_bits(self, bits: Mapping[int, int]) -> None:
        """Set the bits of deliveries, by id."""
        self._collect(_SET_BITS, list(bits.items()))

    def see_apple(self, days: Mapping[int, date]) -> None:
        """Note the day on which Apple's proxy last loaded people's mail, by their ids.

        Whom somebody else is just writing to is left out, as nobody should wait for a hint that the
        next load gives again.
        """
        self._collect(_SEE_APPLE, list(days.items()))

    def add_to_rollup(self, cells: Mapping[tuple[int, str, str, int], int]) -> None:
        """Add to the cells of the rollup; those that don't exist appear."""
        self._collect(_add(_ROLLUP), _keyed(cells))

    def add_to_totals(self, totals: Mapping[tuple[int, int], int]) -> None:
        """Add to how many measured deliveries of a campaign have which bits."""
        self._collect(_add(_TOTALS), _keyed(totals))

    def add_to_loads(self, loads: Mapping[tuple[int, date, int], int]) -> None:
        """Add to the loads that name nobody."""
        self._collect(_add(_LOADS), _keyed(loads))

    def run(self, session: Session) -> None:
        """Write everything."""
        if dialects.is_sqlite(session):
            for statement, rows in self._collected:
                _write(session, statement, rows)
        elif self._collected:
            named = (
                f"w{number} AS ({statement.postgresql})"
                for number, (statement, _) in enumerate(self._collected)
            )
            columns = [_arrays_of(rows, one.kinds) for one, rows in self._collected]
            session.connection().exec_driver_sql(
                f"WITH {', '.join(named)} SELECT 1",
                tuple(column for some in columns for column in some),
            )

    def _collect(self, statement: "_Statement", rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._collected.append((statement, rows))


def replace_opens(session: Session, rows: Sequence[Row]) -> None:
    """Put rows in the place of those with the same delivery and kind, where there are any."""
    _write(session, _put(_OPENS, 2), rows)


def delete_opens(session: Session, rows: Iterable[Row]) -> None:
    """Delete rows by delivery and kind; what was added up of them stays."""
    _write(session, _DELETE_OPENS, [(row.delivery_id, row.kind) for row in rows])


class _Statement(NamedTuple):
    """One statement as each database has it; PostgreSQL's takes an array of each of *kinds*."""

    sqlite: str
    postgresql: str
    kinds: tuple[str, ...]

    def then(self, text: str) -> Self:
        """Give the statement with more behind it."""
        return self._replace(sqlite=self.sqlite + text, postgresql=self.postgresql + text)


def _write(session: Session, statement: _Statement, rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    connection = session.connection()
    if dialects.is_sqlite(session):
        document = json.dumps(rows, default=_text, separators=(",", ":"))
        connection.exec_driver_sql(statement.sqlite, (document,))
    else:
        connection.exec_driver_sql(statement.postgresql, tuple(_arrays_of(rows, statement.kinds)))


def _arrays_of(rows: Sequence[Sequence[Any]], kinds: Sequence[str]) -> list[str]:
    """Give an array for each column; written here, as the driver takes three times as long."""
    return [
        "{" + ",".join(map(_WRITTEN.get(kind, str), values)) + "}"
        for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)
    ]


@lru_cache(maxsize=4_096)
def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _keyed(sums: Mapping[Any, int]) -> list[tuple[Any, ...]]:
    """Give sums as rows, in the order of their keys: so all writers lock alike."""
    return [(*key, n) for key, n in sorted(sums.items()) if n]


def _text(value: object) -> str:
    """Give a time or a day as SQLite keeps it."""
    if isinstance(value, datetime):
        return _as_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


@lru_cache(maxsize=65_536)
def _as_text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"


_WRITTEN: Final[Mapping[str, Callable[[Any], str]]] = {
    "varchar": _quoted,
    "timestamptz": lambda at: f'"{_as_text(at)}+00"',
}
"""How elements of PostgreSQL's arrays are written; all others as they are."""


@lru_cache
def _insert(table: _Table) -> _Statement:
    """Give the INSERT of whole rows."""
    names = ", ".join(table.names)
    return _Statement(
        f"INSERT INTO {table.name} ({names}) SELECT {_values(table)} FROM json_each(?)"  # noqa: S608 - our own names
        " WHERE true",
        f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({_arrays(table)})",  # noqa: S608 - our own names
        table.kinds,
    )


@lru_cache
def _ignoring(table: _Table) -> _Statement:
    """Give the INSERT that leaves what is there as it is."""
    return _insert(table).then(" ON CONFLICT DO NOTHING")


@lru_cache
def _put(table: _Table, key: int) -> _Statement:
    """Give the INSERT that takes the place of what has the same first columns."""
    values = ", ".join(f"{name} = excluded.{name}" for name in table.names[key:])
    putting = f" ON CONFLICT ({', '.join(table.names[:key])}) DO UPDATE SET {values}"
    return _insert(table).then(putting)


@lru_cache
def _add(table: _Table) -> _Statement:
    """Give the INSERT that adds the last column to what is there already."""
    key = ", ".join(table.names[: table.key])
    adding = f" ON CONFLICT ({key}) DO UPDATE SET n = {table.name}.n + excluded.n"
    return _insert(table).then(adding)


def _values(table: _Table) -> str:
    return ", ".join(f"value ->> {place}" for place in range(len(table.columns)))


def _arrays(table: _Table) -> str:
    return ", ".join(f"%s::{kind}[]" for kind in table.kinds)


_SET_BITS: Final = _Statement(
    # An upsert finds its row by the key; UPDATE ... FROM may read the whole table instead.
    "INSERT INTO measured (delivery_id, bits) SELECT value ->> 0, value ->> 1 FROM json_each(?)"
    " WHERE true ON CONFLICT (delivery_id) DO UPDATE SET bits = excluded.bits",
    "UPDATE measured SET bits = w.bits FROM unnest(%s::bigint[], %s::smallint[]) AS w(id, bits)"
    " WHERE measured.delivery_id = w.id",
    ("bigint", "smallint"),
)
_DELETE_OPENS: Final = _Statement(
    "DELETE FROM opens WHERE (delivery_id, kind) IN"
    " (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
    "DELETE FROM opens USING unnest(%s::bigint[], %s::smallint[]) AS w(id, kind)"
    " WHERE delivery_id = w.id AND opens.kind = w.kind",
    ("bigint", "smallint"),
)
_SEE_APPLE: Final = _Statement(
    "UPDATE recipients SET apple_seen_on = w.day"
    " FROM (SELECT value ->> 0 AS id, value ->> 1 AS day FROM json_each(?)) AS w"
    " WHERE recipients.id = w.id",
    "WITH w(id, day) AS (SELECT * FROM unnest(%s::bigint[], %s::date[])),"
    # By where a row stands, which stays so while it is locked: the key is looked for once.
    " free AS (SELECT r.ctid AS place, w.day FROM recipients r JOIN w ON w.id = r.id"
    "  ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED)"
    " UPDATE recipients SET apple_seen_on = free.day FROM free WHERE recipients.ctid = free.place",
    ("bigint", "date"),
)
