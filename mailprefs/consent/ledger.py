"""Appending to the consent ledger, reading and forgetting: one chain, gap-free, whoever writes.

Whoever appends locks the head row first (lock order: gate, ledger head, rows). A slice has at most
1,000 entries, so that a person's opt-out never waits for an import.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, bindparam, insert, select, type_coerce, update
from sqlalchemy.orm import Session

from mailprefs.consent.entries import (
    COLUMNS,
    GENESIS,
    Entry,
    Head,
    Row,
    read,
    rows,
)
from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.schema.base import BigId
from mailprefs.schema.choices import ConsentEntry, ConsentHead

SLICE: Final = 1_000
"""Most entries that one transaction may append, while others wait for the head row."""

_ENTRIES: Final[Table] = ConsentEntry.metadata.tables[ConsentEntry.__tablename__]
# Below this, COPY's own round trips cost more than they save.
_WORTH_A_COPY = 20


# Asked for each choice; several hundred people may leave in one second.
_LOCK: Final = Kept(select(ConsentHead.seq, ConsentHead.entry_hash).with_for_update())
_MOVE: Final = Kept(
    update(ConsentHead).values(
        seq=bindparam("new_seq", type_=ConsentHead.seq.type),
        entry_hash=bindparam("new_hash", type_=ConsentHead.entry_hash.type),
    )
)
_WHO: Final = type_coerce(ConsentEntry.recipient_id, BigId)
_HISTORIES: Final = Kept(
    select(_WHO, ConsentEntry.seq, ConsentEntry.recorded_at, ConsentEntry.payload)
    .where(dialects.listed(_WHO, "recipients"), ConsentEntry.payload.is_not(None))
    .order_by(ConsentEntry.seq)
)


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
    found = _LOCK.row(session)
    if found is None:
        # Two at once: the second waits here for the first to commit, and then finds its row.
        session.execute(
            dialects.insert(session, ConsentHead)
            .values(id=1, seq=GENESIS.seq, entry_hash=GENESIS.entry_hash)
            .on_conflict_do_nothing()
        )
        found = _LOCK.rows(session)[0]
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
    _MOVE.change(session, {"new_seq": made[-1].seq, "new_hash": made[-1].entry_hash})


def history(session: Session, recipient_id: int) -> list[Recorded]:
    """List what one person chose, oldest first; nothing once the person is erased."""
    return histories(session, [recipient_id]).get(recipient_id, [])


def histories(session: Session, recipient_ids: Sequence[int]) -> dict[int, list[Recorded]]:
    """Give what each of some people chose, oldest first; who chose nothing has no entry."""
    found: dict[int, list[Recorded]] = {}
    for number, seq, at, text in _HISTORIES.rows(session, {"recipients": recipient_ids}):
        if text is not None:
            found.setdefault(number, []).append(Recorded(seq, at, read(text)))
    return found


def forget(session: Session, recipient_id: int, *, limit: int = SLICE) -> int:
    """Make at most *limit* of a person's entries unreadable for ever; give how many that were.

    Salt, payload and recipient go, commitment and hash stay, so the chain verifies as before. The
    caller goes on until it gives less than *limit*.
    """
    oldest = (
        select(ConsentEntry.seq)
        .where(ConsentEntry.recipient_id == recipient_id)
        .order_by(ConsentEntry.seq)
        .limit(limit)
    )
    erased = update(ConsentEntry).where(ConsentEntry.seq.in_(oldest))
    return dialects.changed(session, erased.values(salt=None, payload=None, recipient_id=None))


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
