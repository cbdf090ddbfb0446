"""`mailprefs ledger`: the head, the check against kept ones, and the rows made anew."""

import json
from contextlib import closing

import pytest
from sqlalchemy import text

from mailprefs.cli import ledger
from mailprefs.schema.staff import AuditEntry
from tests.cli.conftest import Shell


def test_a_head_is_one_line_that_the_ledger_is_checked_against(people: Shell) -> None:
    line = people.do("ledger", "head")
    head = people.ask("ledger", "head")
    assert json.loads(line)["hash"] == head["hash"] == people.ask("ledger", "verify")["head"]
    kept = people.write("heads.jsonl", f"{line}\n{line}\n")
    found = people.ask("ledger", "verify", "--against", kept)
    assert (found["entries"], found["kept_heads"]) == (head["seq"], 2)
    assert "2 kept heads" in people.do("ledger", "verify", "--against", kept)


def test_a_ledger_that_lost_its_end_fails_against_the_kept_head(people: Shell) -> None:
    kept = people.write("heads.jsonl", people.do("ledger", "head"))
    seq = people.ask("ledger", "head")["seq"]
    with closing(people.db) as db, db.transaction() as session:
        session.execute(text("DROP TRIGGER consent_entries_refuse_delete"))
        session.execute(text("DELETE FROM consent_entries WHERE seq = :seq"), {"seq": seq})
        session.execute(
            text(
                "UPDATE consent_head SET seq = seq - 1, entry_hash = "
                "(SELECT entry_hash FROM consent_entries ORDER BY seq DESC LIMIT 1)"
            )
        )
    people.do("ledger", "verify")
    answer = people("ledger", "verify", "--against", kept)
    assert answer.status == 1
    assert f"entry {seq} is missing" in answer.err


def test_a_file_that_is_none_or_was_changed_is_refused_by_its_name(people: Shell) -> None:
    changed = people.write(
        "heads.jsonl", people.do("ledger", "head").replace('"seq": ', '"seq": 1')
    )
    absent = changed.with_name("no-such-file")
    for file, said in ((changed, "Line 1"), (absent, "There is no file")):
        answer = people("ledger", "verify", "--against", file)
        assert answer.status != 0
        assert said in answer.err
        assert len(answer.sentences) == 1


def test_rows_that_differ_are_told_and_set_right_and_that_is_noted(people: Shell) -> None:
    assert people.ask("ledger", "rebuild")["differences"] == []
    with closing(people.db) as db, db.transaction() as session:
        session.execute(text("UPDATE recipients SET open_tracking = 'granted' WHERE id = 1"))
        session.execute(text("DELETE FROM subscriptions WHERE recipient_id = 2"))
    looked = people("ledger", "rebuild", "--dry-run")
    assert looked.status == 1
    assert "2 things differ" in looked.out
    assert {one["recipient"] for one in people.ask("ledger", "rebuild")["differences"]} == {1, 2}
    assert people.ask("ledger", "rebuild", "--dry-run")["differences"] == []
    with closing(people.db) as db, db.reading() as session:
        noted = session.query(AuditEntry).where(AuditEntry.action == "ledger.rebuilt").one()
        assert noted.details == {"differences": 2}


def test_each_few_people_are_set_right_together_with_their_note(
    people: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is stopped half way has noted what was done by then."""
    monkeypatch.setattr(ledger, "_PEOPLE_AT_ONCE", 1)
    with closing(people.db) as db, db.transaction() as session:
        session.execute(text("UPDATE recipients SET open_tracking = 'granted' WHERE id < 3"))
    people.ask("ledger", "rebuild")
    with closing(people.db) as db, db.reading() as session:
        noted = session.query(AuditEntry).where(AuditEntry.action == "ledger.rebuilt").all()
        assert [one.details for one in noted] == [{"differences": 1}, {"differences": 1}]
