"""Count the pixel's hits: from the spool on local disk into the database, each exactly once.

The position behind a batch of hits is stored in the same transaction as what they count for. So a
crash between the two is none: either both are there, or the batch is read again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailprefs import opens, spool
from mailprefs.db.database import Database, Gate
from mailprefs.db.dialects import insert
from mailprefs.errors import BadFile, MailprefsError
from mailprefs.opens import Fetch
from mailprefs.schema.opens import SpoolPosition
from mailprefs.spool import Record, Segment
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

log = logging.getLogger("mailprefs.ingest")


class _Overtaken(Exception):
    """Another process has counted this segment further; its position is to be read again."""


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
                total += self._count(segment, positions.get(segment.identity, 0), stop)
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

    def _count(self, segment: Segment, position: int, stop: threading.Event | None) -> int:
        """Count one segment from *position* to its end, and remove it if its writer is gone."""
        total = 0
        while segment.has_more(position) and not (stop and stop.is_set()):
            records, after = spool.read(segment.path, position, self._size)
            if after == position:
                break
            # In order before the gate, so that nobody waits for it.
            gathered = opens.gather(fetch for record in records if (fetch := _fetch(record)))
            # What a power cut takes back is in the segment still, its position with it. The last
            # batch keeps all before it, because the segment may be removed then.
            is_last = not spool.read(segment.path, after, 1)[0]
            with self._db.transaction(Gate.USING, durable=is_last) as session:
                begun = time.monotonic()
                _move(session, segment.identity, position, after, self._clock())
                opens.count(session, gathered, self._calls)
            self._size = next_size(self._size, time.monotonic() - begun, self._most)
            total += len(records)
            position = after
            self._tidy(len(records))
        if spool.remove(segment, position):
            with self._db.transaction() as session:
                session.execute(
                    delete(SpoolPosition).where(SpoolPosition.segment == segment.identity)
                )
        return total

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

    def _positions(self, identities: Iterable[bytes]) -> dict[bytes, int]:
        wanted = list(identities)
        with self._db.reading() as session:
            rows = session.execute(
                select(SpoolPosition.segment, SpoolPosition.position).where(
                    SpoolPosition.segment.in_(wanted)
                )
            )
            return {row.segment: row.position for row in rows}

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


def _move(session: Session, identity: bytes, before: int, after: int, now: datetime) -> None:
    """Store the new position, if the old one is still the one that was read from."""
    if before == 0:
        moved = session.execute(
            insert(session, SpoolPosition)
            .values(segment=identity, position=after, updated_at=now)
            .on_conflict_do_nothing()
            .returning(SpoolPosition.segment)
        )
    else:
        moved = session.execute(
            update(SpoolPosition)
            .where(SpoolPosition.segment == identity, SpoolPosition.position == before)
            .values(position=after, updated_at=now)
            .returning(SpoolPosition.segment)
            .execution_options(synchronize_session=False)
        )
    if moved.first() is None:
        raise _Overtaken("another process counts it")


def _fetch(record: Record) -> Fetch | None:
    """Give what a record says, in our words; None if no clock and no link of ours can have made it.

    A kind, reason or client of a later release counts as unknown.
    """
    if record.subject > _LARGEST_ID:
        return None
    try:
        at = record.at
    except OverflowError:
        return None
    return Fetch(
        campaign_id=record.subject if record.is_aggregate else record.subject >> 32,
        delivery_id=None if record.is_aggregate else record.subject,
        at=at,
        kind=_KINDS.get(record.kind, OpenKind.UNKNOWN),
        reason=_REASONS.get(record.reason, Reason.NOT_TOLD),
        # What a column of 16 bits holds; 0 says that evidence was reduced.
        ruleset=min(max(record.ruleset, 1), _LARGEST_RULESET),
        client=_CLIENTS.get(record.client, Client.UNKNOWN),
        country=record.country if record.country is None or _is_code(record.country) else None,
    )


def _is_code(country: str) -> bool:
    return country.isascii() and country.isalpha()


_KINDS = {int(kind): kind for kind in OpenKind}
_REASONS = {int(reason): reason for reason in Reason}
_CLIENTS = {int(client): client for client in Client}
