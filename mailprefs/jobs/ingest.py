"""Count the pixel's hits: from the spool on local disk into the database, each exactly once.

How far a segment is counted is stored in the same transaction as what the hits count for. So a
crash between the two is none: either both are there, or the hits are read again.

Hits come in any order, and each of them touches a row or an entry of six tables. So all that wait
in a segment, a window, are put in order by delivery and time first, and counted in slices: what a
slice touches stands side by side. Within a window it is stored up to where it goes, and through
which delivery and time it is counted. Read again, the same window gives the same hits.
"""

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailprefs import opens, spool
from mailprefs.db.database import Database, Gate
from mailprefs.db.dialects import insert
from mailprefs.errors import BadFile, MailprefsError
from mailprefs.opens import Gathered, Said
from mailprefs.schema.opens import SpoolPosition
from mailprefs.spool import Segment
from mailprefs.useragents import Client, OpenKind, Reason

BATCH: Final = 2_000
"""Hits counted in one transaction at most: a person's choice waits for one batch."""
HELD_SECONDS: Final = 0.04
"""How long a batch is to keep a person's choice waiting: as many hits as take that long. Measured,
2,000 at once cost a tenth less than 1,000 each, and twice as much of other people's time."""
_FIRST_BATCH: Final = 1_000
_CHECKPOINT_AFTER: Final = 25_000
"""Hits after which SQLite's log is moved into the file beside the counting: of itself, it would be
moved inside a commit, with the gate held, when it has grown to about twice as much."""
_SMALLEST_BATCH: Final = 250
IDLE_SECONDS: Final = 1.0
"""How long a hit waits at most to be counted, while nothing is in the way."""
_TROUBLE_SECONDS: Final = 10.0
_LARGEST_ID: Final = 2**63 - 1
_LARGEST_RULESET: Final = 2**15 - 1
_LARGEST_CAMPAIGN: Final = 2**31 - 1
_MILLISECOND: Final = 1_000

log = logging.getLogger("mailprefs.ingest")


class _Overtaken(Exception):
    """Another process has counted this segment further; its position is to be read again."""


class _Progress(NamedTuple):
    """How far a segment is counted.

    All before byte ``position``; of what stands from there to byte ``window_end``, whatever is
    ``through`` (the key of a hit: whose, and when) or before that in order. None: no window is
    begun.
    """

    position: int
    window_end: int | None = None
    through: bytes | None = None


_NOTHING: Final = _Progress(0)


class Ingest:
    """Counts the hits of one spool directory, by one process of a machine at a time."""

    def __init__(
        self, db: Database, directory: Path, clock: Callable[[], datetime], *, batch: int = BATCH
    ) -> None:
        """Take the directory whose segments are counted into *db*; *clock* dates the positions.

        *batch*: how many hits to count in one transaction at most.
        """
        self._db = db
        self._directory = directory
        self._clock = clock
        self._told: frozenset[str] = frozenset()
        self._most = batch
        self._size = min(batch, _FIRST_BATCH)
        self._calls = opens.Calls()
        self._tidying: threading.Thread | None = None
        self._untidied = 0

    def run(self, stop: threading.Event, *, idle: float = IDLE_SECONDS) -> None:
        """Count until *stop* is set; wait while another process does, or the database is away."""
        while not stop.is_set():
            with spool.only_reader(self._directory) as is_mine:
                while is_mine and not stop.is_set():
                    stop.wait(idle if self._drained(stop) else _TROUBLE_SECONDS)
            stop.wait(idle)

    def drain(self, stop: threading.Event | None = None) -> int:
        """Count what is there now; give how many hits were read, whatever they counted for.

        :raises StoreUnavailable: when the database can't be reached; nothing is lost by it.
        """
        self._tell_unreadable()
        total = 0
        listed = spool.segments(self._directory)
        positions = self._positions(segment.identity for segment in listed)
        for segment in listed:
            try:
                total += self._count(segment, positions.get(segment.identity, _NOTHING), stop)
            except (_Overtaken, BadFile) as error:
                log.warning("Segment %s is left for later: %s", segment.identity.hex(), error)
        return total

    def _drained(self, stop: threading.Event) -> bool:
        """Count what is there; tell whether it went well. What didn't is tried again later."""
        try:
            self.drain(stop)
        except MailprefsError as error:
            log.warning("Pixel hits wait on disk. %s", error)
        # A thread that died would leave every later hit uncounted, and nobody would see it.
        except Exception as error:  # noqa: BLE001 - told by its class only: the text may hold anything
            log.error("Pixel hits wait on disk: %s", type(error).__name__)  # noqa: TRY400 - as above
        else:
            return True
        return False

    def _count(self, segment: Segment, progress: _Progress, stop: threading.Event | None) -> int:
        """Count one segment from there to its end, and remove it if its writer is gone."""
        total = 0
        while _goes_on(segment, progress) and not (stop and stop.is_set()):
            hits, end = spool.window(segment.path, progress.position, progress.window_end)
            if end == progress.position:
                break
            hits.sort()
            counted = 0 if progress.through is None else _behind(hits, progress.through)
            for part, after in self._slices(hits, counted, progress.position, end):
                # In order before the gate, so that nobody waits for it.
                self._store(segment, opens.gather(_told(part)), progress, after, len(part))
                progress = after
                total += len(part)
                if stop and stop.is_set():
                    break
        if progress.window_end is None and spool.remove(segment, progress.position):
            with self._db.transaction() as session:
                session.execute(
                    delete(SpoolPosition).where(SpoolPosition.segment == segment.identity)
                )
        return total

    def _slices(
        self, hits: Sequence[bytes], counted: int, position: int, end: int
    ) -> Iterator[tuple[Sequence[bytes], _Progress]]:
        """Give the rest of a window in parts, with how far the segment is counted after each.

        At least one, though it may be empty: the window has to be ended.
        """
        begin = counted
        while (to := _cut(hits, begin + self._size)) < len(hits):
            yield hits[begin:to], _Progress(position, end, spool.key(hits[to - 1]))
            begin = to
        yield hits[begin:], _Progress(end)

    def _store(
        self, segment: Segment, gathered: Gathered, before: _Progress, after: _Progress, read: int
    ) -> None:
        """Count a part, and store how far that is, in one transaction."""
        # What a power cut takes back is in the segment still, its progress with it. The last part
        # of a window keeps all before it, because the segment may be removed then.
        is_last = after.window_end is None
        with self._db.transaction(Gate.USING, durable=is_last) as session:
            begun = time.monotonic()
            _move(session, segment.identity, before, after, self._clock())
            opens.count(session, gathered, self._calls)
        self._size = next_size(self._size, time.monotonic() - begun, self._most)
        self._tidy(read)

    def _tidy(self, counted: int) -> None:
        """Move SQLite's log into the file now and then, in a thread, while there is much to do."""
        self._untidied += counted
        is_busy = self._tidying is not None and self._tidying.is_alive()
        if self._untidied >= _CHECKPOINT_AFTER and self._db.is_sqlite and not is_busy:
            self._untidied = 0
            self._tidying = threading.Thread(target=self._move_log, name="checkpoint", daemon=True)
            self._tidying.start()

    def _move_log(self) -> None:
        # A database that is away is told by the counting itself.
        with suppress(MailprefsError):
            self._db.checkpoint()

    def _positions(self, identities: Iterable[bytes]) -> dict[bytes, _Progress]:
        wanted = list(identities)
        with self._db.reading() as session:
            rows = session.execute(
                select(
                    SpoolPosition.segment,
                    SpoolPosition.position,
                    SpoolPosition.window_end,
                    SpoolPosition.through,
                ).where(SpoolPosition.segment.in_(wanted))
            )
            return {row.segment: _Progress(*row[1:]) for row in rows}

    def _tell_unreadable(self) -> None:
        """Say once of each file that it can't be read, so that a person looks at it."""
        found = frozenset(path.name for path in spool.unreadable(self._directory))
        for name in sorted(found - self._told):
            log.error("%s in the spool can't be read; its hits aren't counted.", name)
        self._told = found


def next_size(size: int, held: float, most: int = BATCH) -> int:
    """Give how many hits to count next, after *size* of them kept the gate for *held* seconds."""
    fitting = int(size * HELD_SECONDS / held) if held else most
    return max(min(fitting, size * 2, most), min(_SMALLEST_BATCH, most))


def _goes_on(segment: Segment, progress: _Progress) -> bool:
    """Tell whether there may be more to count; a window is ended though its hits were lost."""
    return progress.window_end is not None or segment.has_more(progress.position)


def _behind(hits: Sequence[bytes], through: bytes) -> int:
    """Give how many of the sorted *hits* are counted when those up to a key are."""
    return bisect_right(hits, through, key=spool.key)


def _cut(hits: Sequence[bytes], most: int) -> int:
    """Give where to end a slice after so many of the sorted *hits*: never between two of one key.

    Those are of one delivery in one millisecond and few different ones; or loads that name nobody,
    which are added up before the gate. So a slice stays one, whatever comes in.
    """
    if most >= len(hits):
        return len(hits)
    return _behind(hits, spool.key(hits[most - 1]))


def _move(
    session: Session, identity: bytes, before: _Progress, after: _Progress, now: datetime
) -> None:
    """Store the new progress, if the old one is still the one that was read from."""
    values = {**after._asdict(), "updated_at": now}
    if before == _NOTHING:
        moved = session.execute(
            insert(session, SpoolPosition)
            .values(segment=identity, **values)
            .on_conflict_do_nothing()
            .returning(SpoolPosition.segment)
        )
    else:
        moved = session.execute(
            update(SpoolPosition)
            .where(
                SpoolPosition.segment == identity,
                SpoolPosition.position == before.position,
                SpoolPosition.window_end.is_not_distinct_from(before.window_end),
                SpoolPosition.through.is_not_distinct_from(before.through),
            )
            .values(**values)
            .returning(SpoolPosition.segment)
            .execution_options(synchronize_session=False)
        )
    if moved.first() is None:
        raise _Overtaken("another process counts it")


def _told(hits: Sequence[bytes]) -> Iterator[tuple[int, int | None, int, Said]]:
    """Give what hits say, in our words: campaign, delivery, when, and what was said.

    Without those that no link of ours can have made.
    """
    for subject, at_ms, rest in spool.parts(hits):
        is_aggregate, said = _meaning(rest)
        if is_aggregate and subject <= _LARGEST_CAMPAIGN:
            yield subject, None, at_ms * _MILLISECOND, said
        elif not is_aggregate and subject <= _LARGEST_ID:
            yield subject >> 32, subject, at_ms * _MILLISECOND, said


@lru_cache(maxsize=16_384)
def _meaning(rest: bytes) -> tuple[bool, Said]:
    """Tell whether a hit names nobody, and what its request said.

    A kind, reason or client of a later release counts as unknown.
    """
    record = spool.of_rest(rest)
    is_told = record.country is None or _is_code(record.country)
    return record.is_aggregate, Said(
        kind=record.kind if record.kind in _KINDS else int(OpenKind.UNKNOWN),
        reason=record.reason if record.reason in _REASONS else int(Reason.NOT_TOLD),
        # What a column of 16 bits holds; 0 says that evidence was reduced.
        ruleset=min(max(record.ruleset, 1), _LARGEST_RULESET),
        client=record.client if record.client in _CLIENTS else int(Client.UNKNOWN),
        country=record.country if is_told else None,
    )


def _is_code(country: str) -> bool:
    return country.isascii() and country.isalpha()


_KINDS: Final = frozenset(map(int, OpenKind))
_REASONS: Final = frozenset(map(int, Reason))
_CLIENTS: Final = frozenset(map(int, Client))
