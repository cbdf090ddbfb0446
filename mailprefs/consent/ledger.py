"""Appending to the consent ledger, and reading it: one chain, without a gap, whoever writes.

Whoever appends locks the head row first (lock order: gate, ledger head, rows). A slice has at most
1,000 entries, so that a person's opt-out never waits for an import.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Result, Table, insert, select, update
from sqlalchemy.orm import Session

from mailprefs.consent.entries import (
    COLUMNS,
    GENESIS,
    Entry,
    Head,
    Row,
    chained,
    commitment,
    names,
    read,
    rows,
)
from mailprefs.db import dialects
from mailprefs.errors import LedgerBroken
from mailprefs.schema.choices import ConsentEntry, ConsentHead

SLICE: Final = 1_000
"""Most entries that one transaction may append, while others wait for the head row."""

_ENTRIES: Final[Table] = ConsentEntry.metadata.tables[ConsentEntry.__tablename__]
# Below this, COPY's own round trips cost more than they save.
_WORTH_A_COPY = 20


class Recorded(NamedTuple):
    """One entry as the ledger holds it."""

    seq: int
    recorded_at: datetime
    entry: Entry


def append(session: Session, entries: Sequence[Entry], *, now: datetime) -> list[int]:
    """Append at most ``SLICE`` entries; give their seqs.

    :raises ValueError: for more entries: the caller cuts them into transactions.
    """
    if len(entries) > SLICE:
        msg = f"{len(entries)} entries at once would keep opt-outs waiting; at most {SLICE}."
        raise ValueError(msg)
    if not entries:
        return []
    made = rows(entries, lock(session), now)
    store(session, made)
    return [row.seq for row in made]


def lock(session: Session) -> Head:
    """Lock the end of the ledger until the transaction ends, and give it.

    On SQLite a writing transaction is alone from its first statement.
    """
    query = select(ConsentHead.seq, ConsentHead.entry_hash).with_for_update()
    found = session.execute(query).one_or_none()
    if found is None:
        # Two at once: the second waits here for the first to commit, and then finds its row.
        session.execute(
            dialects.insert(session, ConsentHead)
            .values(id=1, seq=GENESIS.seq, entry_hash=GENESIS.entry_hash)
            .on_conflict_do_nothing()
        )
        found = session.execute(query).one()
    return Head(*found)


def head(session: Session) -> Head:
    """Give the end of the ledger as it stands, without a lock."""
    found = session.execute(select(ConsentHead.seq, ConsentHead.entry_hash)).one_or_none()
    return Head(*found) if found else GENESIS


def store(session: Session, made: Sequence[Row]) -> None:
    """Insert rows that ``entries.rows`` made after ``lock``, and move the head to the last."""
    if dialects.is_sqlite(session):
        _insert_sqlite(session, made)
    elif len(made) < _WORTH_A_COPY:
        session.execute(insert(_ENTRIES), [row._asdict() for row in made])
    else:
        _copy_postgresql(session, made)
    session.execute(update(ConsentHead).values(seq=made[-1].seq, entry_hash=made[-1].entry_hash))


def history(session: Session, recipient_id: int) -> list[Recorded]:
    """List what one person chose, oldest first; nothing once the person is erased."""
    found = session.execute(
        select(ConsentEntry.seq, ConsentEntry.recorded_at, ConsentEntry.payload)
        .where(ConsentEntry.recipient_id == recipient_id, ConsentEntry.payload.is_not(None))
        .order_by(ConsentEntry.seq)
    )
    return [Recorded(seq, at, read(text)) for seq, at, text in found if text is not None]


def verify(session: Session, anchor: Head | None = None) -> int:
    """Check every entry of the ledger, and give how many there are.

    *anchor* is a head that was kept outside the database: only against one can a ledger be told
    whose tail was cut off, or that was written anew from some entry on. An entry that was erased
    (salt, payload and recipient_id all NULL) is checked by its hash alone. Memory stays flat.

    :raises LedgerBroken: naming the first bad entry's seq.
    """
    kept = head(session)
    at = GENESIS
    with _stream(session) as found:
        for row in found:
            at = _checked(Row._make(row), at)
            if anchor is not None and at.seq == anchor.seq and at != anchor:
                raise _broken(at.seq, "is not the one whose head was kept")
    for end in (kept, anchor):
        if end is not None and at.seq < end.seq:
            raise _broken(at.seq + 1, "is missing, and every one after it")
    if at != kept:
        raise _broken(at.seq, "is not where the head row says the ledger ends")
    return at.seq


def _checked(row: Row, previous: Head) -> Head:
    """Check one entry against the one before; give its place in the chain."""
    expected = previous.seq + 1
    if row.seq != expected:
        raise _broken(expected, "is missing")
    if row.salt is None or row.payload is None or row.recipient_id is None:
        if (row.salt, row.payload, row.recipient_id) != (None, None, None):
            raise _broken(row.seq, "is erased in part only")
    elif commitment(row.salt, row.payload) != row.commitment:
        raise _broken(row.seq, "doesn't say what was committed to")
    elif not names(row.payload, row.recipient_id):
        raise _broken(row.seq, "is another person's")
    if chained(previous.entry_hash, row.seq, row.recorded_at, row.commitment) != row.entry_hash:
        raise _broken(row.seq, "doesn't follow from the entries before it")
    return Head(row.seq, row.entry_hash)


def _broken(seq: int, what: str) -> LedgerBroken:
    return LedgerBroken(
        f"The consent ledger is broken: entry {seq} {what}. "
        f"Keep this database as it is, and compare it with a backup."
    )


def _stream(session: Session) -> Result[Any]:
    """Give all entries in order, a slice in memory at a time; close it, also on the way out."""
    columns = (_ENTRIES.c[name] for name in COLUMNS)
    query = select(*columns).order_by(_ENTRIES.c.seq).execution_options(yield_per=SLICE)
    return session.execute(query)


def _insert_sqlite(session: Session, made: Sequence[Row]) -> None:
    """Insert by the driver itself, which is three times as fast for a slice."""
    places = ",".join("?" * len(COLUMNS))
    statement = f"INSERT INTO consent_entries ({','.join(COLUMNS)}) VALUES ({places})"  # noqa: S608 - our own constants
    session.connection().exec_driver_sql(
        statement, [(row.seq, _sqlite_text(row.recorded_at), *row[2:]) for row in made]
    )


def _sqlite_text(moment: datetime) -> str:
    """Write a time as ``UtcDateTime`` stores it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec="microseconds")


def _copy_postgresql(session: Session, made: Sequence[Row]) -> None:
    driver: Any = session.connection().connection.driver_connection
    statement = f"COPY consent_entries ({','.join(COLUMNS)}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in made:
            copy.write_row(row)
