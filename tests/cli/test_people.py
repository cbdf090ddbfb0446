"""People at the console: imports with exact counts, one person's standing, the ledger."""

import json
import re
import stat

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.cli import people as cli_people
from mailprefs.jobs.imports import journal
from mailprefs.jobs.imports.journal import Position
from mailprefs.schema.choices import ConsentEntry
from mailprefs.schema.people import Recipient
from mailprefs.schema.staff import Staff
from tests.cli.conftest import ADMIN, PEOPLE, Shell
from tests.snapshots import snapshot

SOURCE = ("--topic", "news", "--source", "Box on the order form")


def held(shell: Shell) -> dict[str, list[str]]:
    db = shell.db
    found = snapshot(db)
    db.close()
    return found


def test_an_import_counts_everybody_exactly(shell: Shell) -> None:
    file = shell.write("people.csv", PEOPLE)
    told = shell.ask("import", file, *SOURCE)
    assert {name: told[name] for name in ("added", "updated", "unchanged", "refused")} == {
        "added": 2,
        "updated": 0,
        "unchanged": 0,
        "refused": 1,
    }
    assert (told["duplicate_in_file"], told["kept_out"]) == (1, {})
    assert told["delimiter"] == "semicolon"
    (refusal,) = told["refusals"]
    assert refusal["line"] == 5
    assert "nobody" not in refusal["reason"]
    again = shell.ask("import", file, *SOURCE)
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 2)


def test_an_import_reads_well(shell: Shell) -> None:
    said = shell.do("import", shell.write("people.csv", PEOPLE), *SOURCE)
    assert "Imported" in said
    for name, n in (("added", 2), ("duplicate in file", 1), ("refused", 1)):
        assert re.search(rf"^{name} +{n}$", said, re.MULTILINE), said
    assert "line 5" in said


def test_a_folder_is_no_file(shell: Shell) -> None:
    said = shell("import", shell.data, *SOURCE)
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "is a folder" in said.err


def test_a_column_that_stays_behind_is_told_with_the_way_to_keep_it(shell: Shell) -> None:
    said = shell.do("import", shell.write("people.csv", PEOPLE), *SOURCE)
    assert "The column Plan is not taken; to keep it: --map Plan=plan" in said
    lines = "email,Größe XL,Note\nada@example.org,1,2\n"
    said = shell.do("import", shell.write("more.csv", lines), *SOURCE)
    assert "Größe XL and Note are not taken; to keep one: --map 'Größe XL=grosse_xl'" in said
    assert shell.ask("import", shell.write("more.csv", lines), *SOURCE, "--map", "Note=note")


def test_an_import_that_was_interrupted_says_where_it_goes_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"person{number}@example.org\n" for number in range(1_200))
    file = shell.write("many.csv", "email\n" + rows)
    real, slices = journal.advance, list[Position]()

    def stopped(session: Session, at: Position, to: Position) -> Position:
        slices.append(at)
        if len(slices) > 1:
            raise KeyboardInterrupt
        return real(session, at, to)

    with monkeypatch.context() as broken:
        broken.setattr(journal, "advance", stopped)
        assert shell("import", file, *SOURCE).status == 130
    again = shell("import", file, *SOURCE)
    assert again.status == 0
    assert "going on at row 501." in again.err


def test_a_dry_run_counts_the_same_and_writes_nothing(shell: Shell) -> None:
    file = shell.write("people.csv", PEOPLE)
    before = held(shell)
    told = shell.ask("import", file, *SOURCE, "--dry-run")
    assert held(shell) == before
    assert "nothing was written" in shell.do("import", file, *SOURCE, "--dry-run")
    real = shell.ask("import", file, *SOURCE)
    for name in ("added", "updated", "unchanged", "duplicate_in_file", "kept_out", "refused"):
        assert told[name] == real[name], name


@pytest.mark.parametrize(
    ("content", "words", "status", "told"),
    [
        (b"", SOURCE, 2, "empty"),
        (b"name,age\nAda,36\n", SOURCE, 2, "--map"),
        (b"email\nada@example.org\n", ("--topic", "sport", "--source", "x"), 1, "Topics: news"),
        (b"email\nada@example.org\n", (*SOURCE, "--map", "email"), 2, "COLUMN=FIELD"),
        (b"email\nada@example.org\n", ("--topic", "news", "--source", " "), 2, "source"),
        (b"email\nada@example.org\n", (*SOURCE, "--acting-as", "no@example.com"), 1, "staff"),
        (None, SOURCE, 2, ""),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, SOURCE, 2, "isn't a text file"),
        (b"%PDF-1.7\nmail, mail\n", SOURCE, 2, "isn't a text file"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence(
    shell: Shell, content: bytes | None, words: tuple[str, ...], status: int, told: str
) -> None:
    file = shell.data / "no.csv" if content is None else shell.write("people.csv", content)
    before = held(shell)
    said = shell("import", file, *words)
    assert (said.status, len(said.sentences)) == (status, 1), said
    assert told in said.err
    assert held(shell) == before


def test_the_nos_of_a_former_system_come_in_as_nos(people: Shell) -> None:
    file = people.write("left.csv", "email\nada@example.org\nnew@example.org\n")
    people.do("import", file, "--topic", "news", "--source", "Old tool", "--as", "unsubscribed")
    assert people.ask("recipient", "show", "ada@example.org")["topics"] == {"news": "unsubscribed"}
    back = people.ask("import", people.write("people.csv", PEOPLE), *SOURCE)
    assert sum(back["kept_out"].values()) == 1
    assert people.ask("recipient", "show", "ada@example.org")["topics"] == {"news": "unsubscribed"}


def test_one_person_is_shown_and_whoever_looks_is_noted(people: Shell) -> None:
    one = people.ask("recipient", "show", "Ada@Example.org", "--as", ADMIN)
    assert (one["address"], one["first_name"]) == ("ada@example.org", "Ada")
    assert (one["address_origin"], one["open_tracking"]) == ("imported", "unknown")
    assert (one["topics"], one["suppressions"]) == ({"news": "subscribed"}, [])
    said = people.do("recipient", "show", "ada@example.org")
    assert "topics: news" in said and "subscribed" in said
    db = people.db
    with db.reading() as session:
        first, second = audit.of(session, ("recipient", one["id"]))
        marta = session.scalars(select(Staff.id).where(Staff.email == ADMIN)).one()
    db.close()
    assert (first.action, first.staff_id) == ("recipient.looked_up", marta)
    assert second.staff_id is None
    refused = people("recipient", "show", "ada@example.org", "--as", "ilse@example.com")
    assert (refused.status, refused.out) == (1, "")


@pytest.mark.parametrize(
    "words",
    [
        ("recipient", "show", "nobody@example.com"),
        ("subscription", "set", "nobody@example.com", "news", "unsubscribed"),
        ("suppression", "lift", "nobody@example.com", "--reason", "invalid", "--because", "Typo"),
        ("recipient", "show", "not an address"),
    ],
)
def test_nobodys_address_is_one_sentence_that_does_not_repeat_it(
    people: Shell, words: tuple[str, ...]
) -> None:
    said = people(*words)
    assert said.status in {1, 2}
    assert (said.out, len(said.sentences)) == ("", 1)
    assert words[2] not in said.err


def test_a_choice_is_recorded_for_somebody_but_never_a_yes_over_their_no(people: Shell) -> None:
    words = ("subscription", "set", "ada@example.org", "news")
    assert people.do(*words, "subscribed").startswith("That person is already subscribed")
    assert people.do(*words, "unsubscribed", "--as", ADMIN).startswith("That person is now")
    refused = people(*words, "subscribed")
    assert (refused.status, len(refused.sentences)) == (1, 1)
    assert "said no" in refused.err
    legal = people("subscription", "set", "ada@example.org", "legal", "unsubscribed")
    assert (legal.status, len(legal.sentences)) == (1, 1)
    assert people("subscription", "set", "ada@example.org", "sport", "subscribed").status == 1


def test_the_console_says_that_somebody_left_when_no_request_can_begin(
    people: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(cli_people, "wait_for_requests", lambda _, person: waited.append(person))
    words = ("subscription", "set", "ada@example.org", "news")
    people.do(*words, "subscribed")
    assert waited == []
    people.do(*words, "unsubscribed")
    assert len(waited) == 1


def test_what_a_mailbox_refused_is_listed_and_lifted(people: Shell) -> None:
    file = people.write("bounced.csv", "email\nada@example.org\n")
    people.do("import", file, "--topic", "news", "--source", "Old tool", "--as", "bounced")
    (one,) = people.ask("suppression", "list")
    assert (one["reason"], one["scope"], one["source"]) == ("hard_bounce", "all", "import")
    assert "hard_bounce" in people.do("suppression", "list")
    lift = ("suppression", "lift", "ada@example.org", "--because", "The mailbox is back.")
    assert people(*lift, "--reason", "invalid").status == 1
    assert people(*lift, "--reason", "unsubscribed").status == 2
    assert people(*lift, "--reason", "hard_bounce", "--as", "ilse@example.com").status == 1
    people.do(*lift, "--reason", "hard_bounce")
    assert people.ask("suppression", "list") == []


def test_the_ledger_is_checked_whole(people: Shell) -> None:
    told = people.ask("ledger", "verify")
    db = people.db
    with db.reading() as session:
        entries = session.scalar(select(func.count()).select_from(ConsentEntry))
        assert session.scalar(select(func.count()).select_from(Recipient)) == 2
    assert (told["entries"], len(told["head"])) == (entries, 64)
    assert f"All {entries} entries hold" in people.do("ledger", "verify")
    with db.transaction() as session:
        for trigger in session.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"),
            {"t": "consent_entries"},
        ).all():
            session.execute(text(f'DROP TRIGGER "{trigger}"'))
        session.execute(text("UPDATE consent_entries SET payload = '{}' WHERE seq = 1"))
    db.close()
    broken = people("ledger", "verify")
    assert (broken.status, len(broken.sentences)) == (1, 1)
    assert "1" in broken.err


def test_every_reporting_command_prints_json_that_can_be_read(people: Shell, letter: int) -> None:
    for words in (
        ("staff", "list"),
        ("sender", "list"),
        ("topic", "list"),
        ("campaign", "list"),
        ("campaign", "show", letter),
        ("campaign", "check", letter),
        ("report", letter),
        ("recipient", "show", "ada@example.org"),
        ("suppression", "list"),
        ("sending", "show"),
        ("ledger", "verify"),
    ):
        json.loads(people.do(*words, "--json"))
        assert people.do(*words)


def test_less_mail_is_recorded_for_who_asked_and_shown_with_its_source(shell: Shell) -> None:
    shell.ask("import", shell.write("people.csv", PEOPLE), *SOURCE)
    assert "holds from now on" in shell.do("recipient", "pause", "ada@example.org", "--days", "90")
    assert "holds from now on" in shell.do("recipient", "weekly", "ada@example.org")
    assert "was so already" in shell.do("recipient", "weekly", "ada@example.org")
    told = shell.ask("recipient", "show", "ada@example.org")["wishes"]
    assert set(told) == {"pause", "frequency"}
    assert told["frequency"]["is"] == "weekly"
    assert told["frequency"]["source"] == "staff"
    assert re.search(
        r"^frequency +weekly, since .*, by staff$",
        shell.do("recipient", "show", "ada@example.org"),
        re.MULTILINE,
    )
    said = shell("recipient", "pause", "ada@example.org", "--days", "30")
    assert said.status == 1
    assert "only they can take it back" in said.err


@pytest.mark.parametrize("form", [(), ("--html",)])
def test_all_of_one_person_is_written_for_them_privately_and_audited(
    people: Shell, form: tuple[str, ...]
) -> None:
    file = people.data.parent / "ada.file"
    people.do("recipient", "export", "ada@example.org", file, *form, "--as", ADMIN)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = file.read_text(encoding="utf-8")
    assert "ada@example.org" in written and "grace@example.org" not in written
    assert written.startswith("<!doctype html>" if form else "{")
    with people.db.reading() as session:
        (newest,) = audit.latest(session, limit=1)
        assert (newest.action, newest.door) == ("recipient.exported", "console")
    people.db.close()
    refused = people("recipient", "export", "nobody@example.org", file.with_suffix(".no"))
    assert refused.status != 0 and not file.with_suffix(".no").exists()
