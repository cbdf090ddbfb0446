"""The import of one file: slice after slice, exact counts, and on again where it was killed.

Each slice is one short transaction: people, subscriptions, ledger entries, refused lines, and how
far the file is done. A person's choice waits for one slice at most.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs.addresses import AddressHasher
from mailprefs.audit import Actor
from mailprefs.consent.ledger import SLICE
from mailprefs.db import dialects
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadFile, StoreUnavailable
from mailprefs.jobs.imports import clicks, journal
from mailprefs.jobs.imports.deciding import Changes, Counts, Standing, Terms, decide
from mailprefs.jobs.imports.examining import DELIMITERS, Examined, examine
from mailprefs.jobs.imports.journal import Position
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.people import Person, Refusal
from mailprefs.jobs.imports.postgresql import PostgresqlStore
from mailprefs.jobs.imports.reading import Reader
from mailprefs.jobs.imports.rows import WINDOW, Repetition, Row, Rows
from mailprefs.jobs.imports.sqlite import SqliteStore
from mailprefs.jobs.imports.writing import Batch, Proof, Store, write
from mailprefs.schema.imports import ImportedAs

# Whoever takes the gate holds it for 50 ms at most, commit included; slices shrink and grow so.
_HOLD_SECONDS = 0.03
_SMALLEST_SLICE = 250
_FIRST_SLICE = 500
_ATTEMPTS = 5
_UNIQUE_VIOLATION = "23505"

ANSWER: Final = "answer"
"""What a column is called that says who left: their no is noted, and nothing else of it."""

Clock = Callable[[], datetime]


class Progress(NamedTuple):
    """How far an import is: rows done, bytes of the file done, bytes of the file.

    ``resumed_at``: how many rows an earlier, interrupted run had done.
    """

    rows: int
    bytes: int
    size: int
    resumed_at: int = 0


class ImportResult(NamedTuple):
    """What became of a file.

    ``import_id``: None after a dry run. ``refusals``: the first ``rows.SHOWN``, by line.
    ``delimiter``: in words. ``columns``: names of the file's columns, each with the field it
    filled, or ``ANSWER``. ``resumed_at``: how many rows an earlier, interrupted run had done.
    """

    import_id: int | None
    counts: Counts
    refusals: list[Refusal]
    encoding: str
    delimiter: str
    columns: dict[str, str]
    left_out: tuple[str, ...]
    resumed_at: int


def run(  # noqa: PLR0913 - what an import needs, by name
    db: Database,
    path: Path,
    order: ImportOrder,
    *,
    hasher: AddressHasher,
    actor: Actor,
    clock: Clock,
    progress: Callable[[Progress], None] | None = None,
) -> ImportResult:
    """Import the people of the file at *path*, or go on with it; opens its own transactions.

    A dry run gives the counts that the same run in earnest would give now, and writes nothing.

    :raises BadFile: if the file can't be read as a list of people; nothing is written.
    :raises NotFound: for an unknown topic.
    :raises Conflict: if no policy is in force, or another process is importing the same file.
    :raises StoreUnavailable: if the database goes away; the same order goes on from there.
    """
    examined = examine(path, order.mapping)
    slices = _begun(_Installation(db, hasher, actor, clock), examined, order)
    resumed_at = slices.at.done
    with path.open("rb") as file:
        reader = Reader(file, examined.form)
        reader.header()
        takes_a_no = order.imported_as is not ImportedAs.SUBSCRIBED
        rows = Rows(reader, examined.columns, hasher, takes_a_no=takes_a_no)
        _all(slices, rows, examined.size, progress)
    if not order.dry_run:
        with db.transaction() as session:
            journal.finish(session, slices.at, actor, clock())
        db.checkpoint()
    return _result(examined, slices.at, rows.refusals, resumed_at)


class _Installation(NamedTuple):
    """Where an import goes on, and who runs it."""

    db: Database
    hasher: AddressHasher
    actor: Actor
    clock: Clock


class _Writes(NamedTuple):
    """What an import in earnest has and a dry run hasn't."""

    batch: Batch
    proof: Proof
    clock: Clock


def _begun(here: _Installation, examined: Examined, order: ImportOrder) -> "_Slices":
    """Begin an import, or find out how far it is; a dry run only finds out."""
    key = journal.digest(examined.digest, order, WINDOW)
    with here.db.reading() as session:
        terms = journal.look_up(session, order)
        at = journal.position(session, terms, key, here.clock())
    takes_a_no = terms.imported_as is not ImportedAs.SUBSCRIBED or bool(examined.columns.answers)
    if order.dry_run:
        return _Slices(here.db, terms, at, None, takes_a_no=takes_a_no)
    with here.db.transaction() as session:
        journal.know_attributes(session, examined.columns, at.started_at)
        at = journal.begin(session, order, at, terms=terms, key=key, actor=here.actor)
        proof = journal.proof(session, order, at, here.actor)
    batch = Batch(terms.topic_id, at.policy_version_id, here.hasher.key_id, at.started_at)
    writes = _Writes(batch, proof, here.clock)
    return _Slices(here.db, terms, at, writes, takes_a_no=takes_a_no)


class _Slices:
    """Takes rows slice by slice, each in its own transaction; ``at`` is how far it came."""

    def __init__(
        self,
        db: Database,
        terms: Terms,
        at: Position,
        writes: _Writes | None,
        *,
        takes_a_no: bool,
    ) -> None:
        self.at = at
        self._db = db
        self._terms = terms
        self._writes = writes
        # Who unsubscribed leaves two entries in the ledger: of the topic, and of all promotions.
        self._most = SLICE // 2 if takes_a_no else SLICE
        self._gate = Gate.TAKING if takes_a_no else Gate.USING
        self._size = _FIRST_SLICE if writes else SLICE
        self._takes_a_no = takes_a_no

    def take(self, rows: Sequence[Row]) -> int:
        """Take as many of *rows* as fit a slice; give how many."""
        part = rows[: self._size]
        self.at = self._seen(part) if self._writes is None else self._kept(part, self._writes)
        return len(part)

    def checkpoint(self) -> None:
        """Keep SQLite's log short, outside the writer lock; a dry run writes nothing."""
        if self._writes is not None:
            self._db.checkpoint()

    def _seen(self, part: Sequence[Row]) -> Position:
        with self._db.reading() as session:
            changes = self._changes(session, _store(session), part)
        return self._beyond(part, changes)

    def _kept(self, part: Sequence[Row], writes: _Writes) -> Position:
        """Commit one slice; once more if somebody signed up with one of its addresses meanwhile."""
        driver: Any = self._db.engine.dialect.dbapi
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._committed(part, writes)
            except driver.IntegrityError as error:
                is_race = getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION
                if not is_race or attempt == _ATTEMPTS:
                    raise
            except (driver.OperationalError, StoreUnavailable) as error:
                msg = (
                    f"The database went away or is busy; {self.at.done:,} rows of the file are "
                    "done. Run the same command again, and it goes on from there."
                )
                raise StoreUnavailable(msg) from error
        raise AssertionError  # the last attempt returns or raises

    def _committed(self, part: Sequence[Row], writes: _Writes) -> Position:
        batch = writes.batch._replace(now=writes.clock())
        with self._db.transaction(self._gate) as session:
            began = monotonic()
            store = _store(session)
            changes = self._changes(session, store, part)
            write(session, store, changes, batch, writes.proof)
            journal.refuse(session, self.at, [row for row in part if isinstance(row, Refusal)])
            at = journal.advance(session, self.at, self._beyond(part, changes))
            self._resize(len(part), monotonic() - began)
        return at

    def _changes(self, session: Session, store: Store, part: Sequence[Row]) -> Changes:
        """Decide what becomes of a slice's rows, by what the database holds now."""
        persons = [row for row in part if isinstance(row, Person)]
        hashes = [person.address_hash for person in persons]
        standing = store.standing(hashes, self._terms.topic_id) if hashes else Standing({}, {})
        if self._takes_a_no:
            clicked = clicks.still_in_force(session, standing, self._terms.topic_id)
            standing = standing._replace(clicked=clicked)
        changes = decide(persons, standing, self._terms)
        changes.counts.refused = sum(isinstance(row, Refusal) for row in part)
        changes.counts.duplicate_in_file = sum(isinstance(row, Repetition) for row in part)
        return changes

    def _beyond(self, part: Sequence[Row], changes: Changes) -> Position:
        counts = self.at.counts.plus(changes.counts)
        return self.at._replace(done=self.at.done + len(part), counts=counts)

    def _resize(self, rows: int, seconds: float) -> None:
        """Fit the next slice to what the last one took, but for its commit, which is the disk's."""
        fitting = int(rows * min(2.0, _HOLD_SECONDS / max(seconds, 0.001)))
        self._size = max(_SMALLEST_SLICE, min(self._most, fitting))


def _all(
    slices: _Slices, rows: Rows, size: int, progress: Callable[[Progress], None] | None
) -> None:
    """Take every row that isn't done yet, telling how far it is."""
    resumed_at = slices.at.done
    for before, window in rows.windows():
        del window[: max(0, slices.at.done - before)]
        while window:
            del window[: slices.take(window)]
            if progress is not None:
                done = rows.read - len(window)
                progress(Progress(done, rows.position * done // rows.read, size, resumed_at))
        slices.checkpoint()
    if rows.position != size:
        msg = (
            "The file changed while it was imported; what was done so far stays. Run the command "
            "again with the file as it is now."
        )
        raise BadFile(msg)


def _store(session: Session) -> Store:
    return SqliteStore(session) if dialects.is_sqlite(session) else PostgresqlStore(session)


def _result(
    examined: Examined, at: Position, refusals: list[Refusal], resumed_at: int
) -> ImportResult:
    columns = examined.columns
    filled = columns.places | columns.attributes
    answers = {columns.names[place]: ANSWER for place in columns.answers}
    return ImportResult(
        at.import_id,
        at.counts,
        refusals,
        examined.form.called,
        DELIMITERS[examined.form.delimiter],
        answers | {columns.names[place]: field for field, place in filled.items()},
        columns.left_out,
        resumed_at,
    )
