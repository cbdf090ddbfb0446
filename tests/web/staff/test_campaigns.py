"""What the campaign pages show: sums that add up, the state and its cause, honest opens."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from mailprefs import audit
from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.policy import Role
from mailprefs.reports import releases
from mailprefs.reports.campaigns import find
from mailprefs.reports.cells import USUAL
from mailprefs.schema.campaigns import Campaign, CampaignState, KeptOut
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, OwnState
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import MeasuredTotal
from mailprefs.web.parts import Parts
from tests.factories import make_campaign, make_recipient, make_topic
from tests.web.conftest import Clock
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House

Write = Callable[..., int]
FIGURE = re.compile(r'<span class="figure">([\d,]+)</span><span>([a-z ]+)</span>')


def begun(parts: Parts, number: int, state: CampaignState = CampaignState.SENDING) -> None:
    """Let a draft go to 11: 6 sent, 1 skipped, 2 failed, 1 unknown, 1 pending."""
    now = parts.clock()
    with parts.db.transaction() as session:
        campaign = session.get_one(Campaign, number)
        campaign.state, campaign.chosen, campaign.frozen = state, 15, 11
        campaign.started_at = campaign.first_hand_over_at = now - timedelta(seconds=30)
        session.add(KeptOut(campaign_id=number, reason="unsubscribed", n=4))
        first = number << 32
        states = [BatchState.SENT] * 9 + [BatchState.UNKNOWN, BatchState.PENDING]
        own = {7: (OwnState.SKIPPED, "unsubscribed"), 8: (OwnState.FAILED, "refused_address")}
        own[9] = own[8]
        for ordinal, batch_state in enumerate(states, start=1):
            state_of, why = own.get(ordinal, (None, None))
            session.add(
                Batch(
                    campaign_id=number,
                    content_id=1,
                    priority=0,
                    first_id=first | ordinal,
                    last_id=first | ordinal,
                    n=1,
                    own=1 if state_of else 0,
                    state=batch_state,
                )
            )
            session.add(
                Delivery(
                    id=first | ordinal,
                    campaign_id=number,
                    recipient_id=ordinal,
                    policy_version_id=1,
                    own_state=state_of,
                    own_reason=why,
                )
            )
        session.add(MailboxTotal(campaign_id=number, event="delivered", n=6))


def measured(parts: Parts, number: int, totals: dict[int, int]) -> None:
    with parts.db.transaction() as session:
        for bits, n in totals.items():
            session.add(MeasuredTotal(campaign_id=number, bits=bits, n=n))


def test_before_the_first_campaign_the_page_says_what_one_is(browser: Browser) -> None:
    browser.sign_in_as(Role.DRAFT)
    page = browser.get("/staff/campaigns").text
    assert "No campaign yet" in page
    assert "Write the first one" in page


def test_the_list_shows_state_class_and_progress(
    browser: Browser, write: Write, parts: Parts
) -> None:
    begun(parts, write())
    write("account", "Your account moves")
    browser.sign_in_as(Role.ANALYSE)
    page = browser.get("/staff/campaigns").text
    assert "Sending" in page
    assert "<strong>6</strong> of 11 sent" in page
    assert "1 skipped" in page and "2 failed" in page and "1 unknown" in page
    assert 'max="11" value="9"' in page
    assert "administrative" in page and "Waits for a second person" in page


def test_the_sums_stand_as_two_equations_that_hold(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    begun(parts, number)
    browser.sign_in_as(Role.ANALYSE)
    for path in (f"/staff/campaigns/{number}", f"/staff/campaigns/{number}/progress"):
        page = browser.get(path).text
        found = [(label, int(n.replace(",", ""))) for n, label in FIGURE.findall(page)]
        assert found == [
            ("chosen", 15), ("frozen", 11), ("kept out", 4),
            ("frozen", 11), ("sent", 6), ("skipped", 1), ("failed", 2), ("unknown", 1),
            ("pending", 1),
        ]  # fmt: skip
        assert "The vendor doesn’t take the address" in page


def test_a_moving_page_reloads_itself_without_script_and_stands_still_when_done(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    begun(parts, number)
    browser.sign_in_as(Role.ANALYSE)
    for path in ("/staff/campaigns", f"/staff/campaigns/{number}"):
        page = browser.get(path).text
        assert '<noscript><meta http-equiv="refresh"' in page
        assert "data-moving" in page
    with parts.db.transaction() as session:
        session.get_one(Campaign, number).state = CampaignState.FINISHED
    page = browser.get(f"/staff/campaigns/{number}").text
    assert 'http-equiv="refresh"' not in page
    assert "<script" not in page
    assert 'data-state="still"' in browser.get(f"/staff/campaigns/{number}/progress").text


def test_no_page_holds_script_or_style_of_its_own(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    begun(parts, number)
    browser.sign_in_as(*Role)
    paths = ["", "/campaigns/new", f"/campaigns/{number}", f"/campaigns/{number}/review"]
    paths += ["/campaigns", "/people", "/topics", "/team", "/audit", "/account", "/sign-in"]
    for path in paths:
        response = browser.get(f"/staff{path}")
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        for inline in re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", response.text):
            pytest.fail(f"{path} holds {inline}")
        elsewhere = re.findall(r'(?:src|href)="(?:https?:)?//[^"]+"', response.text)
        assert elsewhere == []


def test_a_campaign_that_should_move_and_does_not_is_called_stalled(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    begun(parts, number)
    clock.now += timedelta(minutes=5)
    browser.sign_in_as(Role.ANALYSE)
    page = browser.get(f"/staff/campaigns/{number}").text
    assert "Stalled" in page
    assert "No worker is running" in page
    assert "Stalled" in browser.get("/staff/campaigns").text


def test_why_mailprefs_paused_a_campaign_stands_on_its_page(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    begun(parts, number, CampaignState.PAUSED)
    with parts.db.transaction() as session:
        session.get_one(Campaign, number).paused_reason = "The vendor says: credits are used up."
    browser.sign_in_as(Role.ANALYSE)
    assert "credits are used up" in browser.get(f"/staff/campaigns/{number}").text


def released(parts: Parts, number: int) -> None:
    """Release a campaign's numbers, as somebody who asks for them does."""
    with parts.db.transaction() as session:
        campaign = find(session, number)
        campaign.first_hand_over_at = campaign.first_hand_over_at or parts.clock()
        assert releases.refresh(session, campaign, now=parts.clock(), rule=USUAL, asked=True)


def test_open_rates_stand_with_their_definition_and_their_inputs(
    browser: Browser, write: Write, parts: Parts, clock: Clock
) -> None:
    number = write()
    begun(parts, number, CampaignState.FINISHED)
    with parts.db.transaction() as session:
        session.get_one(MailboxTotal, (number, "delivered")).n = 1_000
    measured(
        parts,
        number,
        {
            DELIVERED: 350,
            DELIVERED | HUMAN | FETCHED: 150,
            DELIVERED | APPLE: 100,
            DELIVERED | APPLE | FETCHED: 400,
        },
    )
    clock.now += timedelta(days=3)
    released(parts, number)
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/campaigns/{number}").text.replace("\N{NO-BREAK SPACE}", " ")
    assert "30.0 %" in page
    assert "27.2 % to 32.9 %" in page
    assert "24.8 % to 37.4 %" in page
    assert "15.0 %" in page and "150 of 1,000 people" in page
    assert "55.0 %" in page
    assert "How is this computed?" in page
    for letter, n in {"D": "1,000", "M": "500", "N": "500", "H": "150", "C": "0"}.items():
        assert re.search(rf"<td>{letter}</td><td>[^<]+</td><td class=\"number\">{n}</td>", page)


def test_analysts_see_open_counts_in_fives_and_everything_else_exactly(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    begun(parts, number, CampaignState.FINISHED)
    measured(parts, number, {DELIVERED: 150, DELIVERED | HUMAN | FETCHED: 53})
    released(parts, number)
    browser.sign_in_as(Role.ANALYSE)
    page = browser.get(f"/staff/campaigns/{number}").text
    assert "55 of 205 people" in page
    assert "rounded to fives" in page
    browser.sign_in_as(Role.SEND)
    assert "53 of 203 people" in browser.get(f"/staff/campaigns/{number}").text


def test_a_number_about_few_people_is_not_on_the_page(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write()
    begun(parts, number, CampaignState.FINISHED)
    measured(parts, number, {DELIVERED: 12, DELIVERED | HUMAN | FETCHED: 7})
    browser.sign_in_as(*Role)
    page = browser.get(f"/staff/campaigns/{number}").text
    assert "Fewer than 20 delivered messages" in page
    assert "7 of" not in page and "36.8" not in page


def test_administrative_mail_is_said_not_to_be_measured(
    browser: Browser, write: Write, parts: Parts
) -> None:
    number = write("account")
    begun(parts, number, CampaignState.FINISHED)
    browser.sign_in_as(Role.ANALYSE)
    assert "never measured" in browser.get(f"/staff/campaigns/{number}").text


def test_the_preview_is_the_message_of_the_person_chosen(
    browser: Browser, write: Write, house: House
) -> None:
    number = write()
    browser.sign_in_as(Role.DRAFT)
    example = browser.get(f"/staff/campaigns/{number}/preview").text
    assert "Hello Ada," in example
    nameless = browser.get(f"/staff/campaigns/{number}/preview?person=nameless").text
    assert "Hello there," in nameless
    chosen = browser.post(f"/staff/campaigns/{number}/preview", address="READER2@example.org")
    where = chosen.headers["Location"]
    assert "reader2" not in where.lower()
    grace = browser.get(f"/staff/campaigns/{number}/preview?person={house.readers[2]}").text
    assert "Hello Grace," in grace
    assert f"Recipient {house.readers[2]}" in browser.get(where.partition("#")[0]).text


def test_a_persons_message_is_shown_to_whoever_has_found_them_and_is_on_record(
    browser: Browser, write: Write, house: House, parts: Parts, clock: Clock
) -> None:
    number = write()
    browser.sign_in_as(Role.DRAFT)
    path = f"/staff/campaigns/{number}/preview"
    for person in (house.readers[2], 99999):
        unasked = browser.get(f"{path}?person={person}")
        assert unasked.status_code == 404
        assert "Enter the exact address" in unasked.text and "Grace" not in unasked.text
        page = browser.get(f"/staff/campaigns/{number}?person={person}")
        assert page.status_code == 200
        assert "Enter the exact address" in page.text and "Grace" not in page.text
    browser.post(path, address="reader2@example.org")
    assert "Hello Grace," in browser.get(f"{path}?person={house.readers[2]}").text
    assert browser.get(f"{path}?person={house.readers[0]}").status_code == 404
    assert browser.get(f"/staff/people/{house.readers[2]}").status_code == 403
    with parts.db.reading() as session:
        (noted,) = audit.of(session, ("recipient", house.readers[2]))
        assert audit.of(session, ("recipient", house.readers[0])) == []
    assert (noted.action, noted.staff_id) == ("recipient.looked_up", browser.staff_id)
    assert (noted.at, noted.details) == (clock.now, {"campaign": number})
    clock.now += timedelta(minutes=15)
    assert browser.get(f"{path}?person={house.readers[2]}").status_code == 404


def test_somebody_without_a_name_is_nobody(
    browser: Browser, write: Write, house: House, parts: Parts
) -> None:
    """To show a real person's words without a look on record would be one."""
    number = write(body="For {{ email }}.\n")
    browser.sign_in_as(Role.DRAFT)
    page = browser.get(f"/staff/campaigns/{number}/preview?person=nameless").text
    assert "reader@example.com" in page
    assert "reader1@example.org" not in page


def test_whoever_only_analyses_sees_no_persons_words(
    browser: Browser, write: Write, house: House
) -> None:
    number = write()
    browser.sign_in_as(Role.ANALYSE)
    for key in (house.readers[2], "nameless", "example", "999999", "-1", "x"):
        page = browser.get(f"/staff/campaigns/{number}/preview?person={key}").text
        assert "Grace" not in page
        assert "reader" not in page


def test_a_preview_runs_nothing_sends_nothing_and_is_framed_by_us_only(
    browser: Browser, write: Write
) -> None:
    browser.sign_in_as(Role.DRAFT)
    headers = browser.get(f"/staff/campaigns/{write()}/preview").headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy and "frame-ancestors 'self'" in policy
    assert headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_person_nobody_knows_has_no_preview(browser: Browser, write: Write) -> None:
    number = write()
    browser.sign_in_as(Role.DRAFT)
    path = f"/staff/campaigns/{number}/preview"
    assert browser.post(path, address="nobody@example.org").status_code == 404
    assert browser.post(path, address="no address").status_code == 400


def test_single_messages_have_no_campaign_page(browser: Browser, parts: Parts) -> None:
    from mailprefs.policy import LegalPurpose, MessageClass  # noqa: PLC0415 - one test's own

    with parts.db.transaction() as session:
        topic = make_topic(session, message_class=MessageClass.ADMINISTRATIVE)
        make_recipient(session, hasher=parts.hasher)
        standing = make_campaign(
            session, topic, standing=True, template="fresh_link", purpose=LegalPurpose.ACCOUNT
        ).id
    browser.sign_in_as(*Role)
    assert browser.get(f"/staff/campaigns/{standing}").status_code == 404
    assert "fresh_link" not in browser.get("/staff/campaigns").text


def test_the_history_names_who_did_what(browser: Browser, write: Write, parts: Parts) -> None:
    number = write()
    browser.sign_in_as(Role.SEND)
    with parts.db.transaction() as session:
        session.get_one(Campaign, number).state = CampaignState.SENDING
    browser.post(f"/staff/campaigns/{number}/pause")
    page = browser.get(f"/staff/campaigns/{number}").text
    assert "Campaign: paused" in page
    assert "Campaign: created" in page
