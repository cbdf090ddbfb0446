"""What commands say of how things stand: true at that moment, and in the words of the pages."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailprefs import audit
from mailprefs.alarms import keeping
from mailprefs.campaigns import schedule
from mailprefs.deliveries import pace
from mailprefs.jobs.alarms import look_again
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.sending import SendCount
from mailprefs.settings import Settings
from tests.cli.conftest import Shell
from tests.cli.test_alarms import SAID, looked, raised
from tests.factories import make_policy
from tests.sending import NOW, answer, freeze_all, take_one

ROOT = Path(__file__).parents[2]


def put(people: Shell, number: int, **columns: object) -> None:
    db = people.db
    with db.transaction() as session:
        campaign = session.get_one(Campaign, number)
        for name, value in columns.items():
            setattr(campaign, name, value)
    db.close()


def test_a_late_campaign_says_how_late_and_why(people: Shell, letter: int) -> None:
    late = datetime.now(UTC) - timedelta(minutes=1, seconds=2)
    put(people, letter, state=CampaignState.SCHEDULED, due_at=late)
    said = people.do("campaign", "show", letter)
    assert f"Campaign {letter}: Hello (promotional) is overdue." in said
    assert "It was to begin " in said and ", overdue by 1 min" in said
    assert said.count("No worker is running; start one with `mailprefs run`.") == 1
    assert "overdue" in people.do("campaign", "list")
    assert people.ask("campaign", "show", letter)["state"] == "scheduled"


def test_missed_is_the_word_and_letting_it_go_ends_the_alarm(people: Shell, letter: int) -> None:
    now = datetime.now(UTC)
    put(people, letter, state=CampaignState.SCHEDULED, due_at=now - timedelta(hours=2))
    db = people.db
    with db.transaction() as session:
        assert schedule.hold_missed(session, now=now, grace=3_600) == [letter]
    look_again(db, Settings(), now=now)
    assert f"Campaign {letter} (promotional)" not in people.do("campaign", "show", letter)
    assert "Hello (promotional) was missed." in people.do("campaign", "show", letter)
    assert "missed" in people.do("campaign", "list")
    waited = people("campaign", "wait", letter)
    assert (waited.status, waited.out.startswith(f"Campaign {letter} was missed: ")) == (5, True)
    assert people.ask("campaign", "show", letter)["state"] == "paused"
    with db.reading() as session:
        assert [one.kind for one in keeping.open_now(session)] == ["schedule_missed"]
    people.do("campaign", "resume", letter)
    with db.reading() as session:
        assert keeping.open_now(session) == []
    db.close()


def test_a_cancel_says_who_was_sent_it_and_who_is_skipped(people: Shell, letter: int) -> None:
    put(people, letter, state=CampaignState.SCHEDULED, due_at=datetime.now(UTC))
    db = people.db
    with db.transaction() as session:
        make_policy(session)
        session.get_one(Campaign, letter).due_at = NOW
    freeze_all(db, batch_size=1)
    answer(db, take_one(db))
    db.close()
    assert people.do("campaign", "cancel", letter) == (
        f"Campaign {letter} is stopped for good: sent to 1 person, 1 skipped. Calls in flight "
        "finish."
    )


def test_an_occurrence_is_refused_of_a_time_that_happens_once(people: Shell, letter: int) -> None:
    once = ("--at", "2029-10-28T09:00", "--zone", "Europe/Berlin", "--occurrence", "second")
    said = people("campaign", "send", letter, *once)
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "Europe/Berlin has 2029-10-28T09:00 once only; leave --occurrence away." in said.err
    alone = people("campaign", "send", letter, "--occurrence", "first")
    assert alone.status == 2
    assert "A schedule is a local time and its zone" in alone.err
    assert people.ask("campaign", "show", letter)["state"] == "draft"


def test_what_begins_in_days_is_told_without_seconds(people: Shell, letter: int) -> None:
    due = datetime.now(UTC) + timedelta(days=342, hours=5, minutes=12, seconds=42)
    said = people.do("campaign", "send", letter, "--at", f"{due:%Y-%m-%dT%H:%M}", "--zone", "UTC")
    assert "in 342 d 5 h 1" in said
    assert said.endswith(" min.")


def test_starting_what_was_not_stopped_says_so_and_changes_nothing(people: Shell) -> None:
    assert people.do("sending", "start") == "Sending wasn't stopped; nothing was changed."
    db = people.db
    with db.transaction() as session:
        assert audit.of(session, ("vendor", "pace")) == []
        pace.wait_for_all(session, seconds=100)
    assert people.do("sending", "start") == (
        "Sending wasn't stopped. What waited is tried at once."
    )
    assert people.ask("sending", "show")["waits_until"] is None
    with db.transaction() as session:
        pace.stop(session, "The key was refused.")
    db.close()
    assert people.do("sending", "start") == "Sending goes on."


def test_a_limit_by_the_second_is_never_called_used_up(people: Shell) -> None:
    people.set(SEND_RATE="60", SEND_LIMITS="1000/hour")
    db, now = people.db, datetime.now(UTC)
    at = {"turn_at": now + timedelta(hours=1), "hour_at": now, "day_at": now}
    with db.transaction() as session:
        session.add(SendCount(name="all", turn_n=60, hour_n=60, day_n=60, **at))
    db.close()
    said = people.do("sending", "show")
    assert "at most 60 a second" in said
    assert "60 of 60" not in said
    assert "60 of 1,000 an hour" in said


@pytest.mark.parametrize("lines", [1, 2])
def test_who_reads_the_first_lines_only_gets_the_same_exit_status(shell: Shell, lines: int) -> None:
    for number in range(40):
        raised(shell, "campaign_stalled", SAID, subject=f"campaign {number}")
    looked(shell, datetime.now(UTC))
    command = f"{sys.executable} -m mailprefs.cli.main alarms | head -n {lines}"
    # Waits until the reader is gone, where the command were to write on.
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("3", "")


def test_a_command_whose_output_is_closed_ends_as_others_do(
    monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("mailprefs.cli.console.click.echo", closed)
    assert shell("topic", "list", "--json").status == 141
