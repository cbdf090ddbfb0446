"""The nightly check: bounded, goes on after a kill, keeps heads, and raises the alarm."""

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mailprefs import consent
from mailprefs.alarms import conditions, facts
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.consent import checking
from mailprefs.consent.entries import GENESIS, Head
from mailprefs.consent.heads import Seal
from mailprefs.db.database import Database
from mailprefs.jobs.ledger import AGAIN_AFTER, Nightly, append_head, read_heads
from mailprefs.schema.choices import LedgerCheck
from mailprefs.settings import Settings
from tests.consent.test_ledger import entry, filled, tampered

NIGHT = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
SEAL = Seal([sha256(b"a token key").digest()])


class Killed(BaseException):
    """As a kill at this moment."""


def check(db: Database, now: datetime = NIGHT, heads: Path | None = None) -> int | None:
    return Nightly(db=db, seal=SEAL, heads=heads, zone="UTC", clock=lambda: now).tonight()


def told(db: Database) -> list[str]:
    """Give the sentences of the alarms about the ledger."""
    with db.reading() as session:
        seen = conditions.of_sending(facts.gather(session, Settings(), now=NIGHT))
    return [one.sentence for one in seen if one.kind is AlarmKind.LEDGER_BROKEN]


def test_it_is_done_once_a_night_and_after_four(db: Database) -> None:
    filled(db)
    assert check(db, NIGHT - timedelta(hours=1)) is None
    assert check(db) == 9
    assert check(db, NIGHT + timedelta(hours=1)) is None
    assert check(db, NIGHT + timedelta(days=1)) == 9


def test_a_few_entries_at_a_time_come_to_the_same(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 3)
    assert check(db) == 0
    filled(db)
    assert check(db, NIGHT + timedelta(days=1)) == 9
    filled(db, 1)
    assert check(db, NIGHT + timedelta(days=2)) == 10


def test_killed_half_way_it_goes_on_from_there_and_not_twice(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 2)
    filled(db)
    seen: list[int] = []
    go_on: Callable[..., Any] = checking.go_on

    def killed(session: Any, at: Head, kept: Any) -> Any:  # noqa: ANN401 - passes on
        seen.append(at.seq)
        if len(seen) == 3:
            raise Killed
        return go_on(session, at, kept)

    monkeypatch.setattr(checking, "go_on", killed)
    with pytest.raises(Killed):
        check(db)
    assert check(db, NIGHT + timedelta(minutes=1)) is None
    assert check(db, NIGHT + AGAIN_AFTER) == 9
    assert seen == [0, 2, 4, 4, 6, 8]
    assert told(db) == []


def test_when_the_service_stops_it_stops_between_two_steps(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 2)
    filled(db)
    stop = threading.Event()
    stop.set()
    nightly = Nightly(db=db, seal=SEAL, heads=None, zone="UTC", clock=lambda: NIGHT)
    assert nightly.tonight(stop) is None
    with db.reading() as session:
        row = session.get_one(LedgerCheck, 1)
        assert (row.seq, row.ended_at) == (2, None)


def test_the_head_is_logged_and_appended_where_it_is_to_be_kept(
    db: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heads = tmp_path / "elsewhere" / "heads.jsonl"
    with caplog.at_level(logging.INFO, "mailprefs.ledger"):
        for night in range(3):
            filled(db, 2)
            check(db, NIGHT + timedelta(days=night), heads)
    lines = heads.read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [2, 4, 6]
    assert lines[-1] in caplog.text
    with db.reading() as session:
        assert consent.verify(session, read_heads(heads, SEAL)) == 6
    assert told(db) == []


DAMAGES = {
    "a changed payload": ("UPDATE consent_entries SET payload = '{{}}' WHERE seq = 5", 5),
    "swapped entries": (
        (
            "UPDATE consent_entries SET seq = CASE seq WHEN 3 THEN -4 ELSE -3 END "
            "WHERE seq IN (3, 4); UPDATE consent_entries SET seq = -seq WHERE seq < 0"
        ),
        3,
    ),
    "part erased": ("UPDATE consent_entries SET payload = NULL WHERE seq = 6", 6),
    "a cut tail": ("DELETE FROM consent_entries WHERE seq > 7", 8),
    "a tail cut with its head": (
        (
            "DELETE FROM consent_entries WHERE seq > 7; UPDATE consent_head SET seq = 7, "
            "entry_hash = (SELECT entry_hash FROM consent_entries WHERE seq = 7)"
        ),
        8,
    ),
}


def damaged(db: Database, statements: str) -> None:
    first, *more = statements.split(";")
    tampered(db, first)
    with db.transaction() as session:
        for statement in more:
            session.execute(text(statement))


def written_anew(db: Database, after: int) -> None:
    """Write the chain anew after an entry, as somebody would who can do all in the database."""
    tampered(db, f"DELETE FROM consent_entries WHERE seq > {after}")  # noqa: S608 - a number
    with db.transaction() as session:
        found = session.execute(
            text("SELECT entry_hash FROM consent_entries WHERE seq = :seq"), {"seq": after}
        ).scalar()
        head = {"seq": after, "hash": bytes(found) if found else GENESIS.entry_hash}
        session.execute(text("UPDATE consent_head SET seq = :seq, entry_hash = :hash"), head)
    with db.transaction() as session:
        consent.append(session, [entry(99)] * (10 - after), now=NIGHT)


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_at_night_and_is_an_alarm_until_it_is_gone(
    db: Database, tmp_path: Path, damage: str
) -> None:
    statements, bad = DAMAGES[damage]
    heads = tmp_path / "heads.jsonl"
    filled(db)
    assert check(db, NIGHT, heads) == 9
    kept = heads.read_text()
    damaged(db, statements)
    assert told(db) == []
    assert check(db, NIGHT + timedelta(days=1), heads) is None
    (sentence,) = told(db)
    assert f"entry {bad} " in sentence
    assert heads.read_text() == kept
    with db.transaction() as session:
        session.execute(text("DELETE FROM consent_entries"))
        session.execute(text("DELETE FROM consent_head"))
    heads.unlink()
    assert check(db, NIGHT + timedelta(days=2), heads) == 0
    assert told(db) == []


@pytest.mark.parametrize("after", [0, 4, 8])
def test_a_chain_that_was_written_anew_is_found_only_against_a_kept_head(
    db: Database, tmp_path: Path, after: int
) -> None:
    heads = tmp_path / "heads.jsonl"
    filled(db, 4)
    check(db, NIGHT, heads)
    filled(db, 5)
    check(db, NIGHT + timedelta(days=1), heads)
    written_anew(db, after)
    assert check(db, NIGHT + timedelta(days=2)) == 10
    assert check(db, NIGHT + timedelta(days=3), heads) is None
    # The first kept head that doesn't fit: of entry 4 if it was written anew, else of entry 9.
    assert f"entry {4 if after < 4 else 9} is not the one" in told(db)[0]


def test_heads_that_contradict_each_other_are_told(db: Database, tmp_path: Path) -> None:
    heads = tmp_path / "heads.jsonl"
    filled(db)
    for hashed in (bytes(32), bytes([1]) * 32):
        append_head(heads, SEAL.sign(Head(4, hashed), NIGHT))
    assert check(db, NIGHT, heads) is None
    assert "entry 4 has two different heads" in told(db)[0]


def test_a_file_of_heads_that_was_touched_is_an_alarm(db: Database, tmp_path: Path) -> None:
    heads = tmp_path / "heads.jsonl"
    filled(db)
    check(db, NIGHT, heads)
    heads.write_text(heads.read_text().replace('"seq": 9', '"seq": 8'))
    assert check(db, NIGHT + timedelta(days=1), heads) is None
    assert "Line 1 of heads.jsonl" in told(db)[0]


def test_an_alarm_says_since_when_it_is_known(db: Database) -> None:
    filled(db)
    tampered(db, "DELETE FROM consent_entries WHERE seq = 4")
    for night in range(3):
        assert check(db, NIGHT + timedelta(days=night)) is None
    with db.reading() as session:
        assert session.get_one(LedgerCheck, 1).broken_since == NIGHT
