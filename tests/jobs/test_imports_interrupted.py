"""An import among others: killed and run again, beside people who leave, beside its own twin."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mailprefs import consent
from mailprefs.addresses import normalise
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadFile, Conflict, StoreUnavailable
from mailprefs.jobs.imports import reading
from mailprefs.jobs.imports import rows as file_rows
from mailprefs.jobs.imports import run as job
from mailprefs.jobs.imports.deciding import Standing
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.postgresql import PostgresqlStore
from mailprefs.jobs.imports.run import ImportResult, Progress, run
from mailprefs.policy import Source, SubscriptionState, SuppressionReason
from mailprefs.schema.imports import Import, ImportRefusal
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.suppressions import add
from tests.factories import HASHER, make_policy, make_recipient, make_topic

pytestmark = pytest.mark.faults
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ORDER = ImportOrder(topic="news", source="Box on the order form")
# Imports, and waits to be killed inside its third slice, with everything written but the commit.
CHILD = """
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database
from mailprefs.jobs.imports import journal
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import run
from tests.factories import HASHER


advance, slices = journal.advance, []

def and_wait(session, at, to):
    slices.append(advance(session, at, to))
    if len(slices) == 3:
        print(at.done, flush=True)
        time.sleep(600)
    return to

journal.advance = and_wait
run(
    Database(sys.argv[1]),
    Path(sys.argv[2]),
    ImportOrder(topic="news", source="Box on the order form"),
    hasher=HASHER,
    actor=CONSOLE,
    clock=lambda: datetime.now(UTC),
)
"""
# Every 100th line is broken, every 50th repeats the one before.
PEOPLE = 3_000
BROKEN = [line for line in range(2, PEOPLE + 2) if line % 100 == 0]
REPEATED = [line for line in range(2, PEOPLE + 2) if line % 50 == 0 and line % 100]
COUNTS = {
    "rows": PEOPLE,
    "added": PEOPLE - len(BROKEN) - len(REPEATED),
    "updated": 0,
    "unchanged": 0,
    "duplicate_in_file": len(REPEATED),
    "kept_out": {},
    "refused": len(BROKEN),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "people.csv"
    lines = ["email"]
    for line in range(2, PEOPLE + 2):
        who = line - 1 if line in REPEATED else line
        lines.append("nobody" if line in BROKEN else f"person{who}@example.com")
    found.write_text("\n".join(lines))
    return found


@pytest.fixture(autouse=True)
def _topic(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "news")


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_FIRST_SLICE", 100)
    monkeypatch.setattr(job, "SLICE", 100)
    monkeypatch.setattr(job, "_SMALLEST_SLICE", 100)


def bring(
    db: Database,
    path: Path,
    progress: Callable[[Progress], None] | None = None,
    order: ImportOrder = ORDER,
) -> ImportResult:
    return run(db, path, order, hasher=HASHER, actor=CONSOLE, clock=lambda: NOW, progress=progress)


def assert_whole(db: Database) -> None:
    """Check that everything is as if the import had never been interrupted."""
    with db.reading() as session:
        found = session.scalars(select(Recipient.address)).all()
        expected = {
            f"person{line}@example.com"
            for line in range(2, PEOPLE + 2)
            if line not in BROKEN and line not in REPEATED
        }
        assert len(found) == len(expected) and set(found) == expected
        subscribed = select(func.count()).where(Subscription.state == SubscriptionState.SUBSCRIBED)
        assert session.scalar(subscribed) == len(expected)
        assert consent.verify(session) == len(expected)
        refused = session.scalars(select(ImportRefusal.line).order_by(ImportRefusal.line)).all()
        assert refused == BROKEN
        (row,) = session.scalars(select(Import)).all()
        assert row.counts == COUNTS
        assert row.finished_at is not None


def test_killed_inside_a_slice_and_run_again_it_ends_as_if_nothing_had_happened(
    db: Database, database_url: str, path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, database_url, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    done = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with db.reading() as session:
        assert session.scalars(select(Import.rows_done)).one() == done > 0

    told = bring(db, path, order=ImportOrder(topic="news", source=ORDER.source, dry_run=True))
    result = bring(db, path)

    assert told.counts == result.counts
    assert result.counts.document() == COUNTS
    assert result.resumed_at == done
    assert [one.line for one in result.refusals] == BROKEN
    assert_whole(db)


class Stop(Exception):
    """What breaks an import off in a test."""


def test_broken_off_after_any_slice_of_any_window_it_goes_on_there(
    db: Database, path: Path, small_slices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_rows, "WINDOW", 730)

    def stop(at: Progress) -> None:
        raise Stop

    runs = 0
    for runs in range(1, 100):  # noqa: B007 - counted
        try:
            bring(db, path, stop)
        except Stop:
            continue
        break

    # Each run does one slice; the last one finds nothing left. 730 makes 8 slices, 80 makes 1.
    assert runs == 4 * 8 + 1 + 1
    assert_whole(db)


@pytest.mark.usefixtures("small_slices")
def test_a_file_under_other_orders_is_another_import(db: Database, path: Path) -> None:
    with pytest.raises(Stop):
        bring(db, path, _stop_at(300))

    other = ImportOrder(topic="news", source="Another box")
    result = bring(db, path, order=other)

    assert result.resumed_at == 0
    assert result.counts.added + result.counts.unchanged == COUNTS["added"]
    assert result.counts.unchanged > 0


@pytest.mark.usefixtures("small_slices")
def test_whoever_leaves_during_an_import_is_kept_out_of_the_rest_of_it(
    db: Database, path: Path
) -> None:
    last = HASHER.hash(normalise(f"person{PEOPLE - 5}@example.com").key)
    asked: list[Progress] = []

    def leave(at: Progress) -> None:
        if not asked and at.rows < PEOPLE - 500:
            asked.append(at)
            with db.transaction(Gate.TAKING) as session:
                known = session.scalar(select(Recipient).where(Recipient.address_hash == last))
                assert known is None, "already in: choose another person"
                add(
                    session,
                    last,
                    HASHER.key_id,
                    SuppressionReason.UNSUBSCRIBED,
                    Source.ONE_CLICK,
                    now=NOW,
                )

    result = bring(db, path, leave)

    assert result.counts.kept_out == {"unsubscribed": 1}
    with db.reading() as session:
        assert session.scalar(select(Recipient).where(Recipient.address_hash == last)) is None


@pytest.mark.usefixtures("small_slices")
def test_of_two_runs_of_one_import_at_once_one_is_told_to_wait(db: Database, path: Path) -> None:
    twins: list[ImportResult] = []

    def meanwhile(at: Progress) -> None:
        if not twins:
            twins.append(bring(db, path))

    with pytest.raises(Conflict, match="being imported by another process"):
        bring(db, path, meanwhile)

    assert twins[0].counts.document() == COUNTS
    assert_whole(db)


# On SQLite nobody else writes between look and write.
@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_somebody_who_signs_up_between_look_and_write_is_met_in_a_second_look(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "two.csv"
    path.write_text("email,first_name\nanna@example.com,Anna\nbo@example.com,Bo\n")
    looked: list[Any] = []
    look = PostgresqlStore.standing

    def and_somebody_signs_up(store: PostgresqlStore, hashes: Any, topic_id: int) -> Standing:  # noqa: ANN401 - passed through
        standing = look(store, hashes, topic_id)
        if not looked:
            with db.transaction() as session:
                make_recipient(session, "anna@example.com")
        looked.append(standing)
        return standing

    monkeypatch.setattr(PostgresqlStore, "standing", and_somebody_signs_up)

    result = bring(db, path)

    assert len(looked) == 2
    assert (result.counts.added, result.counts.updated) == (1, 1)


@pytest.mark.usefixtures("small_slices")
def test_a_database_that_goes_away_is_told_with_what_is_done(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_away(at: Progress) -> None:
        monkeypatch.setattr(db, "transaction", _gone)

    with pytest.raises(StoreUnavailable, match=r"; 100 rows of the file are done\. Run the same"):
        bring(db, path, go_away)

    monkeypatch.undo()
    assert bring(db, path).resumed_at == 100
    assert_whole(db)


def test_a_file_that_changes_while_it_is_read_is_noticed(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_rows, "WINDOW", 500)
    monkeypatch.setattr(reading, "CHUNK", 1_000)

    def grow(at: Progress) -> None:
        if at.rows == 500:
            with path.open("a") as file:
                file.write("\nlate@example.com")

    with pytest.raises(BadFile, match="changed while it was imported"):
        bring(db, path, grow)


def _stop_at(rows: int) -> Callable[[Progress], None]:
    def stop(at: Progress) -> None:
        if at.rows >= rows:
            raise Stop

    return stop


def _gone(gate: Gate = Gate.NONE) -> None:
    raise StoreUnavailable("gone")
