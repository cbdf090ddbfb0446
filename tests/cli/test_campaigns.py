"""Campaigns at the console: what scripts rely on, and what goes wrong in one sentence."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mailprefs import audit
from mailprefs.deliveries import pace, presence
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.sending import SendCount
from tests.campaigns.test_shown import PROMISED
from tests.cli.conftest import ADMIN, Shell

ILSE = "ilse@example.com"
NOTICE = (
    *("campaign", "create", "--topic", "legal", "--subject", "The policy changes"),
    *("--purpose", "policy_change", "--reason", "The policy promises to tell everybody."),
)


def change(shell: Shell, number: int, **values: Any) -> None:  # noqa: ANN401 - columns of campaigns
    db = shell.db
    with db.transaction() as session:
        session.execute(update(Campaign).where(Campaign.id == number).values(**values))
    db.close()


def count(shell: Shell, of: Any = Campaign) -> int:  # noqa: ANN401 - a mapped class
    db = shell.db
    with db.reading() as session:
        n = session.scalar(select(func.count()).select_from(of)) or 0
    db.close()
    return n


def test_create_prints_the_number_and_nothing_else(people: Shell) -> None:
    source = people.write("letter.mjml", MJML)
    said = people("campaign", "create", "--topic", "news", "--subject", "Hi", "--source", source)
    assert (said.status, said.out, said.err) == (0, "1\n", "")
    assert people.ask("campaign", "show", 1)["state"] == "draft"


MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text>"
    "</mj-column></mj-section></mj-body></mjml>"
)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.md", "Hello {{ first_name", "Line 1 of the body"),
        ("a.md", "Hello {% if first_name %}", "if"),
        ("a.md", "Hello {{ salary }}", "salary"),
        ("a.md", "", "body"),
        ("a.md", "Gr\u00fc\u00dfe".encode("latin-1"), "isn't UTF-8 text"),
        ("a.mjml", "<mjml><mj-body>", "Line"),
        ("a.html", "<p>Hello</p>", "Markdown (.md) or MJML (.mjml)"),
        ("", "", "a source is Markdown"),
    ],
)
def test_a_broken_source_is_one_sentence_and_leaves_nothing(
    people: Shell, name: str, content: str | bytes, told: str
) -> None:
    source = people.write(name, content) if name else people.data
    said = people("campaign", "create", "--topic", "news", "--subject", "Hi", "--source", source)
    assert (said.status, said.out, len(said.sentences)) == (2, "", 1), said
    assert told in said.err
    assert count(people) == 0


def test_a_source_that_is_not_there_is_one_sentence(people: Shell) -> None:
    source = people.data / "nothing.md"
    said = people("campaign", "create", "--topic", "news", "--subject", "Hi", "--source", source)
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "No such file" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--topic", "sport"), "Topics: news, legal"),
        (("--topic", "legal"), "give its legal purpose"),
        (("--topic", "news", "--purpose", "account"), "administrative campaigns only"),
        (("--topic", "news", "--purpose", "fun"), "is not one of"),
        (("--topic", "news", "--as", "nobody@example.com"), "Nobody on the staff"),
    ],
)
def test_what_cannot_be_created_is_not(people: Shell, words: tuple[str, ...], told: str) -> None:
    source = people.write("a.md", "Hello.\n")
    said = people("campaign", "create", "--subject", "Hi", "--source", source, *words)
    assert said.status in {1, 2}
    assert told in said.err
    assert count(people) == 0


def test_a_draft_is_changed_in_part(people: Shell, letter: int) -> None:
    people.do("campaign", "edit", letter, "--subject", "Hello again", "--as", ILSE)
    source = people.write("b.mjml", MJML)
    people.do("campaign", "edit", letter, "--source", source, "--name", "Winter")
    one = people.ask("campaign", "show", letter)
    assert (one["name"], one["state"]) == ("Winter", "draft")
    said = people("campaign", "edit", letter, "--source", people.write("c.md", "{{ x }}"))
    assert (said.status, len(said.sentences)) == (2, 1)


def test_saving_again_takes_up_the_senders_new_address(people: Shell, letter: int) -> None:
    assert people("campaign", "check", letter).status == 0
    people.do("sender", "set", "promotional", "--postal-address", "Neuer Weg 2, 10115 Berlin")
    said = people("campaign", "check", letter)
    assert said.status == 1
    assert f"mailprefs campaign edit {letter}" in said.out
    people.do("campaign", "edit", letter)
    assert people("campaign", "check", letter).status == 0


def test_check_says_who_would_get_it_and_exits_1_if_something_is_wrong(
    people: Shell, letter: int
) -> None:
    people.do("subscription", "set", "ada@example.org", "news", "unsubscribed")
    told = people.ask("campaign", "check", letter)
    assert told == {
        "id": letter,
        "message_class": "promotional",
        "chosen": 2,
        "eligible": 1,
        "kept_out": {"unsubscribed": 1},
        "ready": True,
        "checks": [],
    }
    said = people.do("campaign", "check", letter)
    assert "1 of 2 people would get it" in said
    assert "Nothing stands in the way." in said
    people.do("campaign", "edit", letter, "--subject", "For {{ last_name }} *|FNAME|*")
    bad = people("campaign", "check", letter, "--json")
    assert bad.status == 1
    checks = json.loads(bad.out)["checks"]
    assert [(one["code"], one["people"]) for one in checks] == [("unresolved_tag", 1)]
    assert "unresolved_tag (1 person)" in people("campaign", "check", letter).out


def test_a_notice_goes_only_after_a_second_person(people: Shell) -> None:
    source = people.write("n.md", "We changed the policy.\n")
    number = people.do(*NOTICE, "--source", source, "--as", ADMIN)
    unready = people("campaign", "check", number)
    assert unready.status == 1
    assert "approval" in unready.out and "Nothing stands in the way" not in unready.out
    for words, told in (
        (("send", number, "--now"), "isn't approved yet"),
        (("send", number, "--now"), f"mailprefs campaign approve {number} --as ADDRESS"),
        (("approve", number), "--as"),
        (("approve", number, "--as", ADMIN), "a second person"),
    ):
        said = people("campaign", *words)
        assert (said.status, len(said.sentences)) == (1, 1)
        assert told in said.err
    people.do("campaign", "approve", number, "--as", ILSE)
    assert people("campaign", "approve", number, "--as", ILSE).status == 1
    people.do("campaign", "send", number, "--now", "--as", ADMIN)
    assert people.ask("campaign", "show", number)["state"] == "scheduled"


def test_a_send_can_be_taken_back_within_the_delay(people: Shell, letter: int) -> None:
    said = people.do("campaign", "send", letter)
    assert "goes to 2 people at" in said
    assert "UTC, in 1 min" in said
    one = people.ask("campaign", "show", letter)
    due = datetime.fromisoformat(one["due_at"]) - datetime.now(UTC)
    assert (one["state"], one["zone"]) == ("scheduled", None)
    assert timedelta(seconds=30) < due <= timedelta(seconds=60)
    assert people("campaign", "send", letter).status == 1
    assert "nothing was sent" in people.do("campaign", "undo", letter)
    assert people.ask("campaign", "show", letter)["state"] == "draft"
    assert count(people, Delivery) == 0


def test_now_skips_the_delay(people: Shell, letter: int) -> None:
    assert "people now." in people.do("campaign", "send", letter, "--now")
    due = datetime.fromisoformat(people.ask("campaign", "show", letter)["due_at"])
    assert due <= datetime.now(UTC)


def test_a_schedule_is_said_in_local_time_and_shown_both_ways(people: Shell, letter: int) -> None:
    year = datetime.now(UTC).year + 1
    words = ("--at", f"{year}-07-01T09:00", "--zone", "Europe/Berlin")
    said = people.do("campaign", "send", letter, *words)
    assert f"1 Jul {year}, 09:00 CEST (Europe/Berlin; 1 Jul {year}, 07:00:00 UTC), in" in said
    one = people.ask("campaign", "show", letter)
    assert (one["due_at"], one["zone"]) == (f"{year}-07-01T07:00:00+00:00", "Europe/Berlin")
    shown = people.do("campaign", "show", letter)
    assert f"It begins 1 Jul {year}, 09:00 CEST (Europe/Berlin)" in shown
    assert f"1 Jul {year}, 07:00 UTC" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--at", "2099-07-01T09:00"), "a local time and its zone"),
        (("--zone", "Europe/Berlin"), "a local time and its zone"),
        (("--at", "2099-07-01T09:00", "--zone", "Europe/Bern"), "Write the time as"),
        (("--at", "2027-03-28T02:30", "--zone", "Europe/Berlin"), "doesn't exist"),
        (("--at", "2027-10-31T02:30", "--zone", "Europe/Berlin"), "happens twice"),
        (("--at", "2020-07-01T09:00", "--zone", "UTC"), "is past"),
        (("--at", "2099-07-01T09:00", "--zone", "UTC", "--now"), "two times"),
    ],
)
def test_a_schedule_that_is_no_instant_sends_nothing(
    people: Shell, letter: int, words: tuple[str, ...], told: str
) -> None:
    said = people("campaign", "send", letter, *words)
    assert (said.status, len(said.sentences)) == (2, 1)
    assert told in said.err
    assert people.ask("campaign", "show", letter)["state"] == "draft"


def test_a_check_stands_in_the_way_until_it_is_overridden_with_a_reason(
    people: Shell, letter: int
) -> None:
    people.do("campaign", "edit", letter, "--subject", "Hello *|FNAME|*")
    said = people("campaign", "send", letter, "--now")
    assert said.status == 1
    assert "unresolved_tag" in said.err
    assert people("campaign", "send", letter, "--override", "unresolved_tag").status == 2
    people.do(
        *("campaign", "send", letter, "--now", "--override", "unresolved_tag"),
        *("--reason", "It is meant as it stands.", "--as", ADMIN),
    )
    db = people.db
    with db.reading() as session:
        actions = [one.action for one in audit.of(session, ("campaign", letter))]
    db.close()
    assert actions[-2:] == ["campaign.checks_overridden", "campaign.sent"]


def test_a_running_campaign_is_paused_resumed_and_stopped(people: Shell, letter: int) -> None:
    assert people("campaign", "pause", letter).status == 1
    change(people, letter, state=CampaignState.SENDING)
    for act, state in (("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")):
        people.do("campaign", act, letter)
        again = people("campaign", act, letter)
        assert (again.status, len(again.sentences)) == (1, 1)
        db = people.db
        with db.reading() as session:
            assert session.get_one(Campaign, letter).state == state
        db.close()


def test_show_has_the_promised_names_and_reads_well(people: Shell, letter: int) -> None:
    one = people.ask("campaign", "show", letter)
    assert [name for name in one if name in PROMISED] == PROMISED
    said = people.do("campaign", "show", letter)
    assert f"Campaign {letter}: Hello (promotional) is a draft." in said
    assert "chosen" in said and "pending" in said


def test_list_shows_the_newest_first(people: Shell, letter: int) -> None:
    source = people.write("x.md", "Hello.\n")
    words = ("--topic", "news", "--subject", "A [bold] one", "--source", source)
    second = int(people.do("campaign", "create", *words))
    assert [one["id"] for one in people.ask("campaign", "list")] == [second, letter]
    assert "A [bold] one" in people.do("campaign", "list")


def test_an_unknown_campaign_is_one_sentence(people: Shell) -> None:
    for act in ("show", "check", "wait", "send", "cancel", "edit", "approve"):
        for number in ("7", "0", "99999999999999999999"):
            said = people("campaign", act, number)
            assert (said.status, said.out, len(said.sentences)) == (1, "", 1), act
            assert f"There is no campaign {number}." in said.err


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (CampaignState.FINISHED, 0),
        (CampaignState.HELD, 3),
        (CampaignState.PAUSED, 5),
        (CampaignState.CANCELLED, 6),
        (CampaignState.SENDING, 7),
        (CampaignState.FREEZING, 7),
        (CampaignState.DRAFT, 1),
    ],
)
def test_wait_exits_as_the_campaign_ended(
    people: Shell, letter: int, state: CampaignState, status: int
) -> None:
    change(people, letter, state=state, started_at=datetime.now(UTC))
    assert people("campaign", "wait", letter, "--timeout", "0").status == status


def test_wait_says_at_the_end_where_everybody_is(people: Shell, letter: int) -> None:
    change(people, letter, state=CampaignState.FINISHED, started_at=datetime.now(UTC))
    assert people.do("campaign", "wait", letter) == (
        f"Campaign {letter} is finished: 0 frozen = 0 sent + 0 skipped + 0 failed + 0 unknown"
        " + 0 pending."
    )


def test_wait_tells_how_far_it_is_where_nobody_watches_a_bar(people: Shell, letter: int) -> None:
    people.do("campaign", "send", letter)
    said = people("campaign", "wait", letter, "--timeout", "1")
    assert (said.status, said.err) == (7, f"Campaign {letter} is scheduled.\n")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_wait_refuses_a_time_that_never_comes(people: Shell, letter: int, seconds: str) -> None:
    people.do("campaign", "send", letter)
    said = people("campaign", "wait", letter, "--timeout", seconds)
    assert (said.status, "--timeout" in said.err) == (2, True)


def test_wait_says_when_a_campaign_is_stalled(people: Shell, letter: int) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    change(people, letter, state=CampaignState.FREEZING, started_at=hour_ago)
    said = people("campaign", "wait", letter)
    assert said.status == 4
    assert said.err.startswith("Stalled: No worker is running")
    assert people.ask("campaign", "show", letter)["state"] == "stalled"


def test_a_test_that_cannot_be_handed_over_says_so(people: Shell, letter: int) -> None:
    said = people("campaign", "test", letter, "marta@example.com", "--person", "ada@example.org")
    assert (said.status, len(said.sentences)) == (1, 1)
    assert "The test wasn't accepted" in said.err
    assert "marta" not in said.err
    for words, status in (
        ((letter, "marta"), 2),
        ((letter, "m@example.com", "--person", "nobody@example.com"), 1),
    ):
        assert people("campaign", "test", *words).status == status


def test_staging_sends_tests_to_its_allow_list_only(people: Shell, letter: int) -> None:
    people.set(ENVIRONMENT="staging", ALLOW_LIST="@example.net")
    said = people("campaign", "test", letter, "marta@example.com")
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "MAILPREFS_ALLOW_LIST" in said.err


def test_stopped_sending_says_why_and_goes_on_when_told(people: Shell) -> None:
    told = people.ask("sending", "show")
    assert (told["stopped"], told["waits_until"], told["limits"]) == (None, None, [])
    assert people.do("sending", "show").startswith("No process that sends is running")
    db = people.db
    with db.transaction() as session:
        pace.turn(session)
        pace.wait_for_all(session, seconds=100)
    assert "; the next try is at " in people.do("sending", "show")
    with db.transaction() as session:
        pace.stop(session, "The key was refused.")
    db.close()
    assert people.ask("sending", "show")["stopped"] == "The key was refused."
    assert "mailprefs sending start" in people.do("sending", "show")
    assert people("sending", "start", "--as", ILSE).status == 1
    people.do("sending", "start", "--as", ADMIN)
    told = people.ask("sending", "show")
    assert (told["stopped"], told["waits_until"]) == (None, None)


def test_a_stop_and_a_wait_are_told_by_the_campaign_at_once(people: Shell, letter: int) -> None:
    now = datetime.now(UTC)
    change(people, letter, state=CampaignState.FREEZING, started_at=now)
    db = people.db
    with db.transaction() as session:
        pace.turn(session)
        pace.wait_for_all(session, seconds=100)
    said = people.do("campaign", "show", letter)
    assert "The vendor takes nothing at the moment; the next try is at " in said
    assert ", by itself." in said
    assert people.ask("campaign", "show", letter)["waits_until"] is not None
    with db.transaction() as session:
        pace.stop(session, "The key was refused.")
    db.close()
    told = people.do("campaign", "show", letter)
    assert "All sending is stopped since " in told
    assert ": The key was refused. Once that is mended: `mailprefs sending start`." in told
    shown = people.ask("campaign", "show", letter)
    assert (shown["stopped"], shown["waits_until"]) == ("The key was refused.", None)
    waited = people("campaign", "wait", letter, "--timeout", "0")
    assert waited.status == 7
    assert "All sending is stopped since " in waited.err
    assert "All sending is stopped since " in waited.out


def test_waiting_for_a_paused_campaign_ends_with_the_next_step(people: Shell, letter: int) -> None:
    change(people, letter, state=CampaignState.PAUSED)
    said = people("campaign", "wait", letter)
    assert said.status == 5
    assert said.out.rstrip().endswith(f"To go on: mailprefs campaign resume {letter}")


def test_keeping_to_a_rate_a_second_is_no_hindrance(people: Shell) -> None:
    people.set(SEND_RATE="60")
    db, now = people.db, datetime.now(UTC)
    at = {"turn_at": now + timedelta(hours=1), "hour_at": now, "day_at": now}
    with db.transaction() as session:
        session.add(SendCount(name="all", turn_n=60, hour_n=60, day_n=60, **at))
    assert people.do("sending", "show").startswith(
        "No process that sends is running; start one: mailprefs run, or mailprefs worker.\n"
        "Nothing else keeps mail from going out."
    )
    with db.transaction() as session:
        presence.seen(session, "here:1")
    db.close()
    assert people.do("sending", "show").startswith("Going at 60 a second.")


def test_of_a_time_that_happens_twice_either_is_said(people: Shell, letter: int) -> None:
    words = ("campaign", "send", letter, "--at", "2029-10-28T02:30", "--zone", "Europe/Berlin")
    said = people(*words)
    assert said.status == 2
    assert "--occurrence first or --occurrence second" in said.err
    people.do(*words, "--occurrence", "second")
    assert people.ask("campaign", "show", letter)["due_at"] == "2029-10-28T01:30:00+00:00"


def test_how_soon_a_send_begins_is_shown(people: Shell, letter: int) -> None:
    people.do("campaign", "send", letter)
    assert re.search(
        r"It begins .* UTC, in (\d\d s|1 min)\.", people.do("campaign", "show", letter)
    )


def test_how_much_of_the_limits_is_used_is_shown(people: Shell) -> None:
    people.set(SEND_LIMITS="1000/hour", PROMOTIONAL_LIMITS="20/day")
    db = people.db
    now = datetime.now(UTC)
    at = {"turn_at": now, "hour_at": now, "day_at": now}
    with db.transaction() as session:
        session.add(SendCount(name="promotional", turn_n=20, hour_n=20, day_n=20, **at))
    db.close()
    told = people.ask("sending", "show")["limits"]
    assert [(one["of"], one["period"], one["used"], one["most"]) for one in told] == [
        ("all", "hour", 0, 1_000),
        ("promotional", "day", 20, 20),
    ]
    assert told[0]["goes_on_at"] is None
    assert told[1]["goes_on_at"].endswith("T00:00:00+00:00")
    shown = people.do("sending", "show")
    assert "20 of 20 a day" in shown
    assert "00:00:00 UTC" in shown
