"""Our own house, and the whole examination."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr
from sqlalchemy import inspect, text

from mailprefs import machine
from mailprefs.db.database import Database
from mailprefs.db.dialects import database_time
from mailprefs.deliveries import pace
from mailprefs.doctor import house, keys
from mailprefs.doctor.examining import examine
from mailprefs.doctor.findings import Finding, Level
from mailprefs.machine import GIGABYTE, Disk, SpoolLevel
from mailprefs.schema.sending import Presence
from mailprefs.settings import Environment, Settings
from mailprefs.spool import Record, Spool, segments
from tests.factories import make_recipient
from tests.sending import NOW

TOKEN_KEY = sha256(b"a token key").hexdigest()
PUBLIC_KEY = b64encode(
    generate_private_key(SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
ADDRESS_KEY = sha256(b"the address key of people who don't exist").hexdigest()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        base_url="http://127.0.0.1:9",
        environment=Environment.SANDBOX,
        sendgrid_host="http://127.0.0.1:9",
        token_keys=SecretStr(TOKEN_KEY),
        address_key=SecretStr(ADDRESS_KEY),
    )


def levels(findings: Iterator[Finding] | list[Finding]) -> dict[str, Level]:
    return {one.area: one.level for one in findings}


def test_a_database_that_is_fit_is_well_and_untouched(db: Database, settings: Settings) -> None:
    found = list(house.of_database(db, settings))
    assert levels(found) == {"Database": Level.OK, "Migrations": Level.OK}
    with db.reading() as session:
        assert not inspect(session.connection()).has_table("mailprefs_doctor")


def test_a_database_that_is_away_is_wrong(settings: Settings) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    away = Database(url)
    there = settings.model_copy(update={"database_url": url, "database": url})
    (found,) = house.of_database(away, there)
    assert (found.area, found.level) == ("Database", Level.WRONG)
    away.close()


def test_a_missing_migration_is_wrong(db: Database, settings: Settings) -> None:
    with db.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    found = list(house.of_database(db, settings))
    with db.transaction() as session:
        newest = max(path.name[:4] for path in Path("migrations/versions").glob("0*.py"))
        session.execute(text("UPDATE alembic_version SET version_num = :n"), {"n": newest})
    assert levels(found)["Migrations"] is Level.WRONG
    assert "mailprefs init" in found[-1].todo


def test_sqlite_without_a_file_that_can_be_opened_is_wrong(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "folder").mkdir()
    url = f"sqlite:///{tmp_path / 'folder'}"
    db = Database(url)
    there = settings.model_copy(update={"database_url": url, "database": url})
    (found,) = house.of_database(db, there)
    assert (found.area, found.level) == ("Database", Level.WRONG)
    db.close()


def test_a_network_file_system_is_told_from_a_local_one(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n"
        "server:/x /srv/data nfs4 rw 0 0\n"
        "/dev/sda1 /srv/data/local ext4 rw 0 0\n"
    )
    kind = house._file_system  # noqa: SLF001 - what it reads can't be mounted in a test
    assert kind(Path("/srv/data/mailprefs.db"), mounts) == "nfs4"
    assert kind(Path("/srv/data/local/mailprefs.db"), mounts) == "ext4"
    assert kind(Path("/srv/database.db"), mounts) == "overlay"
    assert kind(Path("/srv/data"), tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("free", "level"),
    [(50 * GIGABYTE, Level.OK), (GIGABYTE, Level.WARNING), (GIGABYTE // 10, Level.WRONG)],
)
def test_a_disk_is_well_while_there_is_room(free: int, level: Level) -> None:
    (found,) = house.of_disks((Disk("the spool", free, 100 * GIGABYTE),))
    assert found.level is level


def test_hits_that_wait_and_files_that_nobody_reads_are_told() -> None:
    fine = SpoolLevel(used=64, most=GIGABYTE, waiting_since=None, unreadable=0)
    assert house.of_spool(fine, NOW).sentence == "All hits are counted (1 kB on disk)."
    late = fine._replace(waiting_since=NOW - timedelta(minutes=12))
    assert "waited to be counted for 12 minutes" in house.of_spool(late, NOW).sentence
    assert house.of_spool(fine._replace(unreadable=2), NOW).level is Level.WARNING
    assert house.of_spool(fine._replace(used=GIGABYTE * 3 // 4), NOW).sentence == "It is 75% full."


def test_the_spool_is_read_as_it_lies_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    assert machine.level(folder, {}) == SpoolLevel(0, 2**30, None, 0)
    spool = Spool(folder, sync_seconds=None)
    for minutes in (0, 5):
        at = NOW + timedelta(minutes=minutes)
        spool.append(Record(1 << 32 | 1, False, int(at.timestamp() * 1000), 1, 0, 0, None, 1))
    (segment,) = segments(folder)
    found = machine.level(folder, {})
    assert (found.used, found.waiting_since) == (4_194_304, NOW)
    counted = {segment.identity: 64 + 32}
    assert machine.level(folder, counted).waiting_since == NOW + timedelta(minutes=5)
    assert machine.level(folder, {segment.identity: 64 + 64}).waiting_since is None
    (folder / "odd.spool").write_bytes(b"not a segment")
    assert machine.level(folder, {}).unreadable == 1
    spool.close()


def test_somebody_sends_or_nobody_does(db: Database) -> None:
    with db.transaction() as session:
        now = database_time(session)
        assert house.of_workers(session, now).sentence == "No process sends at the moment."
        session.add(Presence(owner="a", started_at=now, seen_at=now - timedelta(hours=3)))
        session.flush()
        said = house.of_workers(session, now)
        assert (said.level, "3 hours ago" in said.sentence) == (Level.WARNING, True)
        session.add(Presence(owner="b", started_at=now, seen_at=now))
        session.flush()
        assert house.of_workers(session, now) == ("Workers", Level.OK, "1 process sends.", "")


def test_hashes_of_another_address_key_are_found(db: Database, settings: Settings) -> None:
    with db.transaction() as session:
        assert keys.of_stored(session, settings).level is Level.OK
        make_recipient(session, "ada@example.org")
        assert keys.of_stored(session, settings).level is Level.OK
        other = SecretStr(sha256(b"some other key").hexdigest())
        changed = settings.model_copy(update={"address_key": other})
        found = keys.of_stored(session, changed)
    assert found.level is Level.WRONG
    assert "another address key" in found.sentence
    assert "ada@" not in found.sentence


@pytest.mark.parametrize("weak", ["", "short", "00" * 32, "changeme" * 8])
def test_keys_that_are_missing_or_weak_are_wrong_and_never_shown(
    settings: Settings, weak: str
) -> None:
    there = settings.model_copy(update={"token_keys": SecretStr(weak)})
    found = list(keys.of_settings(there))
    assert levels(found)["Token keys"] is Level.WRONG
    assert not weak or weak not in str(found)


def test_a_webhook_key_that_is_none_is_wrong(settings: Settings) -> None:
    there = settings.model_copy(update={"sendgrid_webhook_key": "bm90IGEga2V5"})
    assert levels(list(keys.of_settings(there)))["Webhook's key"] is Level.WRONG


@pytest.mark.parametrize(
    ("mailbox", "key", "level"),
    [
        ("", "", None),
        ("unsubscribe@in.example.com", "", Level.WRONG),
        ("unsubscribe@in.example.com", "bm90IGEga2V5", Level.WRONG),
        ("", PUBLIC_KEY, Level.WARNING),
        ("unsubscribe@in.example.com", f"{PUBLIC_KEY}, {PUBLIC_KEY}", Level.OK),
    ],
)
def test_the_key_of_inbound_mail_is_missed_where_there_is_a_mailbox(
    settings: Settings, mailbox: str, key: str, level: Level | None
) -> None:
    there = settings.model_copy(update={"inbound_mailbox": mailbox, "sendgrid_inbound_key": key})
    found = {one.area: one for one in keys.of_settings(there)}
    assert ("Inbound mail's key" in found) is (level is not None)
    if level is not None:
        assert found["Inbound mail's key"].level is level
        assert "bm90" not in str(found)


def test_the_whole_examination_tells_of_everything_and_changes_nothing(
    db: Database, settings: Settings
) -> None:
    found = list(examine(settings, lambda: NOW))
    areas = [one.area for one in found]
    for area in ("Token keys", "Database", "Migrations", "Workers", "Base URL", "Disk", "Spool"):
        assert area in areas
    assert levels(found)["Vendor's key"] is Level.WRONG


def test_what_breaks_off_does_not_hold_up_the_rest(settings: Settings) -> None:
    broken = settings.model_copy(
        update={"token_keys": SecretStr("short"), "database": "postgresql://no@127.0.0.1:1/none"}
    )
    found = levels(list(examine(broken, lambda: NOW)))
    assert found["Token keys"] is Level.WRONG
    assert found["Database"] is Level.WRONG
    assert found["Base URL"] is Level.WRONG
    assert found["Disk"] in Level
    assert "Spool" in found


def test_a_stop_of_all_sending_is_wrong_and_says_why(db: Database) -> None:
    with db.transaction() as session:
        assert house.of_sending(session).level is Level.OK
        pace.stop(session, "The vendor refuses our key.")
        said = house.of_sending(session)
    assert said.level is Level.WRONG
    assert "The vendor refuses our key." in said.sentence
    assert "mailprefs sending start" in said.todo
