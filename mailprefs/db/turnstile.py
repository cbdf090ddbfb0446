"""One fair writer at a time on SQLite, across threads and processes, people's choices first.

SQLite's own lock is a race: whoever polls at the right moment wins, and an import that writes
without a pause can keep an unsubscribe waiting for seconds. Here a writer first passes a turnstile
(a file lock) that it holds while it waits for the writer lock, so that whoever has just written
queues behind it. Ordinary writers pass an outer turnstile before, one at a time, so that a person's
choice has at most one of them ahead of it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    """The writer lock of one SQLite file, by lock files beside it; it ends with its process."""

    def __init__(self, database: Path) -> None:
        """Name the three lock files after *database*."""
        self._outer, self._inner, self._writer = (
            database.with_name(f"{database.name}.{name}") for name in ("queue", "turn", "writer")
        )

    @contextmanager
    def writing(self, *, choice: bool = False) -> Iterator[None]:
        """Hold the right to write; a person's *choice* passes ahead of ordinary writers."""
        if choice:
            writer = self._pass_inner()
        else:
            with _locked(self._outer):
                writer = self._pass_inner()
        try:
            yield
        finally:
            os.close(writer)

    def _pass_inner(self) -> int:
        """Wait in the inner turnstile for the writer lock; give its file descriptor."""
        with _locked(self._inner):
            return _lock(self._writer)


def _lock(path: Path) -> int:
    """Give a descriptor that holds the exclusive lock of *path*; closing it lets go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _lock(path)
    try:
        yield
    finally:
        os.close(descriptor)
