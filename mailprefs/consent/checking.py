"""Checking the consent ledger: whole at once, or some thousand entries at a time."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from mailprefs.consent.entries import COLUMNS, GENESIS, Head, Row, chained, commitment, names
from mailprefs.consent.ledger import head
from mailprefs.errors import LedgerBroken
from mailprefs.schema.choices import ConsentEntry

AT_ONCE: Final = 2_000
"""Entries that are read and checked in one go."""

_ENTRIES: Final[Table] = ConsentEntry.metadata.tables[ConsentEntry.__tablename__]


class Checked(NamedTuple):
    """How far a check has come, and whether that is the end of the ledger."""

    at: Head
    is_end: bool


def verify(session: Session, kept: Iterable[Head] = ()) -> int:
    """Check every entry of the ledger, and give how many there are.

    *kept* are heads that were kept outside the database: only against one can a ledger be told
    whose tail was cut off, or that was written anew from some entry on. An entry that was erased
    (salt, payload and recipient_id all NULL) is checked by its hash alone. Memory stays flat.

    :raises LedgerBroken: naming the first bad entry's seq.
    """
    anchors = by_seq(kept)
    done = Checked(GENESIS, is_end=False)
    while not done.is_end:
        done = go_on(session, done.at, anchors)
    return done.at.seq


def go_on(session: Session, at: Head, kept: Mapping[int, bytes]) -> Checked:
    """Check the next entries after *at*, which was found good; at the end, also where it ends.

    *kept* says which hash an entry has to have. So a check may break off after any step, and go on
    in another transaction and another process.

    :raises LedgerBroken: naming the first bad entry's seq.
    """
    begun = at
    for row in _rows(session, at.seq):
        at = _checked(row, at)
        if kept.get(at.seq, at.entry_hash) != at.entry_hash:
            raise _broken(at.seq, "is not the one whose head was kept")
    if at.seq - begun.seq == AT_ONCE:
        return Checked(at, is_end=False)
    end = head(session)
    latest = max([end.seq, *kept])
    if at.seq < latest:
        raise _broken(at.seq + 1, "is missing, and every one after it")
    if at != end:
        raise _broken(at.seq, "is not where the head row says the ledger ends")
    return Checked(at, is_end=True)


def by_seq(kept: Iterable[Head]) -> dict[int, bytes]:
    """Give which hash each entry has to have by the heads that were kept.

    :raises LedgerBroken: when two of them contradict each other.
    """
    anchors: dict[int, bytes] = {}
    for one in kept:
        if anchors.setdefault(one.seq, one.entry_hash) != one.entry_hash:
            raise _broken(one.seq, "has two different heads among those that were kept")
    return anchors


def _rows(session: Session, after: int) -> Iterator[Row]:
    columns = (_ENTRIES.c[name] for name in COLUMNS)
    query = select(*columns).where(_ENTRIES.c.seq > after).order_by(_ENTRIES.c.seq).limit(AT_ONCE)
    return map(Row._make, session.execute(query))


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
