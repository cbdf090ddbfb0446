"""From review to sent, and back: typed counts, second persons, undo, pause, stop."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from pydantic import SecretStr

from mailprefs import audit
from mailprefs.app import create_app
from mailprefs.campaigns import schedule
from mailprefs.deliveries import pace
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.sending import SendCount
from mailprefs.vendor.message import Mailing, Outcome, Verdict
from mailprefs.web.parts import Parts
from mailprefs.web.staff import sending
from tests.web.conftest import Clock
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House

Write = Callable[..., int]


class Vendor:
    """A vendor that takes everything and remembers it."""

    def __init__(self) -> None:
        self.taken: list[Mailing] = []
        self.outcome = Outcome(verdict=Verdict.ACCEPTED, status=202, message_id="m")

    def hand_over(self, mailing: Mailing) -> Outcome:
        self.taken.append(mailing)
        return self.outcome

    def close(self) -> None: ...


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def app(parts: Parts, vendor: Vendor) -> Flask:
    """Give an installation that has a vendor and its key, so that nothing stands in the way."""
    settings = parts.settings.model_copy(update={"sendgrid_api_key": SecretStr("SG.test")})
    return create_app(replace(parts, vendor=vendor, settings=settings))


def campaign(parts: Parts, number: int) -> Campaign:
    with parts.db.reading() as session:
        return session.get_one(Campaign, number)


def put(parts: Parts, number: int, state: CampaignState) -> None:
    with parts.db.transaction() as session:
        session.get_one(Campaign, number).state = state


def reviewed(number: int, *, eligible: int = 2, revision: int = 1) -> dict[str, object]:
    del number
    return {"eligible": eligible, "revision": revision, "when": "now"}


def send(browser: Browser, number: int, **form: object) -> tuple[int, str]:
    response = browser.post(f"/staff/campaigns/{number}/send", **reviewed(number) | form)
    return response.status_code, response.text


def test_the_review_says_who_gets_it_who_not_and_why(browser: Browser, write: Write) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{number}/review").text
    assert "Send to 2 people" in page
    assert "Unsubscribed" in page
    assert "Nothing stands in the way" in page


def test_a_send_waits_for_the_undo_delay_and_can_be_taken_back(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    assert send(browser, number)[0] == 303
    waiting = campaign(parts, number)
    assert waiting.state is CampaignState.SCHEDULED
    assert waiting.due_at == clock.now + timedelta(seconds=60)
    assert "Take it back" in browser.get(f"/staff/campaigns/{number}").text
    told = browser.follow(browser.post(f"/staff/campaigns/{number}/undo"))
    assert "nothing was sent" in told
    assert campaign(parts, number).state is CampaignState.DRAFT


def test_a_double_click_sends_once(browser: Browser, write: Write) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    assert send(browser, number)[0] == 303
    status, page = send(browser, number)
    assert status == 409
    assert "is scheduled" in page


def test_a_schedule_is_a_local_time_in_its_zone(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    later = {"when": "later", "at": "2027-03-28T09:00", "zone": "Europe/Berlin"}
    assert send(browser, number, **later)[0] == 303
    assert campaign(parts, number).due_at == datetime(2027, 3, 28, 7, 0, tzinfo=UTC)
    assert campaign(parts, number).zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2027-03-28T02:30 Europe/Berlin", "exist"),
        ("2027-10-31T02:30 Europe/Berlin", "twice"),
        ("2026-01-01T09:00 Europe/Berlin", "past"),
        (" Europe/Berlin", "2027-03-28T09:00"),
        ("2027-03-28T09:00 Europe/Atlantis", "2027-03-28T09:00"),
    ],
)
def test_a_time_that_nobody_can_mean_sends_nothing(
    browser: Browser, write: Write, parts: Parts, time: str, told: str
) -> None:
    at, zone = time.split(" ")
    number = write()
    browser.sign_in_as(Role.SEND)
    status, page = send(browser, number, when="later", at=at, zone=zone)
    assert status == 400
    assert told in page
    assert campaign(parts, number).state is CampaignState.DRAFT


def test_a_campaign_that_changed_since_the_review_is_not_sent(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND, Role.DRAFT)
    browser.post(
        f"/staff/campaigns/{number}/edit",
        topic="newsletter",
        subject="Changed",
        body="Hello.",
        format="markdown",
    )
    status, page = send(browser, number, revision=1)
    assert status == 409
    assert "changed this campaign since you looked" in page
    assert campaign(parts, number).state is CampaignState.DRAFT


@pytest.mark.parametrize("eligible", ["", "x", "-1"])
def test_a_send_without_a_review_is_refused(browser: Browser, write: Write, eligible: str) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    assert send(browser, number, eligible=eligible)[0] == 409


@pytest.mark.parametrize(
    ("typed", "status"), [("", 400), ("3", 400), ("2", 303), ("2 ", 303), ("two", 400)]
)
def test_many_people_are_reached_only_by_typing_how_many(
    browser: Browser, write: Write, monkeypatch: pytest.MonkeyPatch, typed: str, status: int
) -> None:
    monkeypatch.setattr(sending, "MANY", 1)
    number = write()
    browser.sign_in_as(Role.SEND)
    assert "Type the number of people" in browser.get(f"/staff/campaigns/{number}/review").text
    assert send(browser, number, typed=typed)[0] == status


def test_an_audience_that_grew_since_the_review_is_looked_at_again(
    browser: Browser, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MANY", 1)
    number = write()
    browser.sign_in_as(Role.SEND)
    status, page = send(browser, number, eligible=1, typed="1")
    assert status == 409
    assert "has grown to 2" in page


def test_a_check_is_passed_over_only_with_a_reason_which_is_audited(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write(body="Hello {{ first_name }},\n\nthe new tea is here.\n")
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{number}/review").text
    assert "1 person" in page
    assert send(browser, number)[0] == 409
    code = "field_without_fallback"
    assert send(browser, number, override=code)[0] == 400
    reason = "They are met in person and know that we forgot."
    assert send(browser, number, override=code, reason=reason)[0] == 303
    with parts.db.reading() as session:
        noted = audit.of(session, ("campaign", number))
    assert [one.reason for one in noted if one.action == "campaign.checks_overridden"] == [reason]


def test_what_protects_people_can_not_be_passed_over(
    browser: Browser, write: Write, parts: Parts, house: House
) -> None:
    from mailprefs.schema.people import Sender, Topic  # noqa: PLC0415 - one test's own damage

    number = write()
    with parts.db.transaction() as session:
        topic = session.get_one(Topic, house.newsletter_id)
        session.get_one(Sender, topic.sender_id).postal_address = ""
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{number}/review").text
    assert "nobody can pass over them" in page
    assert "Send to" not in page
    reason = "We are in a hurry and it is only once."
    status, _ = send(browser, number, override="missing_postal_address", reason=reason)
    assert status == 409


def test_administrative_mail_needs_somebody_who_did_not_write_it(
    browser: Browser, write: Write, parts: Parts, house: House, app: Flask
) -> None:
    number = write("account")
    browser.sign_in_as(Role.SEND, Role.APPROVE)
    assert "Nobody has approved" in browser.get(f"/staff/campaigns/{number}/review").text
    assert send(browser, number, eligible=3)[0] == 403
    unread = browser.post(f"/staff/campaigns/{number}/approve", revision="2")
    assert (unread.status_code, campaign(parts, number).approved_at) == (409, None)
    read = browser.post(f"/staff/campaigns/{number}/approve", revision="1")
    assert read.status_code == 303
    assert send(browser, number, eligible=3)[0] == 303
    assert campaign(parts, number).approver_id == browser.staff_id


def test_the_author_is_not_offered_the_approval_and_can_not_force_it(
    browser: Browser, house: House, parts: Parts
) -> None:
    browser.sign_in_as(Role.DRAFT, Role.APPROVE)
    browser.post(
        "/staff/campaigns/new",
        topic="account",
        subject="Your account moves",
        body="It moves.",
        format="markdown",
        purpose="account",
        reason="Everybody's account moves.",
    )
    assert "/approve" not in browser.get("/staff/campaigns/1").text
    response = browser.post("/staff/campaigns/1/approve", revision="1")
    assert response.status_code == 403
    assert "second person" in response.text
    assert campaign(parts, 1).message_class is MessageClass.ADMINISTRATIVE
    assert campaign(parts, 1).approved_at is None


def test_a_running_campaign_is_paused_goes_on_and_is_stopped(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    put(parts, number, CampaignState.SENDING)
    browser.sign_in_as(Role.SEND)
    path = f"/staff/campaigns/{number}"
    assert "Paused" in browser.follow(browser.post(f"{path}/pause"))
    assert campaign(parts, number).state is CampaignState.PAUSED
    assert "where it stopped" in browser.follow(browser.post(f"{path}/resume"))
    assert campaign(parts, number).state is CampaignState.SENDING
    assert "Stopped for good" in browser.follow(browser.post(f"{path}/cancel"))
    assert campaign(parts, number).state is CampaignState.CANCELLED
    refused = browser.post(f"{path}/resume")
    assert refused.status_code == 409
    assert "only one that is paused" in refused.text


def test_when_all_sending_stands_the_list_says_why_and_lets_it_go_on(
    browser: Browser, parts: Parts
) -> None:
    with parts.db.transaction() as session:
        pace.stop(session, "The vendor says that the key is not valid.")
    browser.sign_in_as(Role.ANALYSE)
    page = browser.get("/staff/campaigns").text
    assert "the key is not valid" in page
    assert "It is mended" not in page
    browser.sign_in_as(Role.SEND)
    assert "It is mended" in browser.get("/staff/campaigns").text
    assert "stopped" not in browser.follow(browser.post("/staff/sending/start"))
    with parts.db.reading() as session:
        assert pace.show(session).stopped_at is None


def test_a_test_goes_to_the_address_asked_for_and_counts_nowhere(
    browser: Browser, write: Write, parts: Parts, vendor: Vendor
) -> None:
    number = write()
    browser.sign_in_as(Role.DRAFT)
    response = browser.post(f"/staff/campaigns/{number}/test", address="colleague@example.com")
    assert "handed over" in browser.follow(response)
    (mailing,) = vendor.taken
    assert [one.address for one in mailing.people] == ["colleague@example.com"]
    assert campaign(parts, number).frozen == 0
    assert campaign(parts, number).state is CampaignState.DRAFT


def test_a_test_that_the_vendor_refuses_says_why(
    browser: Browser, write: Write, vendor: Vendor
) -> None:
    number = write()
    vendor.outcome = Outcome(verdict=Verdict.NOT_ALLOWED, reason="the key is not valid")
    browser.sign_in_as(Role.DRAFT)
    for address, status, told in [
        ("colleague@example.com", 409, "the key is not valid"),
        ("no address", 400, "address"),
    ]:
        response = browser.post(f"/staff/campaigns/{number}/test", address=address)
        assert response.status_code == status
        assert told in response.text


def test_of_a_time_that_happens_twice_the_page_lets_choose(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    assert "If that time happens twice" not in browser.get(f"/staff/campaigns/{number}/review").text
    later = {"when": "later", "at": "2027-10-31T02:30", "zone": "Europe/Berlin"}
    status, page = send(browser, number, **later)
    assert status == 400
    assert "first at 31 Oct 2027, 00:30 UTC, then at 31 Oct 2027, 01:30 UTC" in page
    assert "If that time happens twice" in page
    assert send(browser, number, **later, occurrence="second")[0] == 303
    due = campaign(parts, number).due_at
    assert due is not None
    assert due.isoformat() == "2027-10-31T01:30:00+00:00"


def test_until_it_begins_the_page_counts_down_and_then_shows_how_it_goes(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    send(browser, number)
    assert ", in 1 min</strong>" in browser.get(f"/staff/campaigns/{number}").text
    clock.now += timedelta(seconds=18)
    part = browser.get(f"/staff/campaigns/{number}/begins").text
    assert ", in 42 s</strong>" in part
    assert 'data-state="scheduled"' in part
    put(parts, number, CampaignState.FREEZING)
    assert 'data-state="still"' in browser.get(f"/staff/campaigns/{number}/begins").text


def test_what_was_missed_is_sent_now_or_taken_back(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    numbers = [write(), write()]
    browser.sign_in_as(Role.SEND)
    for number in numbers:
        send(browser, number)
    clock.now += timedelta(hours=5)
    with parts.db.transaction() as session:
        assert schedule.hold_missed(session, now=clock.now, grace=3_600) == numbers
    page = browser.get(f"/staff/campaigns/{numbers[0]}").text
    assert "<strong>Missed.</strong> It was to begin at" in page
    assert "Send it now" in page
    assert "Take it back" in page
    assert browser.post(f"/staff/campaigns/{numbers[0]}/resume").status_code == 303
    assert browser.post(f"/staff/campaigns/{numbers[1]}/undo").status_code == 303
    assert campaign(parts, numbers[0]).due_at == clock.now
    assert campaign(parts, numbers[0]).state is CampaignState.SCHEDULED
    assert campaign(parts, numbers[1]).state is CampaignState.DRAFT


class TestLimits:
    @pytest.fixture
    def app(self, parts: Parts) -> Flask:
        given = {"send_limits": "1000/hour", "promotional_limits": "20/day"}
        return create_app(replace(parts, settings=parts.settings.model_copy(update=given)))

    def test_how_much_of_the_limits_is_used_stands_under_the_campaigns(
        self, browser: Browser, parts: Parts
    ) -> None:
        browser.sign_in_as(Role.ANALYSE)
        assert "0 of 1,000" in browser.get("/staff/campaigns").text
        with parts.db.transaction() as session:
            now = datetime.now(UTC)
            at = {"turn_at": now, "hour_at": now, "day_at": now}
            session.add(SendCount(name="promotional", turn_n=20, hour_n=20, day_n=20, **at))
        page = browser.get("/staff/campaigns/rows").text
        assert "Promotional mail, a day" in page
        assert "20 of 20: full, goes on" in page
