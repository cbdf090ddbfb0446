"""Who writes at the same moment shares a transaction, and nobody is told before it holds."""

import threading
from collections.abc import Callable, Iterator
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


def publish(name: str) -> Callable[[Session], int]:
    return lambda session: make_policy(session, name)


def fail(_: Session) -> int:
    raise ValueError("this one's own trouble")


def run(db: Database, acts: list[Callable[[Session], int]]) -> tuple[Watched, list[Future[int]]]:
    """Run one act, and *acts* while it is written."""
    watched = Watched(db)
    with ThreadPoolExecutor(len(acts) + 1) as threads:
        done = [threads.submit(watched.shares.run, publish("the first"))]
        assert watched.is_in_first.wait(MOST)
        done += [threads.submit(watched.shares.run, act) for act in acts]
        wait_until(len(acts), watched.shares)
        assert not any(one.done() for one in done)
        watched.may_go_on.set()
    return watched, done


def stored(db: Database) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(PolicyVersion)) or 0


def test_who_comes_while_one_is_written_is_written_in_one_transaction(db: Database) -> None:
    watched, done = run(db, [publish(f"policy {n}") for n in range(4)])

    assert len({one.result() for one in done}) == 5
    assert watched.n == 2
    assert stored(db) == 5


def test_whoever_fails_is_told_so_and_the_others_are_stored(db: Database) -> None:
    _, done = run(db, [publish("before"), fail, publish("after")])

    assert sorted(type(one.exception()).__name__ for one in done) == [
        "NoneType",
        "NoneType",
        "NoneType",
        "ValueError",
    ]
    assert stored(db) == 3


def test_nobody_is_told_that_it_holds_when_it_could_not_be_committed(db: Database) -> None:
    db_that_is_away = Watched(db)
    db_that_is_away.may_go_on.set()

    @contextmanager
    def away() -> Iterator[Session]:
        with db.transaction() as session:
            yield session
            raise StoreUnavailable("The database went away.")

    with pytest.raises(StoreUnavailable):
        Together(away).run(publish("lost"))
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
        first = threads.submit(shares.run, publish("broken off"))
        assert entered.wait(MOST)
        second = threads.submit(shares.run, publish("the second"))
        wait_until(1, shares)
        let_go.set()
        assert isinstance(first.exception(), KeyboardInterrupt)
        assert second.result()
    assert stored(db) == 1
