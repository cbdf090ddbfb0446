"""Held campaigns on staff pages: what is unknown, and a decision in two steps without a script."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from mailprefs import audit
from mailprefs.policy import Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver, VendorPace
from mailprefs.vendor.message import Outcome, Verdict
from mailprefs.web.parts import Parts
from tests.sending import NOW, answer, count, freeze_all, state_of, take_one
from tests.web.staff.browsing import Browser

UNCLEAR = Outcome(verdict=Verdict.UNCLEAR, status=503, reason="The vendor <failed> (503).")


@pytest.fixture
def held(parts: Parts, write: Callable[..., int]) -> int:
    """Give the number of a campaign to two people of whom nobody knows whether they got it."""
    number = write()
    db = parts.db
    with db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.SCHEDULED, due_at=NOW))
    freeze_all(db)
    answer(db, take_one(db), UNCLEAR)
    with db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.HELD))
    return number


def test_the_campaign_s_page_says_why_it_is_held_and_leads_on(browser: Browser, held: int) -> None:
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{held}").text
    assert "Whether 2 people got this is unknown" in page
    assert f'href="/staff/campaigns/{held}/unknown"' in page


def test_the_batches_are_listed_and_neither_choice_is_made_by_a_link(
    browser: Browser, parts: Parts, held: int
) -> None:
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{held}/unknown").text
    assert "The vendor &lt;failed&gt; (503)." in page
    for decide in ("resend", "accept"):
        assert f"/staff/campaigns/{held}/unknown?decide={decide}" in page
        assert f'action="/staff/campaigns/{held}/unknown/{decide}"' not in page
        sure = browser.get(f"/staff/campaigns/{held}/unknown?decide={decide}").text
        assert f'action="/staff/campaigns/{held}/unknown/{decide}"' in sure
        assert "No, go back" in sure
    assert count(parts.db, held).unknown == 2


def test_sending_again_says_that_some_may_get_it_twice(
    browser: Browser, parts: Parts, held: int
) -> None:
    browser.sign_in_as(Role.SEND)
    assert "twice" in browser.get(f"/staff/campaigns/{held}/unknown?decide=resend").text
    page = browser.follow(browser.post(f"/staff/campaigns/{held}/unknown/resend", up_to=1))
    assert (
        "2 people of whom it was unknown will be sent it again as soon as sending goes on" in page
    )
    assert count(parts.db, held).pending == 2
    assert state_of(parts.db, held) is CampaignState.SENDING
    answer(parts.db, take_one(parts.db))
    assert "2 possible" in browser.get(f"/staff/campaigns/{held}").text


def test_a_decision_before_events_had_their_time_is_asked_about_in_words(
    browser: Browser, parts: Parts, held: int
) -> None:
    browser.sign_in_as(Role.SEND)
    ended(parts, NOW)
    page = browser.get(f"/staff/campaigns/{held}/unknown").text
    assert "1 call, 2 people" in page
    assert "settled it by 22 Nov 2026, 10:00 UTC, you decide. Until then nothing needs" in page
    sure = browser.get(f"/staff/campaigns/{held}/unknown?decide=resend").text
    told = "Events usually settle this by 22 Nov 2026, 10:00 UTC; deciding now may send it twice."
    assert told in sure
    ended(parts, NOW - timedelta(hours=1))
    assert (
        "usually settle" not in browser.get(f"/staff/campaigns/{held}/unknown?decide=resend").text
    )
    assert "settled it by 22 Nov 2026, 09:00 UTC: you decide." in (
        browser.get(f"/staff/campaigns/{held}/unknown").text
    )


def test_what_has_the_same_reason_stands_together(
    browser: Browser, parts: Parts, write: Callable[..., int]
) -> None:
    number = write()
    with parts.db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.SCHEDULED, due_at=NOW))
    freeze_all(parts.db, batch_size=1)
    for _ in range(2):
        answer(parts.db, take_one(parts.db), UNCLEAR)
    with parts.db.transaction() as session:
        session.execute(update(HandOver).where(HandOver.id == 1).values(ended_at=NOW))
        later = NOW + timedelta(seconds=18)
        session.execute(update(HandOver).where(HandOver.id == 2).values(ended_at=later))
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{number}/unknown").text
    assert "2 calls, 2 people" in page
    assert "22 Nov 2026, 09:30:00 to 09:30:18 UTC" in page
    assert page.count("The vendor &lt;failed&gt; (503).") == 1


def test_a_stop_and_a_wait_stand_on_the_campaign_s_page_at_once(
    browser: Browser, parts: Parts, held: int
) -> None:
    browser.sign_in_as(Role.DRAFT)
    with parts.db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.SENDING))
        session.execute(
            update(VendorPace).values(wait_until=NOW + timedelta(seconds=54), unclear=0)
        )
    page = browser.get(f"/staff/campaigns/{held}/progress").text
    assert "the next try is at 22 Nov 2026, 09:30:54 UTC, by itself." in page
    with parts.db.transaction() as session:
        session.execute(update(VendorPace).values(stopped_at=NOW, stopped_reason="The key is bad."))
    page = browser.get(f"/staff/campaigns/{held}").text
    assert "All sending is stopped since 22 Nov 2026, 09:30 UTC: The key is bad." in page
    assert "<code>mailprefs sending start</code>" in page


def ended(parts: Parts, at: datetime) -> None:
    """Let the call have ended at that instant."""
    with parts.db.transaction() as session:
        session.execute(update(HandOver).values(ended_at=at))


def test_taken_as_sent_is_written_down_with_who_did_it(
    browser: Browser, parts: Parts, held: int
) -> None:
    me = browser.sign_in_as(Role.SEND)
    page = browser.follow(browser.post(f"/staff/campaigns/{held}/unknown/accept", up_to=1))
    assert "2 people are taken as sent, by your decision." in page
    assert count(parts.db, held).sent == 2
    assert state_of(parts.db, held) is CampaignState.FINISHED
    with parts.db.reading() as session:
        entry = audit.of(session, ("campaign", held))[-1]
    assert (entry.action, entry.staff_id) == ("campaign.unknown_accepted", me)


@pytest.mark.parametrize("up_to", ["", "x", "-1", str(1 << 80)])
def test_a_form_that_doesn_t_say_what_was_seen_changes_nothing(
    browser: Browser, parts: Parts, held: int, up_to: str
) -> None:
    browser.sign_in_as(Role.SEND)
    answered = browser.post(f"/staff/campaigns/{held}/unknown/accept", up_to=up_to)
    assert answered.status_code == 400
    assert count(parts.db, held).unknown == 2


def test_what_became_unknown_after_the_page_was_shown_is_not_decided_about(
    browser: Browser, parts: Parts, held: int
) -> None:
    browser.sign_in_as(Role.SEND)
    answered = browser.post(f"/staff/campaigns/{held}/unknown/resend", up_to=0)
    assert answered.status_code == 409
    assert "nothing was changed" in answered.text
    assert count(parts.db, held).unknown == 2


def test_a_double_click_decides_once(browser: Browser, parts: Parts, held: int) -> None:
    browser.sign_in_as(Role.SEND)
    browser.post(f"/staff/campaigns/{held}/unknown/resend", up_to=1)
    assert browser.post(f"/staff/campaigns/{held}/unknown/resend", up_to=1).status_code == 409
    assert count(parts.db, held).pending == 2


def test_whoever_may_not_send_sees_it_and_decides_nothing(browser: Browser, held: int) -> None:
    browser.sign_in_as(Role.DRAFT)
    page = browser.get(f"/staff/campaigns/{held}/unknown?decide=resend").text
    assert "<form" not in page.partition("<main")[2]
    assert "Somebody with the role send decides" in page


def test_an_open_breaker_stands_on_the_campaign_s_page(
    browser: Browser, parts: Parts, held: int
) -> None:
    browser.sign_in_as(Role.DRAFT)
    with parts.db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.SENDING))
        session.execute(update(VendorPace).values(unclear=3, opened_at=NOW, probe_at=NOW))
    page = browser.get(f"/staff/campaigns/{held}/progress").text
    assert "answered nothing clear since 22 Nov 2026, 09:30 UTC" in page
    assert "the next message tries it" in page
