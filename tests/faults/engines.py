"""What carries the sending: each engine is judged by the same suite, against the same promises.

A further engine is one more class with these members, and one more line in ``ENGINES``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.faults.processes import Group
from tests.faults.stores import SqliteStore, Store, postgresql_store


class Engine(Protocol):
    """How work is carried: on which store, and what a group of workers is."""

    @property
    def name(self) -> str:
        """Give the name by which it is chosen."""
        ...

    @property
    def store(self) -> Store:
        """Give where its installations keep what they know."""
        ...

    def start(self, environment: Mapping[str, str], log: Path) -> Group:
        """Start one group of workers on the installation that *environment* describes."""
        ...


@dataclass(frozen=True)
class Threads:
    """``mailprefs worker``: threads of one process that look into the ledger for work."""

    name: str
    store: Store

    def start(self, environment: Mapping[str, str], log: Path) -> Group:
        threads = int(environment["MAILPREFS_SENDING_THREADS"])
        return Group(["worker"], environment, log, threads=threads)


@contextmanager
def threads_on_sqlite(folder: Path) -> Iterator[Engine]:
    """Give threads on SQLite."""
    del folder
    yield Threads("threads-sqlite", SqliteStore())


@contextmanager
def threads_on_postgresql(folder: Path) -> Iterator[Engine]:
    """Give threads on a PostgreSQL of their own, whose files are in *folder*."""
    with postgresql_store(folder / "postgresql") as store:
        yield Threads("threads-postgresql", store)


ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "threads-sqlite": threads_on_sqlite,
    "threads-postgresql": threads_on_postgresql,
}
