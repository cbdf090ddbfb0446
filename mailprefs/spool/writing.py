"""Append hits, from any number of threads, without ever failing the request that brings one."""

import errno
import fcntl
import os
import secrets
import struct
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from mailprefs.errors import BadSetting
from mailprefs.spool.records import (
    HEADER_BYTES,
    ID_BYTES,
    RECORD_BYTES,
    SUFFIX,
    Header,
    Record,
    encode,
    encode_header,
    seed_of,
)

MAX_BYTES: Final = 1 << 30
"""What the segments of a directory may take by default: 33 million hits not yet counted."""
SEGMENT_BYTES: Final = 1 << 24
"""Where a writer begins a new segment by default: 524,286 hits."""
GRANT_BYTES: Final = 1 << 20
"""What a process may write before it looks at the directory again.

So further processes in one directory can together go beyond the bound by 1 MiB each, no more.
"""
SYNC_SECONDS: Final = 1.0
"""How often the disk is asked to keep what was written: what a power cut can cost at most."""
RETRY_MS: Final = 1_000
"""How long a full or unwritable directory is left alone; by the times of the hits."""


class Spool:
    """The writing end, one for each process that serves the pixel; safe in all its threads.

    A process that is forked later begins a segment of its own. ``max_bytes`` bounds all segments
    of the directory together; hits beyond it are refused and counted, the pixel answers anyway.
    ``sync_seconds`` None: the disk is asked only by ``sync`` and ``close``. errors.BadSetting if
    the directory can't be made.
    """

    refused: int
    """Hits that were not written down in this process: the spool was full or failed."""
    _lock: Lock
    _segment: "_OpenSegment | None"
    _ended: "list[_OpenSegment]"
    _left: int
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
        with self._lock:
            if self._left <= 0 and not self._has_room(record.at_ms):
                self.refused += 1
                return False
            self._left -= 1
            segment = self._segment
        # Outside the lock: appends of several threads to one file don't mix. The local name keeps
        # the segment open if another thread begins a new one meanwhile.
        if segment is not None and segment.append(record):
            return True
        with self._lock:
            self.refused += 1
        return False

    def sync(self) -> None:
        """Ask the disk to keep everything acknowledged so far, so that a power cut can't take it.

        OSError if the disk says that it failed.
        """
        with self._lock:
            written = [*self._ended, self._segment]
            self._ended.clear()
        failed: OSError | None = None
        for segment in written:
            try:
                if segment is not None:
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
        stop.set()
        if thread is not None:
            thread.join()
        with suppress(OSError):
            self.sync()
        with self._lock:
            self._segment, self._left = None, 0

    def _begin(self) -> None:
        """Start with nothing, as a new process does; an inherited segment stays the parent's."""
        self._lock = Lock()
        self._segment, self._ended, self._left = None, [], 0
        self._retry_ms = None
        self._stop, self._thread = Event(), None
        self.refused = 0

    def _has_room(self, at_ms: int) -> bool:
        """Get leave to write some records more, in a new segment if need be. The lock is held."""
        if self._retry_ms is not None and abs(at_ms - self._retry_ms) < RETRY_MS:
            return False
        self._retry_ms = at_ms
        try:
            free = self._max_bytes - _bytes_in(self._directory)
            if self._segment is None or self._segment.size() + RECORD_BYTES > self._segment_bytes:
                if free < HEADER_BYTES + RECORD_BYTES:
                    return False
                self._rotate(at_ms)
                free -= HEADER_BYTES
            room = self._segment_bytes - self._segment.size() if self._segment else 0
        except (OSError, struct.error):
            return False
        # A segment smaller than one record still takes one: the bound is on all of them together.
        self._left = min(free, max(room, RECORD_BYTES), GRANT_BYTES) // RECORD_BYTES
        if self._left > 0:
            self._retry_ms = None
        return self._left > 0

    def _rotate(self, at_ms: int) -> None:
        ended, self._segment = self._segment, _OpenSegment(self._directory, at_ms)
        if self._sync_seconds is None:
            if ended is not None:
                ended.sync()
            return
        if ended is not None:
            self._ended.append(ended)
        if self._thread is None:
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
    """A segment of this process: open, locked, and closed when nobody holds it any more."""

    def __init__(self, directory: Path, at_ms: int) -> None:
        self._descriptor = -1
        identity = secrets.token_bytes(ID_BYTES)
        header = encode_header(Header(identity, at_ms))
        self._directory = directory
        self._seed = seed_of(identity)
        self._kept = 0
        path = directory / f"{identity.hex()}{SUFFIX}"
        # Readers see a segment only when it is locked and has its header. A process killed between
        # these lines leaves a file of 64 bytes that nobody looks at.
        unfinished = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(unfinished, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_whole(self._descriptor, header)
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def __del__(self, _close: Callable[[int], None] = os.close) -> None:
        # Not at rotation: another thread may be about to write, and the number of a closed file
        # may by then belong to another one.
        if self._descriptor >= 0:
            _close(self._descriptor)

    def append(self, record: Record) -> bool:
        """Write one record at the end, in one call; tell whether all of it is there."""
        try:
            data = encode(record, self._seed)
            # A disk that fills up may take a part: the reader finds the next whole record.
            return os.write(self._descriptor, data) == RECORD_BYTES
        except (OSError, struct.error, ValueError):
            return False

    def size(self) -> int:
        """Give the bytes of the file."""
        return os.fstat(self._descriptor).st_size

    def sync(self) -> None:
        """Have the disk keep the file, and, once, that it is in the directory."""
        size = self.size()
        if size == self._kept:
            return
        os.fdatasync(self._descriptor)
        if not self._kept:
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._kept = size


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, "the disk is full")


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
