"""Who writes at the same moment shares a transaction, and nobody is told before it holds."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.db.together import Together
from mailprefs.errors import StoreUnavailable
from mailprefs.schema.choices import PolicyVersion
from tests.factories import make_policy

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MOST = 20.0


class Watched:
    """A database whose transactions are counted, the first of which waits to be let go."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.n = 0
        self.is_in_first = threading.Event()
        self.may_go_on = threading.Event()
        self.shares = Together(self.transaction)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self.n += 1
        if self.n == 1:
            self.is_in_first.set()
            assert self.may_go_on.wait(MOST)
        with self._db.transaction() as session:
            yield session


def wait_until(n: int, shares: Together) -> None:
    for _ in range(2000):
        if len(shares._waiting) == n:  # noqa: SLF001 - nobody else knows who waits
            return
        threading.Event().wait(0.01)
    raise AssertionError(shares)


def publish(session: Session, names: Sequence[str]) -> list[int]:
    """Store policies, but for one that can't be."""
    if "faulty" in names:
        raise ValueError("this one's own trouble")
    return [make_policy(session, name) for name in names]


def run(db: Database, names: list[str]) -> tuple[Watched, list[Future[int]]]:
    """Publish one policy, and *names* while it is written."""
    watched = Watched(db)
    with ThreadPoolExecutor(len(names) + 1) as threads:
        done = [threads.submit(watched.shares.run, publish, "the first")]
        assert watched.is_in_first.wait(MOST)
        done += [threads.submit(watched.shares.run, publish, name) for name in names]
        wait_until(len(names), watched.shares)
        assert not any(one.done() for one in done)
        watched.may_go_on.set()
    return watched, done


def stored(db: Database) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(PolicyVersion)) or 0


def test_who_comes_while_one_is_written_is_written_in_one_transaction(db: Database) -> None:
    watched, done = run(db, [f"policy {n}" for n in range(4)])

    assert len({one.result() for one in done}) == 5
    assert watched.n == 2
    assert stored(db) == 5


def test_each_is_given_what_came_of_what_they_wanted(db: Database) -> None:
    _, done = run(db, [f"policy {n}" for n in range(4)])

    with db.reading() as session:
        versions = [session.get_one(PolicyVersion, one.result()).version for one in done]
    assert versions == ["the first", *(f"policy {n}" for n in range(4))]


def test_whoever_fails_is_told_so_and_the_others_are_stored(db: Database) -> None:
    _, done = run(db, ["before", "faulty", "after"])

    failed = [isinstance(one.exception(), ValueError) for one in done]
    assert failed == [False, False, True, False]
    assert stored(db) == 3


def test_nobody_is_told_that_it_holds_when_it_could_not_be_committed(db: Database) -> None:
    @contextmanager
    def away() -> Iterator[Session]:
        with db.transaction() as session:
            yield session
            raise StoreUnavailable("The database went away.")

    with pytest.raises(StoreUnavailable):
        Together(away).run(publish, "lost")
    assert stored(db) == 0


def test_whoever_waited_for_one_who_was_broken_off_is_told_to_come_again(db: Database) -> None:
    entered, let_go = threading.Event(), threading.Event()

    @contextmanager
    def broken_off() -> Iterator[Session]:
        if not entered.is_set():
            entered.set()
            assert let_go.wait(MOST)
            raise KeyboardInterrupt
        with db.transaction() as session:
            yield session

    shares = Together(broken_off)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(shares.run, publish, "broken off")
        assert entered.wait(MOST)
        second = threads.submit(shares.run, publish, "the second")
        wait_until(1, shares)
        let_go.set()
        assert isinstance(first.exception(), KeyboardInterrupt)
        assert second.result()
    assert stored(db) == 1
