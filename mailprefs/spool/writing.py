"""Append hits, from any number of threads, without ever failing the request that brings one."""

import fcntl
import os
import secrets
import struct
import weakref
from collections.abc import Callable
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final
from zlib import crc32

from mailprefs.errors import BadSetting
from mailprefs.spool.disk import sync_directory
from mailprefs.spool.records import (
    HEADER_BYTES,
    ID_BYTES,
    RECORD_BYTES,
    START,
    SUFFIX,
    Header,
    Record,
    encode_header,
    seed_of,
)

MAX_BYTES: Final = 1 << 30
"""What the segments of a directory may take by default: 33 million hits not yet counted."""
SEGMENT_BYTES: Final = 1 << 22
"""What a writer takes of the disk at once by default: room for 131,070 hits."""
SYNC_SECONDS: Final = 1.0
"""How often the disk is asked to keep what was written: what a power cut can cost at most."""
RETRY_MS: Final = 1_000
"""How long a full or unwritable directory is left alone; by the times of the hits."""
# A record as it is written: all that it tells, and the checksum of that.
_SEALED: Final = struct.Struct(f">{RECORD_BYTES - 4}sI")


class Spool:
    """The writing end, one for each process that serves the pixel; safe in all its threads.

    A process that is forked later begins a segment of its own. ``max_bytes`` bounds all segments
    of the directory together; hits beyond it are refused and counted, the pixel answers anyway.
    ``sync_seconds`` None: the disk is asked only by ``sync`` and ``close``. errors.BadSetting if
    the directory can't be made.
    """

    refused: int
    """Hits that were not written down in this process: the spool was full or failed."""
    lost: int
    """Hits of this process that got lost before they reached the spool, by an error of ours."""
    _lock: Lock
    _segment: "_OpenSegment | None"
    _ended: "list[_OpenSegment]"
    # Of the present segment, here for speed: its memory, where the next record goes, where it ends.
    _map: mmap
    _at: int
    _end: int
    _seed: int
    _retry_ms: int | None
    _stop: Event
    _thread: Thread | None

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        sync_seconds: float | None = SYNC_SECONDS,
    ) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadSetting(
                f"The folder for pixel hits, {directory}, can't be made: {error.strerror}; "
                "set MAILPREFS_DATA_DIR to a folder on a local disk that mailprefs may write to."
            ) from error
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._sync_seconds = sync_seconds
        self._begin()
        _SPOOLS.add(self)

    def append(self, record: Record) -> bool:
        """Write one hit down; True means that it is safe from the death of this process.

        False means that it is lost and counted in ``refused``. Never raises.
        """
        try:
            rest = record.rest
        except (struct.error, ValueError):
            return self._refuse()
        return self.append_hit(record.subject, record.at_ms, rest)

    def append_hit(self, subject: int, at_ms: int, rest: bytes) -> bool:
        """Write one hit down as ``append`` does, with what many hits share encoded beforehand.

        *rest*: a record's ``rest``.
        """
        try:
            body = START.pack(subject, at_ms) + rest
        except struct.error:
            return self._refuse()
        # Not as a context: to enter and leave one costs as much as all that is done in it.
        lock = self._lock
        lock.acquire()
        try:
            if self._at == self._end and not self._has_room(at_ms):
                self.refused += 1
                return False
            begin = self._at
            self._at = begin + RECORD_BYTES
            # To the kernel's own page of the file: what stands there survives our death.
            _SEALED.pack_into(self._map, begin, body, crc32(body, self._seed))
            return True
        finally:
            lock.release()

    def _refuse(self) -> bool:
        with self._lock:
            self.refused += 1
        return False

    def count_lost(self) -> None:
        """Count a hit that got lost before it could be written down."""
        with self._lock:
            self.lost += 1

    def sync(self) -> None:
        """Ask the disk to keep everything acknowledged so far, so that a power cut can't take it.

        OSError if the disk says that it failed.
        """
        with self._lock:
            written = [*self._ended]
            if self._segment is not None:
                self._segment.used = self._at
                written.append(self._segment)
            self._ended.clear()
        failed: OSError | None = None
        for segment in written:
            try:
                segment.sync()
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Stop the thread, keep everything, and let go of the segment; a later hit begins anew."""
        with self._lock:
            stop, thread = self._stop, self._thread
            self._thread = None
            self._let_go()
        stop.set()
        if thread is not None:
            thread.join()
        with suppress(OSError):
            self.sync()

    def _begin(self) -> None:
        """Start with nothing, as a new process does; an inherited segment stays the parent's."""
        self._lock = Lock()
        self._segment, self._ended = None, []
        self._at = self._end = self._seed = 0
        self._retry_ms = None
        self._stop, self._thread = Event(), None
        self.refused = self.lost = 0

    def _has_room(self, at_ms: int) -> bool:
        """Get room for some records more, in a new segment. The lock is held."""
        if self._retry_ms is not None and abs(at_ms - self._retry_ms) < RETRY_MS:
            return False
        self._retry_ms = at_ms
        try:
            self._let_go()
            free = self._max_bytes - _bytes_in(self._directory)
            # A segment smaller than one record still takes one: the bound is on all together.
            size = min(free, max(self._segment_bytes, HEADER_BYTES + RECORD_BYTES))
            records = (size - HEADER_BYTES) // RECORD_BYTES
            if records < 1:
                return False
            self._take(_OpenSegment(self._directory, at_ms, records))
        except (OSError, struct.error, ValueError):
            return False
        self._retry_ms = None
        return True

    def _let_go(self) -> None:
        """End the present segment, if there is one: it is synced, and closed, by and by."""
        ended, self._segment = self._segment, None
        if ended is None:
            return
        ended.used, self._end = self._at, self._at
        ended.shorten()
        self._ended.append(ended)
        if self._sync_seconds is None:
            self._ended.clear()
            ended.sync()

    def _take(self, segment: "_OpenSegment") -> None:
        self._segment = segment
        self._map, self._seed = segment.map, segment.seed
        self._at, self._end = HEADER_BYTES, segment.size
        if self._sync_seconds is None or self._thread is not None:
            return
        self._stop.clear()
        thread = Thread(
            target=_keep_synced,
            args=(weakref.ref(self), self._stop, self._sync_seconds),
            name="spool-sync",
            daemon=True,
        )
        # No thread to be had, as when the process is ending: the hits are safe from its death.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread


class _OpenSegment:
    """A segment of this process: open, locked, its room taken, mapped into memory.

    All of its room is taken from the disk at once, so that a write to it can't fail for want of
    some. What isn't written yet is zeros, which readers know from hits.
    """

    def __init__(self, directory: Path, at_ms: int, records: int) -> None:
        self._descriptor = -1
        identity = secrets.token_bytes(ID_BYTES)
        header = encode_header(Header(identity, at_ms))
        self._directory = directory
        self.seed = seed_of(identity)
        self.size = HEADER_BYTES + records * RECORD_BYTES
        self.used = HEADER_BYTES
        self._kept = 0
        self._path = directory / f"{identity.hex()}{SUFFIX}"
        # Readers see a segment only when it is locked and has its header. A process killed between
        # these lines leaves a file that nobody looks at.
        unfinished = self._path.with_suffix(".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(unfinished, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(self._descriptor, 0, self.size)
            self.map = mmap(self._descriptor, self.size)
            self.map[:HEADER_BYTES] = header
            unfinished.rename(self._path)
        except (OSError, ValueError):
            unfinished.unlink(missing_ok=True)
            raise

    def __del__(self, _close: Callable[[int], None] = os.close) -> None:
        # When nobody syncs it any more.
        if self._descriptor >= 0:
            _close(self._descriptor)

    def shorten(self) -> None:
        """Give back the room that wasn't used; nothing may be written any more."""
        self.map.close()
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.used)

    def sync(self) -> None:
        """Have the disk keep the file, and, once, that it is in the directory."""
        size = self.used
        if size == self._kept:
            return
        os.fdatasync(self._descriptor)
        if not self._kept:
            sync_directory(self._directory)
        self._kept = size


def _bytes_in(directory: Path) -> int:
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                # The reader may remove it at this moment.
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
    return total


def _keep_synced(spool: "weakref.ref[Spool]", stop: Event, seconds: float) -> None:
    while not stop.wait(seconds):
        alive = spool()
        if alive is None:
            return
        # A disk that fails now is asked again; the hits themselves are with the kernel.
        with suppress(OSError):
            alive.sync()
        del alive


_SPOOLS: weakref.WeakSet[Spool] = weakref.WeakSet()


def _begin_anew() -> None:
    for spool in _SPOOLS:
        spool._begin()  # noqa: SLF001 - the module's own


os.register_at_fork(after_in_child=_begin_anew)
