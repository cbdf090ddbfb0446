"""The journal of refusals: numbered, on disk before anybody is answered, readable after a crash."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailprefs import journal
from mailprefs.errors import BadFile, StoreUnavailable
from mailprefs.journal import Journal, Refusal

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


def refusal(number: int, what: str = journal.PROMOTIONAL) -> Refusal:
    return Refusal(bytes([number]) * 16, what, NOW)


def test_what_is_appended_is_read_again_in_order(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "new" / "refusals.jsonl")
    assert (kept.lines(), kept.last()) == ([], 0)
    kept.append(2, [refusal(1), refusal(2, journal.of_topic(7))])
    kept.append(3, [refusal(3, journal.ERASED)])
    assert [one.seq for one in kept.lines()] == [1, 2, 3]
    assert [one.refusal for one in kept.lines()][1] == refusal(2, "topic 7")
    assert journal.topic_of("topic 7") == 7
    assert kept.last() == 3
    assert kept.path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_tore_costs_that_line_only(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "refusals.jsonl")
    kept.append(1, [refusal(1)])
    with kept.path.open("ab") as file:
        file.write(b'{"seq": 2, "at": "2027')
    kept.append(3, [refusal(3)])
    assert [one.seq for one in kept.lines()] == [1, 3]


def test_the_end_of_a_long_journal_is_found_without_reading_it_all(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "refusals.jsonl")
    kept.append(5_000, [refusal(1)] * 5_000)
    assert kept.last() == 5_000
    assert len(kept.lines()) == 5_000


def test_what_could_not_be_written_goes_with_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.write_text("not a folder")
    kept = Journal(folder / "refusals.jsonl")
    with pytest.raises(StoreUnavailable, match="MAILPREFS_JOURNAL"):
        kept.append(1, [refusal(1)])
    with pytest.raises(StoreUnavailable):
        kept.append(0, [])  # the same person again, of whom nothing was left to change
    folder.unlink()
    kept.append(0, [])
    assert [one.seq for one in kept.lines()] == [1]


def test_a_journal_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    with pytest.raises(BadFile):
        kept.lines()


def test_threads_lose_nothing(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "refusals.jsonl")

    def write(first: int) -> None:
        for number in range(first, first + 20):
            kept.append(number, [refusal(1)])

    threads = [threading.Thread(target=write, args=(first,)) for first in (1, 21, 41)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.seq for one in kept.lines()] == list(range(1, 61))
