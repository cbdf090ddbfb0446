"""A transfer: everybody with what governs their data, nobody erased, and one private file."""

import hashlib
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

import pytest

from mailprefs import audit, consent, privacy, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.consent import Entry
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadFile, BadInput, Conflict
from mailprefs.jobs import transfer as job
from mailprefs.jobs.transfer import Transfer
from mailprefs.policy import Purpose, Source, SuppressionReason
from mailprefs.privacy import Asked, disclosures, holds, transfer
from mailprefs.schema.legal import DisclosureBasis
from tests.factories import (
    BEGINNING,
    HASHER,
    make_policy,
    make_recipient,
    make_topic,
    stored,
    subscribe,
)

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LATER = BEGINNING + timedelta(days=300)
REASON = "The company is sold on the first of April."
ASKED = Asked(Source.STAFF, CONSOLE, HASHER)


@pytest.fixture
def ids(db: Database) -> dict[str, int]:
    """Give three people of two policies: with a choice, with a complaint, and held and to erase."""
    with db.transaction(Gate.TAKING) as session:
        first = make_policy(session, "first")
        make_policy(session, "second", effective_from=LATER)
        news = make_topic(session, "newsletter")
        ada = make_recipient(session, "ada@example.org", first_name="Ada", attributes={"plan": "A"})
        bo = make_recipient(session, "bo@example.org", created_at=LATER + timedelta(days=1))
        cy = make_recipient(session, "cy@example.org")
        for person in (ada, bo, cy):
            subscribe(session, person, news, policy_version_id=first)
        words = consent.wording(session, Purpose.PROMOTIONAL_EMAIL, "en", "Yes, please.")
        chosen = Entry(
            ada.id, "promotional_email", news.id, None, "subscribed", Source.PAGE, first, "button",
            BEGINNING, wording=words,
        )  # fmt: skip
        consent.append(session, [chosen], now=BEGINNING)
        add = suppressions.add
        complained, bounced = SuppressionReason.COMPLAINED, SuppressionReason.HARD_BOUNCE
        add(session, bo.address_hash, 1, complained, Source.VENDOR, now=NOW)
        add(session, bytes(16), 1, bounced, Source.VENDOR, now=NOW)
        holds.place(session, cy.id, CONSOLE, reason="The court asks.", now=NOW)
        privacy.erase(session, cy.id, ASKED, now=NOW)
        privacy.erase_address(session, "di@example.org", ASKED, now=NOW)
        return {"ada": ada.id, "bo": bo.id, "cy": cy.id}


def made(db: Database, **changes: Any) -> Transfer:  # noqa: ANN401 - fields of Transfer
    values = {"to_whom": "Example Holding", "reason": REASON} | changes
    return Transfer(db=db, actor=CONSOLE, clock=lambda: NOW, **values)


def lines(file: Path, name: str) -> list[dict[str, Any]]:
    with ZipFile(file) as archive:
        return [json.loads(line) for line in archive.read(name).splitlines()]


def test_each_person_goes_along_with_every_choice_and_the_policy_that_governs_it(
    db: Database, ids: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    done = made(db).write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.glob("all*")] == ["all.zip"]
    ada, bo = lines(file, "people.jsonl")
    assert done.people == 2
    assert (ada["address"], ada["attributes"], ada["policy"]) == (
        "ada@example.org",
        {"plan": "A"},
        "first",
    )
    assert bo["policy"] == "second", "the one in force when the address was collected"
    (choice,) = ada["choices"]
    assert (choice["is"], choice["topic"], choice["policy"]) == (
        "subscribed",
        "newsletter",
        "first",
    )
    words = {one["wording"]: one["text"] for one in lines(file, "wordings.jsonl")}
    assert words[choice["wording"]] == "Yes, please."
    assert [one["policy"] for one in bo["subscriptions"]] == ["first"]
    assert [one["reason"] for one in bo["held_back"]] == ["complained"]
    assert [one["policy"] for one in lines(file, "policies.jsonl")] == ["first", "second"]


def test_who_is_erased_or_waits_to_be_is_in_no_file(
    db: Database, ids: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    made(db).write(file)
    with ZipFile(file) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for who in ("cy", "di"):
        assert f"{who}@example.org".encode() not in everything
        assert HASHER.hash(f"{who}@example.org").hex().encode() not in everything
    (refused,) = lines(file, "refused_addresses.jsonl")
    assert (refused["address_hash"], refused["reason"]) == ("00" * 16, "hard_bounce")


def test_it_stands_in_the_register_and_in_the_audit(
    db: Database, ids: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    done = made(db).write(file)
    assert done.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    with db.reading() as session:
        (line,) = disclosures.register(session)
        (noted,) = audit.of(session, ("disclosure", done.number))
    assert (line.basis, line.to_whom, line.n) == (DisclosureBasis.TRANSFER, "Example Holding", 2)
    assert line.sha256 is not None and line.sha256.hex() == done.sha256
    assert noted.reason == REASON


def test_the_form_names_every_field_and_the_manifest_every_file(
    db: Database, ids: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    made(db).write(file)
    with ZipFile(file) as archive:
        form = archive.read("README.txt").decode()
        manifest = json.loads(archive.read("manifest.json"))
        for name, told in manifest["files"].items():
            content = archive.read(name)
            assert told["sha256"] == hashlib.sha256(content).hexdigest()
            assert told["lines"] == len(content.splitlines()) == len(lines(file, name))
            assert name in form
            for key in {key for line in lines(file, name) for key in _keys(line)} - {"plan"}:
                assert key in form, (name, key)


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(inner) for inner in value.values()))
    return set().union(*(_keys(inner) for inner in value)) if isinstance(value, list) else set()


def test_who_is_erased_while_it_is_written_is_in_no_file(
    db: Database, ids: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = job.digest_of

    def meanwhile(part: BinaryIO) -> str:
        with db.transaction(Gate.TAKING) as session:
            privacy.erase(session, ids["ada"], ASKED, now=NOW)
        return digest(part)

    monkeypatch.setattr(job, "digest_of", meanwhile)
    with pytest.raises(Conflict, match="erased meanwhile"):
        made(db).write(tmp_path / "all.zip")
    assert list(tmp_path.glob("all*")) == []
    with db.reading() as session:
        assert disclosures.register(session) == []
    monkeypatch.undo()
    assert made(db).write(tmp_path / "all.zip").people == 1


def test_what_cannot_be_written_down_is_not_written_at_all(
    db: Database, ids: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    for changes in ({"to_whom": " "}, {"reason": "no"}, {"to_whom": "boss@example.com"}):
        with pytest.raises(BadInput):
            made(db, **changes).write(file)
    with pytest.raises(BadFile, match="can't be written"):
        made(db).write(tmp_path / "nowhere" / "all.zip")
    assert list(tmp_path.glob("all*")) == []
    made(db).write(file)
    with pytest.raises(BadFile, match="there already"):
        made(db).write(file)


def test_slices_join_without_a_gap(
    db: Database, ids: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SLICE", 2)
    with db.transaction() as session:
        stored(session, make_recipient(session, "ed@example.org"))
        for number in range(5):
            hashed, reason = bytes([number]) * 16, SuppressionReason.INVALID
            suppressions.add(session, hashed, 1, reason, Source.IMPORT, now=NOW)
    file = tmp_path / "all.zip"
    assert made(db).write(file).people == 3
    assert len(lines(file, "refused_addresses.jsonl")) == 6
