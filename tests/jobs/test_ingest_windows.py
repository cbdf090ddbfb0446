"""What waits in a segment is counted in order of delivery and time, in slices, each hit once."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from mailprefs import opens, spool
from mailprefs.db.database import Database
from mailprefs.jobs.ingest import Ingest
from mailprefs.schema.opens import Loads, MeasuredTotal, Open, OpenRollup, SpoolPosition
from mailprefs.spool import Record, Spool
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

ROOT = Path(__file__).parent.parent.parent
SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NOW = SENT + timedelta(hours=3)
SENT_MS = int(SENT.timestamp() * 1000)
PEOPLE = 30


def hit(subject: int, ms: int, kind: OpenKind = OpenKind.DIRECT) -> Record:
    """Give a fetch so many milliseconds after half an hour; of a campaign if that is named."""
    is_aggregate = subject < 1 << 32
    at_ms = SENT_MS + 1_800_000 + ms
    return Record(subject, is_aggregate, at_ms, kind, Reason.BROWSER, Client.BROWSER, None, RULESET)


@pytest.fixture
def sent(db: Database) -> list[int]:
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session), first_hand_over_at=SENT)
        people = [make_recipient(session) for _ in range(PEOPLE)]
        return make_sent(session, campaign, people, at=SENT)


def write_mixed(writer: Spool, sent: Sequence[int]) -> tuple[int, int]:
    """Write two fetches a person and as many loads, in any order; give how many opens and loads.

    Loads are counted each time, so they show whatever is counted twice; many have one time.
    """
    found = [hit(one, number) for number, one in enumerate(sent)]
    found += [hit(one, 5_000 + number) for number, one in enumerate(sent)]
    found += [hit(sent[0] >> 32, number // 7) for number in range(2 * len(sent))]
    random.Random(5).shuffle(found)
    assert all(writer.append(one) for one in found)
    return len(sent), 2 * len(sent)


def counted(db: Database) -> tuple[int, int]:
    """Give the opens and the loads that are counted; the sums say the same."""
    with db.reading() as session:
        rows = session.query(Open).count()
        hours = session.query(OpenRollup).where(OpenRollup.dimension == "hour")
        totals = session.query(MeasuredTotal).where(MeasuredTotal.bits >= opens.FETCHED)
        assert sum(one.n for one in hours) == sum(one.n for one in totals) == rows
        return rows, sum(one.n for one in session.query(Loads))


def progress(db: Database) -> tuple[int, int | None, bytes | None] | None:
    with db.reading() as session:
        row = session.query(SpoolPosition).one_or_none()
        return None if row is None else (row.position, row.window_end, row.through)


class Dying(Ingest):
    """Dies when it has stored so many parts of a window."""

    parts_left = 1

    def _store(self, *arguments: Any) -> None:  # noqa: ANN401 - passed on as they are
        super()._store(*arguments)
        self.parts_left -= 1
        if not self.parts_left:
            raise KeyboardInterrupt


def test_a_crash_before_any_commit_of_a_window_loses_and_doubles_nothing(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    """With another size of slices after each crash, so that they end elsewhere."""
    wanted = write_mixed(writer, sent)
    left = 0

    def crash(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    event.listen(db.engine, "commit", crash)
    for crashes in range(6):
        left = 1 + crashes % 3
        with pytest.raises(KeyboardInterrupt):
            Ingest(db, directory, lambda: NOW, batch=5 + crashes).drain()
    event.remove(db.engine, "commit", crash)
    assert (0, 0) < counted(db) < wanted
    Ingest(db, directory, lambda: NOW, batch=11).drain()
    assert counted(db) == wanted


def test_a_crash_after_any_commit_of_a_window_loses_and_doubles_nothing(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    wanted = write_mixed(writer, sent)
    for crashes in range(6):
        job = Dying(db, directory, lambda: NOW, batch=5 + crashes)
        job.parts_left = 1 + crashes % 3
        with pytest.raises(KeyboardInterrupt):
            job.drain()
    assert (0, 0) < counted(db) < wanted
    Ingest(db, directory, lambda: NOW, batch=11).drain()
    assert counted(db) == wanted
    assert Ingest(db, directory, lambda: NOW).drain() == 0
    found = progress(db)
    assert found is not None
    assert found[1:] == (None, None)


COUNTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mailprefs.db.database import Database
from mailprefs.jobs import ingest

class Asking(ingest.Ingest):
    def _store(self, *arguments):
        sys.stdin.readline()
        super()._store(*arguments)
        print("stored", flush=True)

db = Database(sys.argv[1])
Asking(db, Path(sys.argv[2]), lambda: datetime(2026, 11, 22, 12, tzinfo=UTC), batch=3).drain()
"""


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [(0.0, 0.004), (0.001, 0.016)])
def test_a_process_killed_while_it_counts_a_window_loses_and_doubles_nothing(
    db: Database, sent: list[int], writer: Spool, directory: Path, seconds: tuple[float, ...]
) -> None:
    """Each of them stores one part of some forty, and dies at some point of the second."""
    wanted = write_mixed(writer, sent)
    url = db.engine.url.render_as_string(hide_password=False)
    for moment in seconds:
        with subprocess.Popen(
            [sys.executable, "-c", COUNTER, url, directory],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        ) as other:
            assert other.stdin is not None and other.stdout is not None
            other.stdin.write(b"\n")
            assert other.stdout.readline() == b"stored\n"
            other.stdin.write(b"\n")
            time.sleep(moment)
            other.send_signal(signal.SIGKILL)
        found = progress(db)
        assert found is not None and None not in found
        assert (0, 0) < counted(db) < wanted
    # The second time for PostgreSQL, which may end the last one's part only now.
    for _ in range(2):
        Ingest(db, directory, lambda: NOW, batch=8).drain()
    assert counted(db) == wanted


def test_what_comes_while_a_window_is_counted_is_counted_after_it(
    db: Database,
    sent: list[int],
    writer: Spool,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, loads = write_mixed(writer, sent)
    count = opens.count

    def count_while_another_comes(*arguments: object) -> object:
        monkeypatch.setattr(opens, "count", count)
        # Before all others in the order of keys: it belongs to the next window all the same.
        writer.append(hit(sent[0] >> 32, -1_000))
        return count(*arguments)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(opens, "count", count_while_another_comes)
    Ingest(db, directory, lambda: NOW, batch=10).drain()
    assert counted(db) == (rows, loads + 1)


def test_a_window_goes_on_where_another_process_left_it_with_more_behind_it(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    rows, loads = write_mixed(writer, sent)
    with pytest.raises(KeyboardInterrupt):
        Dying(db, directory, lambda: NOW, batch=10).drain()
    begun = progress(db)
    assert begun is not None and begun[:2] == (0, 64 + 32 * 4 * PEOPLE)
    writer.append(hit(sent[0] >> 32, -1_000))
    writer.close()
    Ingest(db, directory, lambda: NOW, batch=10).drain()
    assert counted(db) == (rows, loads + 1)
    assert spool.segments(directory) == []
    assert progress(db) is None


def test_the_earliest_of_a_window_is_the_first_open(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    for minutes in (9, 3, 6):
        writer.append(hit(sent[0], minutes * 60_000))
    Ingest(db, directory, lambda: NOW, batch=1).drain()
    with db.reading() as session:
        seen = session.query(Open).one().first_seen_at
    assert seen == SENT + timedelta(minutes=33)


def test_thousands_of_fetches_of_one_picture_are_many_slices(
    db: Database,
    sent: list[int],
    writer: Spool,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody's choice waits for longer because somebody else fetches one picture all the time."""
    for number in range(3_000):
        writer.append(hit(sent[0], number))
    # All in one millisecond: one slice, in which there is one fetch to be judged.
    for _ in range(3_000):
        writer.append(hit(sent[1], 0))
    judged: list[int] = []
    count = opens.count

    def look(session: object, gathered: opens.Gathered, calls: object) -> object:
        judged.append(sum(map(len, gathered.by_delivery.values())))
        return count(session, gathered, calls)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(opens, "count", look)
    assert Ingest(db, directory, lambda: NOW, batch=200).drain() == 6_000
    assert max(judged) <= 200
    assert len(judged) >= 15
    assert counted(db) == (2, 0)


def test_a_position_of_the_time_before_windows_is_gone_on_from(
    db: Database, sent: list[int], writer: Spool, directory: Path
) -> None:
    for number in range(10):
        writer.append(hit(sent[0] >> 32, number))
    (segment,) = spool.segments(directory)
    with db.transaction() as session:
        session.add(SpoolPosition(segment=segment.identity, position=64 + 4 * 32, updated_at=NOW))
    assert Ingest(db, directory, lambda: NOW, batch=4).drain() == 6
    assert counted(db) == (0, 6)


@pytest.mark.parametrize("left", [(12, 8), (12, 0), (0, 0)])
def test_what_a_power_cut_took_from_a_window_is_not_waited_for(
    db: Database, sent: list[int], writer: Spool, directory: Path, left: tuple[int, int]
) -> None:
    """The commit that counted a part may be kept while the file's last pages are lost."""
    for number in range(20):
        writer.append(hit(sent[0] >> 32, number))
    writer.close()
    (segment,) = spool.segments(directory)
    end = 64 + 20 * 32
    hits, _ = spool.window(segment.path, 0)
    through = spool.key(sorted(hits)[4])
    with db.transaction() as session:
        session.add(
            SpoolPosition(
                segment=segment.identity,
                position=64,
                window_end=end,
                through=through,
                updated_at=NOW,
            )
        )
    whole, blank = left
    raw = segment.path.read_bytes()
    segment.path.write_bytes(raw[: 64 + whole * 32] + bytes(blank * 32))
    assert Ingest(db, directory, lambda: NOW, batch=3).drain() == max(whole - 5, 0)
    assert counted(db) == (0, max(whole - 5, 0))
    assert spool.segments(directory) == []
