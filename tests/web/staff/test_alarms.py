"""The banner on every staff page, and the page that says what is safe and what to do."""

from datetime import datetime, timedelta

import pytest

from mailprefs.alarms.kinds import AlarmKind
from mailprefs.deliveries import pace
from mailprefs.policy import Role
from mailprefs.schema.alarms import Alarm
from mailprefs.web.parts import Parts
from tests.factories import stored
from tests.web.conftest import Clock
from tests.web.staff.browsing import Browser

PAGES = ["/staff/campaigns/new", "/staff/people", "/staff/topics", "/staff/team", "/staff/account"]
SAID = "Campaign 7 doesn’t move. No worker is running; start one with `mailprefs run` <b>."
SHOWN = (
    "Campaign 7 doesn’t move. No worker is running; start one with "
    "<code>mailprefs run</code> &lt;b&gt;."
)


def raised(parts: Parts, now: datetime, kind: str = "campaign_stalled", **columns: object) -> int:
    at = now - timedelta(minutes=30)
    values: dict[str, object] = {
        "subject": "campaign 7",
        "sentence": SAID,
        "since": at,
        "raised_at": at,
        "last_seen": now,
    } | columns
    with parts.db.transaction() as session:
        return stored(session, Alarm(kind=kind, **values)).id


@pytest.mark.parametrize("path", PAGES)
def test_every_staff_page_tells_of_an_open_alarm(
    browser: Browser, parts: Parts, clock: Clock, path: str
) -> None:
    browser.sign_in_as(*Role)
    assert 'class="alarms"' not in browser.get(path).text
    number = raised(parts, clock.now)
    page = browser.get(path).text
    assert SHOWN in page
    assert "22 Nov 2026, 09:00 UTC" in page
    assert f'href="/staff/alarms#alarm-{number}"' in page


def test_nobody_else_is_told(browser: Browser, parts: Parts, clock: Clock) -> None:
    raised(parts, clock.now)
    for path in ("/", "/staff/sign-in", "/policy"):
        assert "Campaign 7" not in browser.get(path).text


def test_a_page_without_alarms_is_calm(browser: Browser, parts: Parts, clock: Clock) -> None:
    browser.sign_in_as()
    raised(parts, clock.now, cleared_at=clock.now)
    assert "Campaign 7" not in browser.get("/staff/topics").text
    page = browser.get("/staff/alarms").text
    assert "No alarm is open." in page
    assert SHOWN in page, "it was over lately"


def test_the_page_says_what_is_safe_and_what_to_do(
    browser: Browser, parts: Parts, clock: Clock
) -> None:
    browser.sign_in_as()
    number = raised(parts, clock.now)
    page = browser.get("/staff/alarms").text
    assert f'id="alarm-{number}"' in page
    advice = AlarmKind.CAMPAIGN_STALLED.advice
    assert advice.title in page
    assert "Whoever was sent the message has it once" in page
    assert f"<code>{advice.command}</code>" in page
    assert 'href="/staff/campaigns/7"' in page
    assert 'class="alarms"' not in page, "it is told once"


def test_the_command_is_for_the_campaign_that_it_is_about(
    browser: Browser, parts: Parts, clock: Clock
) -> None:
    browser.sign_in_as()
    raised(parts, clock.now, "schedule_missed")
    assert "<code>mailprefs campaign resume 7</code>" in browser.get("/staff/alarms").text


def test_what_was_mended_is_gone_from_the_page_at_once(
    browser: Browser, parts: Parts, clock: Clock
) -> None:
    browser.sign_in_as(*Role)
    with parts.db.transaction() as session:
        pace.stop(session, "No credits.")
    raised(parts, clock.now, "sending_stopped", subject="", sentence="All sending is stopped: why.")
    assert "All sending is stopped: why." in browser.get("/staff/topics").text
    assert "All sending is stopped: why." not in browser.get("/staff/campaigns").text, (
        "that page tells it itself, with the button"
    )
    assert browser.post("/staff/sending/start").status_code == 303
    assert "All sending is stopped" not in browser.get("/staff/topics").text


def test_a_kind_of_a_later_release_is_shown_too(
    browser: Browser, parts: Parts, clock: Clock
) -> None:
    browser.sign_in_as()
    raised(parts, clock.now, "moon_is_full", subject="", sentence="The moon is full.")
    assert "The moon is full." in browser.get("/staff/topics").text
    assert "The moon is full." in browser.get("/staff/alarms").text


def test_many_alarms_are_two_and_a_number(browser: Browser, parts: Parts, clock: Clock) -> None:
    browser.sign_in_as()
    for n in range(5):
        raised(parts, clock.now, subject=f"campaign {n}", sentence=f"Campaign {n} doesn’t move.")
    page = browser.get("/staff/topics").text
    assert page.count("move.") == 2
    assert "All 5 alarms" in page
