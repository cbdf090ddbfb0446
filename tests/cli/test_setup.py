"""Setting up: safe to repeat, keys for the owner only, one sentence for whatever is wrong."""

import re
import stat
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailprefs import audit
from mailprefs.db.version import pending
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.people import Sender, Topic
from mailprefs.schema.staff import Staff
from tests.cli.conftest import ADMIN, Shell

GOOD = "kV0y2rJ8mQx5uTz1Wb7nC4sD9eF3gH6iLpAoRtYwXcE"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_everything_from_nothing(bare: Shell) -> None:
    said = bare.do("init", "--admin", ADMIN, "--name", "Marta")
    assert "https://mail.example.com/staff/" in said
    file = bare.data / "settings.env"
    assert (mode(bare.data), mode(file)) == (0o700, 0o600)
    names = re.findall(r"^(\w+)=\S{40,}$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == ["MAILPREFS_TOKEN_KEYS", "MAILPREFS_ADDRESS_KEY"]
    db = bare.db
    assert not pending(db)
    db.close()
    (marta,) = bare.ask("staff", "list")
    assert (marta["email"], marta["name"]) == (ADMIN, "Marta")
    assert marta["roles"] == ["admin", "analyse", "approve", "draft", "privacy", "send"]
    classes = [one["class"] for one in bare.ask("sender", "list")]
    assert classes == ["promotional", "administrative"]


def test_a_second_init_changes_nothing_but_gives_a_fresh_link(shell: Shell) -> None:
    keys = (shell.data / "settings.env").read_text(encoding="utf-8")
    before = (shell.ask("staff", "list"), shell.ask("sender", "list"), shell.ask("topic", "list"))
    first, second = (shell.do("init", "--admin", ADMIN) for _ in range(2))
    assert first != second
    assert (shell.data / "settings.env").read_text(encoding="utf-8") == keys
    after = (shell.ask("staff", "list"), shell.ask("sender", "list"), shell.ask("topic", "list"))
    assert after == before
    db = shell.db
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Sender)) == 2
        assert session.scalar(select(func.count()).select_from(PolicyVersion)) == 1
    db.close()


def test_an_admin_whose_address_is_none_is_refused_before_anything_is_made(bare: Shell) -> None:
    answer = bare("init", "--admin", "nonsense")
    assert (answer.status, answer.out, len(answer.sentences)) == (2, "", 1)
    assert not bare.data.exists()


def test_a_second_admin_is_not_made_by_init(shell: Shell) -> None:
    before = shell.ask("staff", "list")
    for address in ("other@example.com", "ilse@example.com"):
        answer = shell("init", "--admin", address)
        assert (answer.status, answer.out, len(answer.sentences)) == (1, "", 1)
        assert "mailprefs staff add" in answer.err
    assert shell.ask("staff", "list") == before


def test_init_adds_keys_to_a_file_that_somebody_began(bare: Shell) -> None:
    bare.data.mkdir()
    file = bare.data / "settings.env"
    file.write_text("MAILPREFS_TIME_ZONE=Europe/Berlin", encoding="utf-8")
    file.chmod(0o644)
    bare.do("init")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "MAILPREFS_TIME_ZONE=Europe/Berlin"
    assert [line.partition("=")[0] for line in lines[1:]] == [
        "MAILPREFS_TOKEN_KEYS",
        "MAILPREFS_ADDRESS_KEY",
    ]
    assert mode(file) == 0o600


def test_keys_of_the_environment_are_not_written_down(bare: Shell) -> None:
    bare.set(TOKEN_KEYS=GOOD, ADDRESS_KEY=GOOD[::-1])
    bare.do("init")
    assert not (bare.data / "settings.env").exists()


def test_lost_keys_are_not_replaced_while_people_depend_on_them(people: Shell) -> None:
    """New ones would cut off every link that was ever sent, and every suppression."""
    (people.data / "settings.env").unlink()
    answer = people("init")
    assert answer.status == 2
    assert len(answer.sentences) == 1
    assert "restore" in answer.err
    assert not (people.data / "settings.env").exists()


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("TOKEN_KEYS", "short", "MAILPREFS_TOKEN_KEYS"),
        ("TOKEN_KEYS", "a" * 43, "could be guessed"),
        ("TOKEN_KEYS", f"{GOOD},{GOOD}", "is the same as key 1"),
        ("ADDRESS_KEY", "changeme" * 6, "placeholder"),
        ("ADDRESS_KEY", f"{GOOD},{GOOD[::-1]}", "single key"),
        ("TIME_ZONE", "Mars/Olympus", "MAILPREFS_TIME_ZONE: must be an IANA zone"),
        ("BASE_URL", "mail.example.com", "MAILPREFS_BASE_URL"),
        ("SENDGRID_HOST", "https://api.sendgrid.com", "must be on this machine"),
        ("DATABASE_URL", "mysql://x", "MAILPREFS_DATABASE_URL"),
        ("BATCH_SIZE", "many", "MAILPREFS_BATCH_SIZE"),
        ("LEASE", "1", "MAILPREFS_LEASE must be longer"),
    ],
)
def test_a_bad_setting_or_key_is_one_sentence(
    shell: Shell, setting: str, value: str, told: str
) -> None:
    shell.set(**{setting: value})
    answer = shell("topic", "list")
    assert answer.status == 2
    assert (answer.out, len(answer.sentences)) == ("", 1)
    assert told in answer.err
    assert value not in answer.err or setting in {"TIME_ZONE", "BASE_URL"}


def test_staff_are_added_once_and_get_more_roles(shell: Shell) -> None:
    shell.do("staff", "add", "bo@example.com", "--name", "Bo", "--role", "analyse")
    shell.do("staff", "add", "BO@example.com", "--role", "send")
    found = {one["email"]: one for one in shell.ask("staff", "list")}
    assert found["bo@example.com"]["roles"] == ["analyse", "send"]
    assert found["bo@example.com"]["name"] == "Bo"
    assert "/staff/" in shell.do("staff", "link", "bo@example.com")
    assert "bo@example.com" in shell.do("staff", "list")


def test_what_a_member_of_staff_may_not_do_they_may_not_do_at_the_console(shell: Shell) -> None:
    file = shell.write("policy.md", "We keep promises.\n")
    for words in (
        ("staff", "add", "bo@example.com", "--role", "admin"),
        ("sender", "set", "promotional", "--name", "Bo"),
        ("topic", "add", "more", "--name", "More"),
        ("policy", "publish", file, "--version", "2"),
    ):
        answer = shell(*words, "--as", "ilse@example.com")
        assert answer.status == 1
        assert "role admin" in answer.err
        assert shell(*words, "--as", ADMIN).status == 0
    assert (
        "Nobody on the staff" in shell("topic", "add", "x", "--name", "X", "--as", "no@x.test").err
    )


def test_a_sender_is_set_field_by_field(shell: Shell) -> None:
    shell.do(
        *("sender", "set", "promotional", "--name", "Garden", "--from", "news@garden.test"),
        *(
            "--postal-address",
            "Lindenallee 7, 12345 Lindenau",
            "--base-url",
            "https://m.garden.test/",
        ),
        "--as",
        ADMIN,
    )
    news, notices = shell.ask("sender", "list")
    assert (news["name"], news["from"]) == ("Garden", "news@garden.test")
    assert news["base_url"] == "https://m.garden.test"
    assert notices["name"] == "Our company"
    db = shell.db
    with db.reading() as session:
        note = audit.of(session, ("sender", news["id"]))[-1]
        marta = session.scalars(select(Staff.id).where(Staff.email == ADMIN)).one()
    db.close()
    assert (note.staff_id, note.door) == (marta, "console")
    assert "Garden" in shell.do("sender", "list")
    assert shell("sender", "set", "promotional").status == 2
    assert shell("sender", "set", "promotional", "--from", "notices@mail.example.com").status == 1


def test_in_production_the_first_senders_wait_for_their_postal_address(bare: Shell) -> None:
    bare.set(ENVIRONMENT="production")
    bare.do("init")
    assert [one["postal_address"] for one in bare.ask("sender", "list")] == ["", ""]


def test_a_topic_is_promotional_unless_it_is_said_otherwise(shell: Shell) -> None:
    shell.do("topic", "add", "more", "--name", "More")
    assert shell.ask("topic", "list")[-1]["class"] == "promotional"
    assert "More" in shell.do("topic", "list")
    answer = shell("topic", "add", "more", "--name", "More")
    assert (answer.status, len(answer.sentences)) == (1, 1)
    db = shell.db
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Topic)) == 3
    db.close()


def test_a_policy_version_is_published_once(shell: Shell) -> None:
    file = shell.write("policy.md", "\ufeffWe keep promises.\n")
    assert shell.do("policy", "publish", file, "--version", "2027-01") == (
        "Version 2027-01 is in force."
    )
    other = shell.write("other.md", "We keep other promises.\n")
    answer = shell("policy", "publish", other, "--version", "2027-01")
    assert (answer.status, len(answer.sentences)) == (1, 1)
    latin = shell.write("latin.md", "Gr\u00fc\u00dfe".encode("latin-1"))
    answer = shell("policy", "publish", latin, "--version", "3")
    assert (answer.status, len(answer.sentences)) == (2, 1)
    assert "isn't UTF-8" in answer.err
    missing = shell("policy", "publish", shell.data / "nothing.md", "--version", "3")
    assert missing.status == 2
    assert "No such file" in missing.err
