"""How a campaign stands, in one word and on record: overdue, missed, stopped; and what happened."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailprefs import audit
from mailprefs.alarms import keeping
from mailprefs.campaigns import schedule
from mailprefs.deliveries import pace, presence
from mailprefs.jobs.alarms import look_again
from mailprefs.policy import Role
from mailprefs.schema.alarms import Alarm
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver, VendorPace
from mailprefs.vendor.message import Outcome, Verdict
from mailprefs.web.parts import Parts
from tests.factories import stored
from tests.sending import answer, freeze_all, take_one
from tests.web.conftest import Clock
from tests.web.staff.browsing import Browser
from tests.web.staff.test_campaigns import begun

Write = Callable[..., int]
UNCLEAR = Outcome(verdict=Verdict.UNCLEAR, reason="No answer came.")
BADGE = re.compile(r'<span class="badge [a-z]*">([^<]+)</span>')
HISTORY = re.compile(r'<ol class="history">(.*?)</ol>', re.DOTALL)


def put(parts: Parts, number: int, **columns: object) -> None:
    with parts.db.transaction() as session:
        session.execute(update(Campaign).where(Campaign.id == number).values(columns))


def badges(browser: Browser, number: int) -> set[str]:
    """Give the words on the badges of a campaign: on its page, and in the list."""
    pages = (browser.get(f"/staff/campaigns/{number}").text, browser.get("/staff/campaigns").text)
    return {BADGE.findall(page)[0] for page in pages}


def looked(parts: Parts) -> list[str]:
    look_again(parts.db, parts.settings, now=parts.clock())
    return open_now(parts)


def open_now(parts: Parts) -> list[str]:
    with parts.db.reading() as session:
        return [one.kind for one in keeping.open_now(session)]


def test_a_campaign_that_is_late_says_how_late_and_why(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    put(parts, number, state=CampaignState.SCHEDULED, due_at=clock.now)
    clock.now += timedelta(seconds=8)
    assert ", now</strong>" in browser.get(f"/staff/campaigns/{number}/begins").text
    clock.now += timedelta(seconds=52)
    page = browser.get(f"/staff/campaigns/{number}").text
    assert "<strong>Overdue.</strong> It was to begin" in page
    assert ", overdue by 1 min</strong>" in page
    assert "No worker is running; start one with <code>mailprefs run</code>." in page
    assert ", now" not in page
    assert badges(browser, number) == {"Overdue"}
    assert "was to begin" in browser.get("/staff/campaigns").text
    with parts.db.transaction() as session:
        presence.seen(session, "here:1")
    assert "Workers are running" in browser.get(f"/staff/campaigns/{number}/begins").text


def test_missed_is_one_word_everywhere_and_its_alarm_ends_with_the_decision(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    put(parts, number, state=CampaignState.SCHEDULED, due_at=clock.now - timedelta(hours=2))
    with parts.db.transaction() as session:
        assert schedule.hold_missed(session, now=clock.now, grace=3_600) == [number]
    assert looked(parts) == ["schedule_missed"]
    assert badges(browser, number) == {"Missed"}
    page = browser.get("/staff/alarms").text
    assert f"Campaign {number} was missed" in page
    assert f'href="/staff/campaigns/{number}">Decide on the campaign’s page</a>' in page
    missed = browser.get(f"/staff/campaigns/{number}").text
    assert "Who would get it" in missed and ">Opens<" not in missed, "nothing of it has begun"
    assert f"Campaign {number} was missed" in browser.get("/staff/topics").text
    assert browser.post(f"/staff/campaigns/{number}/resume").status_code == 303
    assert open_now(parts) == []
    assert f"Campaign {number} was missed" not in browser.get("/staff/topics").text


@pytest.mark.parametrize("decision", ["resend", "accept"])
def test_an_alarm_of_what_is_unknown_ends_with_the_decision(
    browser: Browser, write: Write, parts: Parts, clock: Clock, decision: str
) -> None:
    number = write()
    put(parts, number, state=CampaignState.SCHEDULED, due_at=clock.now)
    freeze_all(parts.db)
    answer(parts.db, take_one(parts.db), UNCLEAR)
    with parts.db.transaction() as session:
        session.execute(update(HandOver).values(ended_at=clock.now - timedelta(days=1)))
        session.execute(update(Campaign).values(state=CampaignState.HELD))
    assert looked(parts) == ["unknown_waiting"]
    browser.sign_in_as(Role.SEND)
    page = browser.get("/staff/alarms").text
    assert f'href="/staff/campaigns/{number}/unknown">See what is unknown, and decide</a>' in page
    with parts.db.reading() as session:
        (newest,) = session.scalars(select(HandOver.id))
    path = f"/staff/campaigns/{number}/unknown/{decision}"
    assert browser.post(path, up_to=newest).status_code == 303
    assert open_now(parts) == []


def test_the_page_that_mends_it_is_linked_for_whoever_may(
    browser: Browser, parts: Parts, clock: Clock
) -> None:
    at = clock.now
    with parts.db.transaction() as session:
        told = {"subject": "", "sentence": "Stopped.", "since": at, "raised_at": at}
        stored(session, Alarm(kind="sending_stopped", last_seen=at, **told))
        pace.stop(session, "No credits.")
    browser.sign_in_as(Role.ANALYSE)
    page = browser.get("/staff/alarms").text
    assert "Let sending go on" not in page
    assert "mailprefs sending start" in page
    browser.sign_in_as(Role.SEND)
    linked = 'href="/staff/campaigns">Let sending go on</a>'
    assert linked in browser.get("/staff/alarms").text
    assert browser.post("/staff/sending/start").status_code == 303
    assert open_now(parts) == []


def test_while_all_sending_is_stopped_no_campaign_is_called_sending(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    begun(parts, number)
    browser.sign_in_as(Role.SEND)
    assert badges(browser, number) == {"Sending"}
    sending = browser.get(f"/staff/campaigns/{number}/progress").text
    assert 'data-state="sending"' in sending
    with parts.db.transaction() as session:
        pace.wait_for_all(session, seconds=600)
        session.execute(update(VendorPace).values(wait_until=clock.now + timedelta(seconds=60)))
    assert badges(browser, number) == {"Waiting"}
    with parts.db.transaction() as session:
        pace.stop(session, "The key was refused.")
    assert badges(browser, number) == {"Sending stopped"}
    part = browser.get(f"/staff/campaigns/{number}/progress").text
    assert 'data-state="sending stopped"' in part, "the page is loaded again, badge and all"
    assert "It is mended: go on" in part


def test_the_history_tells_what_became_of_a_campaign_by_itself(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    put(parts, number, state=CampaignState.SCHEDULED, due_at=clock.now)
    freeze_all(parts.db)
    answer(parts.db, take_one(parts.db), UNCLEAR)
    now, minute = clock.now, timedelta(minutes=1)
    put(parts, number, state=CampaignState.HELD, started_at=now)
    with parts.db.transaction() as session:
        session.execute(update(HandOver).values(ended_at=now + minute))
        for at, action in ((1, "stopped"), (2, "started"), (90, "stopped"), (-9, "stopped")):
            when = now + at * minute
            audit.record(session, audit.SYSTEM, f"sending.{action}", ("vendor", "pace"), now=when)
        stalled = {"since": now + 3 * minute, "raised_at": now, "last_seen": now}
        told = {"kind": "campaign_stalled", "sentence": "It doesn't move.", **stalled}
        ended = now + 4 * minute
        stored(session, Alarm(subject=f"campaign {number}", cleared_at=ended, **told))
        stored(session, Alarm(subject=f"campaign {number + 10}", **told))
    browser.sign_in_as()
    assert "held, as only what is unknown is left" in happened(browser, number)[3]
    put(parts, number, state=CampaignState.FINISHED, finished_at=now + 5 * minute)
    assert happened(browser, number) == [
        "Campaign: created",
        "Campaign: begun",
        "Unclear answer: whether 2 people got it",
        "All sending stopped",
        "All sending let go on",
        "Campaign: stalled",
        "Campaign: not stalled any more",
        "Campaign: finished",
    ]


def happened(browser: Browser, number: int) -> list[str]:
    """Give what the page's history tells, the first first."""
    found = HISTORY.search(browser.get(f"/staff/campaigns/{number}").text)
    assert found
    return re.findall(r"<strong>([^<]+)</strong>", found[1])[::-1]


def test_a_running_campaigns_preview_waits_until_it_is_asked_for(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    browser.sign_in_as()
    preview = re.compile(r"<details( open)?>\s*<summary>As most people see it")
    path = f"/staff/campaigns/{number}"
    draft = preview.search(browser.get(path).text)
    assert draft and draft[1]
    begun(parts, number)
    for asked, is_open in (("", False), ("?person=nameless", True)):
        found = preview.search(browser.get(f"{path}{asked}").text)
        assert found and bool(found[1]) is is_open


def test_staff_who_follow_a_dead_link_stay_on_their_pages(browser: Browser) -> None:
    stranger = browser.get("/staff/nowhere/at/all")
    assert stranger.status_code == 303
    assert stranger.headers["Location"].startswith("/staff/sign-in")
    browser.sign_in_as(Role.SEND)
    for path in ("/staff/nowhere/at/all", "/staff/campaigns/4711", "/staff/campaigns/x"):
        answered = browser.get(path)
        assert answered.status_code == 404
        assert "There is nothing here" in answered.text
        assert 'aria-label="Main"' in answered.text, "with the way back"
