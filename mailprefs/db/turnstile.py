"""One fair writer at a time on SQLite, across threads and processes, people's choices first.

SQLite's own lock is a race: whoever polls at the right moment wins, and an import that writes
without a pause can keep an unsubscribe waiting for seconds. Here ordinary writers stand in line at
a turnstile (a file lock), and only the first in line asks for the writer lock, so that whoever has
just written queues behind it. A person's choice says that it waits (a second file), and the first
in line steps aside for it, so that a choice has at most one of them ahead of it.

Nobody waits for ever: behind a writer that hangs, the others are told to come again. A file lock
can't be waited for with an end, so it is asked for again and again, each time after a small part of
the time that was waited already.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mailprefs.errors import StoreUnavailable

PATIENCE: Final = 20.0
"""Seconds after which a writer stops waiting."""
STEPPING_ASIDE: Final = 1.0
"""Seconds for which the first in line lets choices pass: however many come, it has its turn."""
_SHORTEST_PAUSE: Final = 0.0002
_LONGEST_PAUSE: Final = 0.005
_PART_OF_WAIT: Final = 20
_BUSY: Final = (
    "Somebody has been writing to the database for too long; nothing was changed. "
    "Try again in a moment."
)


class Turnstile:
    """The writer lock of one SQLite file, by lock files beside it; it ends with its process."""

    def __init__(self, database: Path) -> None:
        """Name the three lock files after *database*."""
        self._queue, self._choices, self._writer = (
            database.with_name(f"{database.name}.{name}") for name in ("queue", "turn", "writer")
        )

    @contextmanager
    def writing(self, *, choice: bool = False) -> Iterator[None]:
        """Hold the right to write; a person's *choice* passes ahead of ordinary writers.

        :raises StoreUnavailable: after ``PATIENCE`` seconds in which it wasn't to be had.
        """
        began = time.monotonic()
        writer = self._as_choice(began) if choice else self._in_line(began)
        try:
            yield
        finally:
            os.close(writer)

    def _as_choice(self, began: float) -> int:
        """Say that a choice waits, and wait for the writer lock; give its file descriptor."""
        with _held(self._choices, began, shared=True):
            return _lock(self._writer, began)

    def _in_line(self, began: float) -> int:
        """Stand in line, then wait for the writer lock while no choice does."""
        with _held(self._queue, began):
            choices = os.open(self._choices, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            until = time.monotonic() + STEPPING_ASIDE
            try:
                return _lock(self._writer, began, may_try=lambda: _is_free(choices, until))
            finally:
                os.close(choices)


def _is_free(choices: int, until: float) -> bool:
    """Tell whether no choice waits, or whether this writer has let enough of them pass."""
    if time.monotonic() > until:
        return True
    if not _taken(choices, fcntl.LOCK_EX):
        return False
    fcntl.flock(choices, fcntl.LOCK_UN)
    return True


def _lock(
    path: Path,
    began: float,
    *,
    shared: bool = False,
    may_try: Callable[[], bool] = lambda: True,
) -> int:
    """Give a descriptor that holds the lock of *path*; closing it lets go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        while not (may_try() and _taken(descriptor, kind)):
            _pause(began)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _pause(began: float) -> None:
    """Sleep for a small part of the time waited since *began*.

    :raises StoreUnavailable: once that is too long.
    """
    waited = time.monotonic() - began
    if waited > PATIENCE:
        raise StoreUnavailable(_BUSY)
    time.sleep(min(max(waited / _PART_OF_WAIT, _SHORTEST_PAUSE), _LONGEST_PAUSE))


def _taken(descriptor: int, kind: int) -> bool:
    """Take a lock if it is free now; tell whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _held(path: Path, began: float, *, shared: bool = False) -> Iterator[None]:
    descriptor = _lock(path, began, shared=shared)
    try:
        yield
    finally:
        os.close(descriptor)
