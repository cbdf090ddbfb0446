"""Read segments, by one process a machine, and remove those that are finished."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from mailprefs.errors import BadFile
from mailprefs.spool.disk import sync_directory
from mailprefs.spool.records import (
    HEADER_BYTES,
    RECORD_BYTES,
    SUFFIX,
    Header,
    Record,
    checked,
    decode,
    decode_header,
    seed_of,
)

_READER_LOCK: Final = "reader.lock"
_BLOCK: Final = 1 << 18
_BITE: Final = 8_192
WINDOW: Final = 1 << 17
"""Records that ``window`` gives at most, but for a bite more: all of a segment."""


class Segment(NamedTuple):
    """One file of the spool. Its ``identity`` (16 bytes) is never used twice: key positions by it.

    ``started_ms`` is the time of its first hit, ``size`` its bytes when it was listed.
    """

    path: Path
    identity: bytes
    started_ms: int
    size: int

    def has_more(self, position: int) -> bool:
        """Tell whether a whole record may stand behind *position*."""
        return self.size - max(position, HEADER_BYTES) >= RECORD_BYTES


def segments(directory: Path) -> list[Segment]:
    """List the readable segments, the one that was begun first at the front.

    An absent directory has none. Files that can't be read are left out: see ``unreadable``.
    """
    found: list[Segment] = []
    for path in directory.glob(f"*{SUFFIX}"):
        try:
            with path.open("rb") as file:
                header = decode_header(file.read(HEADER_BYTES), path)
                size = os.fstat(file.fileno()).st_size
        except (BadFile, OSError):
            continue
        found.append(Segment(path, header.identity, header.started_ms, size))
    return sorted(found, key=lambda one: (one.started_ms, one.identity))


def unreadable(directory: Path) -> list[Path]:
    """List the files that look like segments and can't be read as such; for a person to look at.

    They are damaged in the header or of another version, and are never removed by this one.
    """
    readable = {one.path for one in segments(directory)}
    return sorted(path for path in directory.glob(f"*{SUFFIX}") if path not in readable)


def read(path: Path, position: int, limit: int) -> tuple[list[Record], int]:
    """Give at most *limit* records from byte *position* on, and the position behind them.

    A torn or corrupt record is skipped, byte by byte to the next whole one, and what may still
    become a record at the end is left for later: too few bytes, or one behind which there are only
    zeros, the room that the writer has taken. So next - position - 32 x records is the number of
    damaged bytes passed over (0 is read as 64, the end of the header). Nothing new: an empty list
    and the same position. errors.BadFile if it isn't a segment that we can read.
    """
    with _open(path) as (descriptor, header):
        stretch = _Stretch(descriptor, header, max(position, HEADER_BYTES))
        bodies, after = stretch.read(limit * RECORD_BYTES)
        return [decode(body) for body in bodies], after


def window(path: Path, position: int, end: int | None = None) -> tuple[list[bytes], int]:
    """Give the bodies of the records from byte *position* on, in the order that they were written.

    All that are there now, up to ``WINDOW``, and the position behind them, as ``read`` does. With
    the *end* that an earlier call gave, the same records again: what couldn't be read before others
    never can be, and what could be stays, unless a power cut takes it. errors.BadFile as there.
    """
    bodies: list[bytes] = []
    place = max(position, HEADER_BYTES)
    with _open(path) as (descriptor, header):
        while place < end if end is not None else len(bodies) < WINDOW:
            size = _BITE * RECORD_BYTES if end is None else min(_BITE * RECORD_BYTES, end - place)
            found, after = _Stretch(descriptor, header, place).read(size)
            if after == place:
                break
            bodies += found
            place = after
    return bodies, place if end is None else end


def remove(segment: Segment, position: int) -> bool:
    """Delete a segment if its writer is gone and nothing stands behind *position*; tell if so.

    Call it only after the position is committed. The position's row may go too: the segment's id
    never comes back.
    """
    try:
        descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        # The writer holds this lock for as long as it lives.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _holds_more(segment, position):
            return False
        segment.path.unlink(missing_ok=True)
        # Before the position may go: a power cut that brings the file back must find it.
        sync_directory(segment.path.parent)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def _open(path: Path) -> Iterator[tuple[int, Header]]:
    try:
        with path.open("rb", buffering=0) as file:
            yield file.fileno(), decode_header(file.read(HEADER_BYTES), path)
    except OSError as error:
        raise BadFile(f"{path.name} can't be read: {error.strerror}.") from error


@contextmanager
def only_reader(directory: Path) -> Iterator[bool]:
    """Give True to one caller of a machine at a time, False to the others, who should wait.

    Held until the block ends or the process dies. Two threads of one process count as two callers.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / _READER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _holds_more(segment: Segment, position: int) -> bool:
    """Tell whether a record stands behind *position*, now that nobody can write any more."""
    after = position
    while True:
        records, end = read(segment.path, after, _BITE)
        if records:
            return True
        if end == after:
            return False
        after = end


class _Stretch:
    """What stands in an open segment from byte *start* on.

    A writer may be at work meanwhile, and what was read can miss a record before another one that
    it holds. But records are written in order: where something stands behind a record that can't be
    read, that record is there by now, or never will be. So it is looked at once more.
    """

    def __init__(self, descriptor: int, header: Header, start: int) -> None:
        self._descriptor, self._start = descriptor, start
        self._seed = seed_of(header.identity)

    def read(self, size: int) -> tuple[list[bytes], int]:
        """Give the bodies of the records in so many bytes, and the position behind them."""
        raw = os.pread(self._descriptor, size, self._start)
        data, used = memoryview(raw), len(raw.rstrip(b"\0"))
        bodies: list[bytes] = []
        offset, last = 0, len(data) - RECORD_BYTES
        while offset <= last:
            whole = checked(data[offset:], self._seed)
            bodies += whole
            offset += len(whole) * RECORD_BYTES
            if offset > last:
                break
            if used <= offset + RECORD_BYTES and not self._is_near(offset, used):
                return bodies, self._start + self._passed(offset, len(data))
            again = self._again(offset)
            bodies += again
            offset += RECORD_BYTES if again else 1
        return bodies, self._start + offset

    def _again(self, offset: int) -> list[bytes]:
        """Read one record anew; none if it still can't be read."""
        data = os.pread(self._descriptor, RECORD_BYTES, self._start + offset)
        return checked(memoryview(data), self._seed)

    def _is_near(self, offset: int, used: int) -> bool:
        """Tell whether a whole record begins before *used* in what can't be read at *offset*.

        The end of a record's checksum may be zeros, which look like room behind it.
        """
        data = memoryview(os.pread(self._descriptor, 2 * RECORD_BYTES - 1, self._start + offset))
        return any(
            checked(data[at : at + RECORD_BYTES], self._seed) for at in range(1, used - offset)
        )

    def _passed(self, offset: int, size: int) -> int:
        """Give how far may be passed over, from *offset* on, behind which a bite is blank.

        No further, if the rest of the file is blank, too: that is room still to be written to.
        Else it is a page that a power cut took, and a record may begin with zeros: its first byte
        stands at most 31 before the first that isn't.
        """
        place = self._start + size
        while data := os.pread(self._descriptor, _BLOCK, place):
            if not _is_blank(data):
                blank = len(data) - len(data.lstrip(b"\0"))
                there = place + blank - RECORD_BYTES + 1 - self._start
                return offset if self._again(offset) else max(offset + 1, min(there, size + blank))
            place += len(data)
        return offset


def _is_blank(data: bytes) -> bool:
    return data.count(0) == len(data)
