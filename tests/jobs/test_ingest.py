"""Hits go from the spool into the database once each, whatever happens on the way."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from mailprefs import opens, spool
from mailprefs.db.database import Database
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs import ingest
from mailprefs.jobs.ingest import Ingest
from mailprefs.schema.opens import (
    Loads,
    MeasuredTotal,
    Open,
    OpenRollup,
    SilencedDelivery,
    SpoolPosition,
)
from mailprefs.spool import Record, Spool
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NOW = SENT + timedelta(hours=3)


def hit(subject: int, *, minutes: float = 30, is_aggregate: bool = False) -> Record:
    at_ms = int((SENT + timedelta(minutes=minutes)).timestamp() * 1000)
    return Record(
        subject=subject,
        is_aggregate=is_aggregate,
        at_ms=at_ms,
        kind=OpenKind.DIRECT,
        reason=Reason.BROWSER,
        client=Client.BROWSER,
        country=None,
        ruleset=RULESET,
    )


@pytest.fixture
def sent(db: Database) -> list[int]:
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session), first_hand_over_at=SENT)
        people = [make_recipient(session) for _ in range(40)]
        return make_sent(session, campaign, people, at=SENT)


@pytest.fixture
def job(db: Database, directory: Path) -> Ingest:
    return Ingest(db, directory, lambda: NOW)


def counts(db: Database) -> tuple[int, int, int]:
    """Rows of opens, what the rollup by hour says of them, and measured deliveries with an open."""
    with db.reading() as session:
        hours = session.query(OpenRollup).where(OpenRollup.dimension == "hour")
        totals = session.query(MeasuredTotal).where(MeasuredTotal.bits >= opens.FETCHED)
        return (
            session.query(Open).count(),
            sum(row.n for row in hours),
            sum(row.n for row in totals),
        )


def test_hits_are_counted_and_counted_once(
    db: Database, sent: list[int], writer: Spool, job: Ingest
) -> None:
    for one in sent[:25]:
        assert writer.append(hit(one))
    assert job.drain() == 25
    assert job.drain() == 0
    assert counts(db) == (25, 25, 25)
    writer.append(hit(sent[30]))
    assert job.drain() == 1
    assert counts(db) == (26, 26, 26)


def test_a_crash_before_the_commit_loses_and_doubles_nothing(
    db: Database, sent: list[int], writer: Spool, job: Ingest
) -> None:
    writer.append(hit(sent[0]))
    writer.append(hit(sent[0] >> 32, is_aggregate=True))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    event.listen(db.engine, "commit", crash)
    with pytest.raises(KeyboardInterrupt):
        job.drain()
    event.remove(db.engine, "commit", crash)
    with db.reading() as session:
        assert session.query(SpoolPosition).count() == 0
    assert counts(db) == (0, 0, 0)
    assert job.drain() == 2
    assert counts(db) == (1, 1, 1)
    with db.reading() as session:
        assert session.query(Loads).one().n == 1


@pytest.mark.parametrize("step", ["count", "_move"])
def test_position_and_effect_are_one(
    *,
    db: Database,
    sent: list[int],
    writer: Spool,
    job: Ingest,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Whichever of the two fails after it has written, neither stays."""
    writer.append(hit(sent[0] >> 32, is_aggregate=True))
    place = opens if step == "count" else ingest
    write = getattr(place, step)

    def write_and_fail(*arguments: object) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(place, step, write_and_fail)
    with pytest.raises(KeyboardInterrupt):
        job.drain()
    with db.reading() as session:
        assert session.query(SpoolPosition).count() == 0
        assert session.query(Loads).count() == 0
    monkeypatch.setattr(place, step, write)
    assert job.drain() == 1


def test_a_crash_after_the_commit_counts_nothing_again(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    """Loads are counted each time, so they would show a batch that was read twice."""
    writer.append(hit(sent[0] >> 32, is_aggregate=True))
    Ingest(db, directory, lambda: NOW).drain()
    Ingest(db, directory, lambda: NOW).drain()
    with db.reading() as session:
        assert session.query(Loads).one().n == 1


def test_two_that_read_the_same_hits_count_them_once(
    db: Database,
    sent: list[int],
    writer: Spool,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a lock file was deleted by hand: the position in the database still decides."""
    writer.append(hit(sent[0] >> 32, is_aggregate=True))
    first, second = (Ingest(db, directory, lambda: NOW) for _ in range(2))
    read = spool.window

    def read_while_the_other_counts(path: Path, position: int, end: int | None) -> object:
        records = read(path, position, end)
        monkeypatch.setattr(spool, "window", read)
        second.drain()
        return records

    monkeypatch.setattr(spool, "window", read_while_the_other_counts)
    first.drain()
    first.drain()
    with db.reading() as session:
        assert session.query(Loads).one().n == 1


def test_a_replayed_segment_counts_no_person_twice(
    db: Database, sent: list[int], directory: Path, job: Ingest
) -> None:
    """The same hits in another segment, as when a client fetches again."""
    for _ in range(2):
        writer = Spool(directory, sync_seconds=None)
        for one in sent:
            writer.append(hit(one))
        writer.close()
        job.drain()
    assert counts(db) == (40, 40, 40)


def test_batches_follow_each_other_to_the_end(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    for one in sent:
        writer.append(hit(one))
    assert Ingest(db, directory, lambda: NOW, batch=7).drain() == 40
    assert counts(db) == (40, 40, 40)


def test_a_silenced_delivery_leaves_no_trace(
    db: Database, sent: list[int], writer: Spool, job: Ingest
) -> None:
    with db.transaction() as session:
        session.add(SilencedDelivery(delivery_id=sent[0]))
    writer.append(hit(sent[0]))
    assert job.drain() == 1
    assert counts(db) == (0, 0, 0)


def test_a_finished_segment_and_its_position_go(
    db: Database, sent: list[int], writer: Spool, directory: Path, job: Ingest
) -> None:
    writer.append(hit(sent[0]))
    job.drain()
    assert len(list(directory.glob("*.spool"))) == 1
    writer.close()
    job.drain()
    assert list(directory.glob("*.spool")) == []
    with db.reading() as session:
        assert session.query(SpoolPosition).count() == 0


def test_what_a_later_release_wrote_is_counted_as_unknown(
    db: Database, sent: list[int], writer: Spool, job: Ingest
) -> None:
    writer.append(hit(sent[0])._replace(kind=200, reason=201, client=202))
    writer.append(hit(2**63))
    assert job.drain() == 2
    with db.reading() as session:
        row = session.query(Open).one()
        assert (row.kind, row.client) == (OpenKind.UNKNOWN, Client.UNKNOWN)


def test_the_loop_goes_on_after_the_database_was_away(
    *,
    db: Database,
    sent: list[int],
    writer: Spool,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = threading.Event()
    job = Ingest(db, directory, lambda: NOW)
    drain = job.drain
    outcomes: list[object] = [StoreUnavailable("It is away."), ZeroDivisionError("x@example.com")]

    def fail_first(given: threading.Event | None = None) -> int:
        if outcomes:
            raise outcomes.pop(0)  # type: ignore[misc]  # only errors are in the list
        stop.set()
        return drain(None)

    monkeypatch.setattr(job, "drain", fail_first)
    monkeypatch.setattr(ingest, "_TROUBLE_SECONDS", 0.01)
    writer.append(hit(sent[0]))
    with caplog.at_level(logging.WARNING):
        job.run(stop, idle=0.01)
    assert counts(db) == (1, 1, 1)
    assert "It is away." in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "example.com" not in caplog.text


def test_only_one_of_a_machine_counts_at_a_time(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    writer.append(hit(sent[0]))
    stop = threading.Event()
    job = Ingest(db, directory, lambda: NOW)
    thread = threading.Thread(target=job.run, args=(stop,), kwargs={"idle": 0.01})
    with spool.only_reader(directory) as is_mine:
        assert is_mine
        thread.start()
        thread.join(0.2)
        assert counts(db) == (0, 0, 0)
    for _ in range(500):
        if counts(db) == (1, 1, 1):
            break
        thread.join(0.01)
    stop.set()
    thread.join(5)
    assert counts(db) == (1, 1, 1)
    assert not thread.is_alive()


def test_a_damaged_file_is_named_once_and_holds_up_nothing(
    *,
    db: Database,
    sent: list[int],
    writer: Spool,
    directory: Path,
    job: Ingest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (directory / "damaged.spool").write_bytes(b"no segment")
    writer.append(hit(sent[0]))
    with caplog.at_level(logging.ERROR):
        job.drain()
        job.drain()
    assert caplog.text.count("damaged.spool") == 1
    assert counts(db) == (1, 1, 1)


def test_a_batch_that_keeps_people_waiting_is_cut_down_and_grows_again() -> None:
    assert ingest.next_size(1_000, 0.08) == 500
    assert ingest.next_size(250, 9.0) == 250
    assert ingest.next_size(500, 0.04) == 500
    assert ingest.next_size(500, 0.01) == 1_000
    assert ingest.next_size(2_000, 0.0) == 2_000


def test_the_log_of_many_hits_is_moved_beside_the_counting(
    db: Database, sent: list[int], writer: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never by the counting itself, which holds the gate."""
    monkeypatch.setattr(ingest, "_CHECKPOINT_AFTER", 10)
    moved = threading.Event()
    threads: list[str] = []

    def move() -> None:
        threads.append(threading.current_thread().name)
        moved.set()

    monkeypatch.setattr(db, "checkpoint", move)
    for one in sent:
        writer.append(hit(one))
    Ingest(db, directory, lambda: NOW, batch=5).drain()
    assert moved.wait(5 if db.is_sqlite else 0) is db.is_sqlite
    assert set(threads) <= {"checkpoint"}
