"""``mailprefs alarms`` and ``mailprefs doctor`` as a person and a script meet them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from mailprefs.alarms import keeping
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.sandbox.wrongs import Wrong
from mailprefs.schema.alarms import Alarm, Turn
from mailprefs.schema.people import Sender
from tests.cli.conftest import Shell
from tests.factories import stored

SAID = "Campaign 7 doesn't move. No worker is running; start one with `mailprefs run`."


def raised(shell: Shell, kind: str, sentence: str, **columns: object) -> None:
    at = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    values = {"subject": "", "since": at, "raised_at": at, "last_seen": at} | columns
    db = shell.db
    with db.transaction() as session:
        stored(session, Alarm(kind=kind, sentence=sentence, **values))
    db.close()


def looked(shell: Shell, at: datetime) -> None:
    db = shell.db
    with db.transaction() as session:
        stored(session, Turn(name=keeping.TURN, taken_at=at))
    db.close()


def test_no_alarm_is_said_and_exits_zero(shell: Shell) -> None:
    at = datetime.now(UTC)
    looked(shell, at)
    assert shell.do("alarms") == "No alarm is open."
    assert shell.ask("alarms") == {"last_look": at.isoformat(), "open": [], "cleared": []}


def test_where_nobody_looks_no_alarm_is_no_good_news(shell: Shell) -> None:
    answer = shell("alarms")
    assert answer.status == 1
    assert "No alarm is open" not in answer.out
    assert "mailprefs run" in answer.out
    looked(shell, datetime.now(UTC) - timedelta(minutes=4))
    answer = shell("alarms")
    assert answer.status == 1
    assert "Nobody has looked for alarms since" in answer.out


def test_an_open_alarm_is_told_with_what_to_do_and_exits_three(shell: Shell) -> None:
    raised(shell, "campaign_stalled", SAID, subject="campaign 7")
    shell.monkeypatch.setenv("COLUMNS", "80")
    answer = shell("alarms")
    assert answer.status == 3
    advice = AlarmKind.CAMPAIGN_STALLED.advice
    lines = answer.out.splitlines()
    assert lines[0] == f"{advice.title}, since 22 Nov 2026, 09:00 UTC"
    assert " ".join(answer.out.split()).count(SAID) == 1
    assert advice.command in [line.strip() for line in lines]
    assert max(map(len, lines)) <= 80


def test_a_script_reads_alarms_as_json(shell: Shell) -> None:
    raised(shell, "disk_filling", "The disk fills.", subject="host-1: the spool")
    now = datetime.now(UTC)
    raised(shell, "sending_stopped", "It was stopped.", cleared_at=now - timedelta(hours=1))
    raised(shell, "vendor_tracking", "Long ago.", cleared_at=now - timedelta(days=3))
    answer = shell("alarms", "--json")
    assert answer.status == 3
    told = json.loads(answer.out)
    (still,), (over,) = told["open"], told["cleared"]
    assert (still["kind"], still["state"], still["subject"]) == (
        "disk_filling",
        "raised",
        "host-1: the spool",
    )
    assert still["runbook"] == "docs/runbook.md#the-disk-fills"
    assert (over["sentence"], over["state"]) == ("It was stopped.", "cleared")


@pytest.fixture
def vendor(shell: Shell) -> Iterator[Sandbox]:
    """Give a sandbox that the installation's settings name, with its webhook."""
    settings = SandboxSettings(webhook="http://127.0.0.1:9/webhooks/sendgrid/events")
    with Sandbox(settings) as running:
        shell.set(
            SENDGRID_HOST=running.url,
            SENDGRID_WEBHOOK_KEY=running.webhook.key.public,
            BASE_URL="http://127.0.0.1:9",
        )
        db = shell.db
        with db.transaction() as session:
            session.execute(update(Sender).values(base_url="http://127.0.0.1:9"))
        db.close()
        yield running


def test_the_doctor_exits_zero_with_warnings_only(shell: Shell, vendor: Sandbox) -> None:
    shell.monkeypatch.setenv("COLUMNS", "80")
    answer = shell("doctor")
    assert answer.status == 0, answer.out
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "ok       Webhook         It is on, signed with our key" in answer.out
    assert "warning  Base URL        http://127.0.0.1:9 doesn't answer." in answer.out
    assert " a look; nothing is wrong." in answer.out


def test_the_doctor_exits_one_if_something_is_wrong(shell: Shell, vendor: Sandbox) -> None:
    vendor.be_wrong(Wrong.UNSIGNED)
    answer = shell("doctor", "--json")
    assert answer.status == 1
    told = json.loads(answer.out)
    assert told["well"] is False
    wrong = [one for one in told["findings"] if one["level"] == "wrong"]
    assert [one["area"] for one in wrong] == ["Webhook"]
    assert wrong[0]["todo"]


def test_the_doctor_shows_no_key_and_no_address(shell: Shell, vendor: Sandbox) -> None:
    people = shell.write("people.csv", "email\nada@example.org\n")
    shell.do("import", people, "--topic", "news", "--source", "Box on the order form")
    file = (shell.data / "settings.env").read_text()
    secrets = [line.partition("=")[2] for line in file.splitlines()]
    answer = shell("doctor")
    for secret in [*secrets, "SG.sandbox.nothing-real-is-sent", "ada@example.org", "@"]:
        assert secret not in answer.out


def test_the_doctor_needs_an_installation(bare: Shell) -> None:
    answer = bare("doctor")
    assert answer.status == 2
    assert "run `mailprefs init`" in answer.err
    assert not bare.data.exists()
