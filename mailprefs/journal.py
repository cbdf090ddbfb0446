"""The journal of refusals: what must never be lost with a database, kept outside of it.

A backup of the database doesn't know what people said after it. So every opt-out, objection,
complaint and erasure is also a line in a file: a number that only grows, the time, the keyed hash
of the address, and what it was. A line is on disk before the person is answered. It names nobody,
and without MAILPREFS_ADDRESS_KEY nobody can be found by it.

A line may be there whose answer never came, or twice: to refuse once more does no harm.
"""

import json
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from mailprefs.errors import BadFile, StoreUnavailable

PROMOTIONAL: Final = "promotional"
TRACKING: Final = "tracking"
COMPLAINED: Final = "complained"
ERASED: Final = "erased"
_TOPIC: Final = "topic "
_UNWRITTEN: Final = (
    "The journal of refusals can't be written, so nothing that people say can be promised; see "
    "that the file of MAILPREFS_JOURNAL can be written and its disk has room."
)


class Refusal(NamedTuple):
    """One no: of whom, by keyed hash, and to what (one of the words above, or a topic's)."""

    address_hash: bytes
    what: str
    at: datetime


class Line(NamedTuple):
    """One line of the journal, with its number."""

    seq: int
    refusal: Refusal


def of_topic(topic_id: int) -> str:
    """Give the word for a no to one topic."""
    return f"{_TOPIC}{topic_id}"


def topic_of(what: str) -> int | None:
    """Give the topic that a word is about; None for the other words."""
    return int(what.removeprefix(_TOPIC)) if what.startswith(_TOPIC) else None


class Journal:
    """The file of one host; processes and threads may share it."""

    def __init__(self, path: Path) -> None:
        """Take where it is; it is made with its first line."""
        self.path = path
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []

    def append(self, seq: int, refusals: Sequence[Refusal]) -> None:
        """Append refusals numbered up to *seq*; they are on disk when this returns.

        :raises StoreUnavailable: if they aren't. They are kept in mind then, and go before the
            next ones: what was committed and refused an answer may be answered by a repetition.
        """
        if not refusals and not self._waiting:
            return
        first = seq - len(refusals) + 1
        lines = [_text(first + n, one) for n, one in enumerate(refusals)]
        with self._lock:
            self._waiting += lines
        self.flush()

    def flush(self) -> None:
        """Write what couldn't be written before; raises as ``append`` does."""
        if not self._waiting:
            return
        with self._lock:
            waiting = self._waiting
            try:
                if waiting:
                    _write(self.path, b"".join(waiting))
            except OSError as error:
                raise StoreUnavailable(_UNWRITTEN) from error
            self._waiting = []

    def lines(self) -> list[Line]:
        """Give every line, in order of their numbers; one that is torn by a crash is left out.

        :raises BadFile: for a file that can't be read.
        """
        return sorted(read(self.path))

    def last(self) -> int:
        """Give the highest number near the end; 0 for a journal without lines.

        :raises BadFile: for a file that can't be read.
        """
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _TAIL))
                tail = file.read()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise BadFile(f"{self.path.name} can't be read: {error.strerror}.") from error
        return max((one.seq for one in _read(tail.splitlines())), default=0)


_TAIL: Final = 65_536
"""Bytes of the end in which the highest number is: lines of a moment may change places."""


def read(path: Path) -> list[Line]:
    """Give the lines of a journal as they stand there.

    :raises BadFile: for a file that can't be read.
    """
    try:
        return list(_read(path.read_bytes().splitlines()))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadFile(f"{path.name} can't be read: {error.strerror}.") from error


def _read(lines: Iterable[bytes]) -> Iterable[Line]:
    for line in lines:
        try:
            said = json.loads(line)
            at = datetime.fromisoformat(said["at"])
            refusal = Refusal(bytes.fromhex(said["hash"]), str(said["what"]), at)
            yield Line(int(said["seq"]), refusal)
        except (ValueError, KeyError, TypeError):
            continue


def _text(seq: int, refusal: Refusal) -> bytes:
    at = refusal.at.astimezone(UTC).isoformat(timespec="seconds")
    said = {"seq": seq, "at": at, "hash": refusal.address_hash.hex(), "what": refusal.what}
    return json.dumps(said).encode() + b"\n"


def _write(path: Path, content: bytes) -> None:
    """Append in one piece; a torn line before it, which a crash left, is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = os.lseek(place, 0, os.SEEK_END)
        torn = end > 0 and os.pread(place, 1, end - 1) != b"\n"
        content = b"\n" + content if torn else content
        if os.write(place, content) != len(content):
            raise OSError("the disk is full")
        os.fsync(place)
    finally:
        os.close(place)
