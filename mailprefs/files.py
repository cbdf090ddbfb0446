"""Files: one that somebody else replaces while we run, and one that only its owner may read."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar

from mailprefs.errors import BadFile, MailprefsError

LOOK_SECONDS: Final = 30.0
"""How long a new file may go unnoticed."""

T = TypeVar("T")
log = logging.getLogger("mailprefs.files")


class Followed(Generic[T]):
    """What a file says, read again when the file changes; None while it is absent or unreadable.

    Safe in all threads. A file that can't be read is told once in the log and changes nothing else.
    """

    def __init__(
        self, path: Path, read: Callable[[Path], T], *, every: float = LOOK_SECONDS
    ) -> None:
        """Follow *path*; *read* makes of it what is wanted, or raises MailprefsError or OSError."""
        self._path, self._read, self._every = path, read, every
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._seen: tuple[int, int, int] | None = None
        self._value: T | None = None

    def current(self) -> T | None:
        """Give what the file says now, by a look that is half a minute old at most."""
        if time.monotonic() >= self._look_at and self._lock.acquire(blocking=self._look_at == 0.0):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._value

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            seen = None
        if seen != self._seen:
            self._seen = seen
            self._value = self._taken() if seen else None
        self._look_at = time.monotonic() + self._every

    def _taken(self) -> T | None:
        try:
            return self._read(self._path)
        except MailprefsError as error:
            log.warning("%s", error)
        except OSError as error:
            log.warning("%s can't be read: %s.", self._path.name, error.strerror)
        return None


@contextmanager
def private(file: Path) -> Iterator[BinaryIO]:
    """Give a new file to write, which only its owner may read, and which is there whole or not.

    It gets its name when the block ends; if that ends by an error, nothing is left of it.

    :raises BadFile: for a file that is there already or can't be written.
    """
    if file.exists():
        msg = f"{file} is there already; name a file that isn't."
        raise BadFile(msg)
    part = file.with_name(f"{file.name}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, 0o600), "r+b") as out:
            os.fchmod(out.fileno(), 0o600)
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
    except OSError as error:
        msg = f"{file} can't be written: {error.strerror}."
        raise BadFile(msg) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
