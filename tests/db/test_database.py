"""Transactions, the gate and the writer lock."""

import os
import sqlite3
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from traceback import walk_stack
from types import FrameType

import pytest
from sqlalchemy import text

from mailprefs.db import turnstile
from mailprefs.db.database import Database, Gate
from mailprefs.db.dialects import among, database_time
from mailprefs.errors import BadSetting, StoreUnavailable
from mailprefs.schema.opens import SilencedDelivery, SpoolPosition

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_an_error_in_the_block_leaves_nothing_behind(db: Database) -> None:
    def fail_after_a_write() -> None:
        with db.transaction() as session:
            session.add(SilencedDelivery(delivery_id=1))
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail_after_a_write()
    with db.reading() as session:
        assert session.query(SilencedDelivery).count() == 0


def test_a_date_time_comes_back_aware_and_in_utc(db: Database) -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=1)))
    with db.transaction() as session:
        session.add(SpoolPosition(segment=b"0" * 16, position=0, updated_at=berlin))
    with db.reading() as session:
        stored = session.query(SpoolPosition).one().updated_at
    assert stored == NOW
    assert stored.tzinfo is UTC


def test_a_naive_date_time_is_refused(db: Database) -> None:
    naive = SpoolPosition(segment=b"0" * 16, position=0, updated_at=NOW.replace(tzinfo=None))
    with pytest.raises(Exception, match="without a zone"), db.transaction() as session:
        session.add(naive)


def test_a_choice_waits_for_a_claim_and_a_claim_for_a_choice(db: Database) -> None:
    """Whoever uses permissions and whoever takes one away never overlap."""
    for first, second in ((Gate.USING, Gate.TAKING), (Gate.TAKING, Gate.USING)):
        order: list[str] = []
        entered = threading.Event()

        def wait_behind(gate: Gate = second, order: list[str] = order) -> None:
            with db.transaction(gate):
                order.append("second in")

        with db.transaction(first):
            waiting = threading.Thread(target=wait_behind)
            waiting.start()
            entered.wait(0.2)
            order.append("first out")
        waiting.join(5)
        assert order == ["first out", "second in"]


def test_claims_do_not_wait_for_each_other_on_postgresql(postgresql_url: str) -> None:
    db = Database(postgresql_url)
    done = threading.Event()

    def claim() -> None:
        with db.transaction(Gate.USING):
            done.set()

    with db.transaction(Gate.USING):
        thread = threading.Thread(target=claim)
        thread.start()
        assert done.wait(5)
    thread.join(5)
    db.close()


def test_a_choice_passes_ahead_of_writers_that_wait(sqlite_url: str) -> None:
    """Eight writers stand in line when a person's choice arrives: at most one is ahead of it."""
    db = Database(sqlite_url)
    order: list[str] = []

    def write(name: str, gate: Gate) -> None:
        with db.transaction(gate):
            order.append(name)

    threads = [threading.Thread(target=write, args=(f"writer {i}", Gate.NONE)) for i in range(8)]
    with db.transaction():
        for thread in threads:
            thread.start()
        _until_waiting(8)
        choice = threading.Thread(target=write, args=("choice", Gate.TAKING))
        choice.start()
        # The first in line and the choice: it has said by then that it waits.
        _until_waiting(2, lock=".writer")
    for thread in [*threads, choice]:
        thread.join(5)
    assert len(order) == 9
    assert order.index("choice") <= 1
    db.close()


def test_choices_without_end_leave_ordinary_writers_their_turn(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "STEPPING_ASIDE", 0.1)
    db = Database(sqlite_url)
    done = threading.Event()

    def choose() -> None:
        while not done.is_set():
            with db.transaction(Gate.TAKING):
                time.sleep(0.01)

    choosing = [threading.Thread(target=choose) for _ in range(3)]
    for thread in choosing:
        thread.start()
    try:
        with db.transaction():
            pass
    finally:
        done.set()
        for thread in choosing:
            thread.join(5)
        db.close()


@pytest.mark.parametrize("gate", [Gate.NONE, Gate.TAKING])
def test_nobody_waits_for_ever_behind_a_writer_that_hangs(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    monkeypatch.setattr(turnstile, "PATIENCE", 0.3)
    db, hanging = Database(sqlite_url), Database(sqlite_url)
    told: list[str] = []

    def write() -> None:
        try:
            with db.transaction(gate):
                told.append("written")
        except StoreUnavailable as failure:
            told.append(str(failure))

    with hanging.transaction():
        threads = [threading.Thread(target=write, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert len(told) == 3
    assert all("nothing was changed. Try again" in sentence for sentence in told)
    write()
    assert told[-1] == "written"
    for one in (db, hanging):
        one.close()


def _until_waiting(n: int, *, lock: str = "") -> None:
    """Wait until *n* threads of this process wait for file locks whose names end in *lock*."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        stacks = (walk_stack(frame) for frame in sys._current_frames().values())  # noqa: SLF001 - documented
        if sum(any(is_in_turnstile(frame, lock) for frame, _ in stack) for stack in stacks) >= n:
            return
        time.sleep(0.01)
    pytest.fail(f"{n} threads should wait for a lock")


def is_in_turnstile(frame: FrameType, lock: str) -> bool:
    code = frame.f_code
    waits = code.co_name == "_lock" and code.co_filename == turnstile.__file__
    return waits and str(frame.f_locals["path"]).endswith(lock)


def test_reading_never_waits_for_a_writer(db: Database) -> None:
    with db.transaction() as writing:
        writing.add(SilencedDelivery(delivery_id=1))
        writing.flush()
        with db.reading() as session:
            assert session.query(SilencedDelivery).count() == 0


def test_a_lost_database_is_a_sentence_without_people() -> None:
    db = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable, match="can't be reached") as caught, db.transaction():
        pass
    assert "nobody" not in str(caught.value)


def test_a_new_database_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    db = Database(f"sqlite:///{tmp_path / 'people.db'}")
    try:
        with db.transaction() as session:
            session.execute(text("CREATE TABLE people (address TEXT)"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
        db.close()
    assert {"people.db", "people.db-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_driver_that_is_spoken_to_directly_fails_in_the_same_sentence(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'people.db'}")

    def fill_the_disk() -> None:
        with db.transaction():
            raise sqlite3.OperationalError("disk I/O error")

    try:
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            fill_the_disk()
    finally:
        db.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_serve_is_refused_at_start(url: str) -> None:
    with pytest.raises(BadSetting, match="MAILPREFS_DATABASE_URL"):
        Database(url)


def test_many_ids_are_one_bound_value(db: Database) -> None:
    with db.transaction() as session:
        session.add_all(SilencedDelivery(delivery_id=i << 32) for i in range(1, 6))
        session.flush()
        found = session.query(SilencedDelivery).where(
            among(session, SilencedDelivery.delivery_id, [2 << 32, 4 << 32, 99])
        )
        assert sorted(row.delivery_id for row in found) == [2 << 32, 4 << 32]


def test_the_databases_clock_is_near_ours(db: Database) -> None:
    with db.transaction() as session:
        assert abs(database_time(session) - datetime.now(UTC)) < timedelta(seconds=10)


def test_sqlite_keeps_an_answered_choice_through_a_power_cut(sqlite_url: str) -> None:
    """FULL: the commit is on the disk before the answer; and a deleted address leaves the file."""
    db = Database(sqlite_url)
    with db.transaction() as session:
        assert session.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert session.execute(text("PRAGMA secure_delete")).scalar_one() == 1
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    db.close()


def test_a_commit_that_need_not_be_durable_is_there_and_the_next_one_is_durable_again(
    db: Database,
) -> None:
    asked = "PRAGMA synchronous" if db.is_sqlite else "SHOW synchronous_commit"
    before = _answer(db, asked)
    with db.transaction(durable=False) as session:
        session.add(SilencedDelivery(delivery_id=1))
        session.flush()
        during = session.execute(text(asked)).scalar_one()
    assert during == (1 if db.is_sqlite else "off")
    with db.transaction() as session:
        assert session.query(SilencedDelivery).count() == 1
        assert session.execute(text(asked)).scalar_one() == before


def _answer(db: Database, question: str) -> object:
    with db.transaction() as session:
        return session.execute(text(question)).scalar_one()
