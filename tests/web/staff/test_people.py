"""Looking one person up, and taking them out: by exact address, on record, never a yes."""

import pytest
from sqlalchemy import select

from mailprefs import audit, consent, suppressions
from mailprefs.policy import Role, Scope, Source, SubscriptionState, SuppressionReason
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.web.parts import Parts
from tests.factories import BEGINNING
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.sign_in_as(Role.SEND)
    return browser


def test_a_person_is_found_by_exact_address_which_stays_out_of_the_url(
    browser: Browser, house: House
) -> None:
    response = browser.post("/staff/people", address=" Reader0@Example.org ")
    assert response.headers["Location"] == f"/staff/people/{house.readers[0]}"
    assert "reader0@example.org" in browser.follow(response)


@pytest.mark.parametrize(
    ("address", "status"),
    [("reader@example.org", 404), ("reader%@example.org", 404), ("%", 400), ("", 400)],
)
def test_nothing_but_the_whole_address_finds_anybody(
    browser: Browser, house: House, address: str, status: int
) -> None:
    assert browser.post("/staff/people", address=address).status_code == status


def test_each_look_is_in_the_audit_by_number(browser: Browser, house: House, parts: Parts) -> None:
    browser.post("/staff/people", address="reader0@example.org")
    with parts.db.reading() as session:
        (noted,) = audit.of(session, ("recipient", house.readers[0]))
    assert noted.action == "recipient.looked_up"
    assert noted.staff_id == browser.staff_id


def test_the_page_says_what_comes_and_why_not(browser: Browser, house: House, parts: Parts) -> None:
    with parts.db.transaction() as session:
        person = session.get_one(Recipient, house.readers[1])
        suppressions.add(
            session,
            person.address_hash,
            person.address_key_id,
            SuppressionReason.HARD_BOUNCE,
            Source.VENDOR,
            now=BEGINNING,
        )
    gets = browser.get(f"/staff/people/{house.readers[0]}").text
    assert gets.count("Doesn’t come") == 0
    left = browser.get(f"/staff/people/{house.readers[2]}").text
    assert left.count("Doesn’t come") == 1
    assert "Unsubscribed" in left
    bounced = browser.get(f"/staff/people/{house.readers[1]}").text
    assert bounced.count("Doesn’t come") == 2
    assert "The mailbox refuses mail" in bounced


def test_staff_take_somebody_out_who_asked_and_it_holds_at_once(
    browser: Browser, house: House, parts: Parts
) -> None:
    number = house.readers[0]
    told = browser.follow(
        browser.post(f"/staff/people/{number}/unsubscribe", asked="asked_by_phone")
    )
    assert "no promotional mail" in told
    assert "Stop all promotional mail" not in told
    with parts.db.reading() as session:
        person = session.get_one(Recipient, number)
        states = session.scalars(
            select(Subscription.state).where(Subscription.recipient_id == number)
        ).all()
        (stands,) = suppressions.of(session, person.address_hash)
        proof = consent.history(session, number)
    assert set(states) == {SubscriptionState.UNSUBSCRIBED}
    assert (stands.reason, stands.scope) == (SuppressionReason.UNSUBSCRIBED, Scope.PROMOTIONAL)
    assert {one.entry.actor for one in proof} == {f"staff:{browser.staff_id}"}
    assert {one.entry.method for one in proof} == {"asked_by_phone"}


def test_how_somebody_asked_is_part_of_it(browser: Browser, house: House, parts: Parts) -> None:
    path = f"/staff/people/{house.readers[0]}/unsubscribe"
    assert browser.post(path, asked="because").status_code == 400
    with parts.db.reading() as session:
        assert consent.history(session, house.readers[0]) == []


def test_staff_pages_offer_no_way_to_a_yes(browser: Browser, house: House) -> None:
    for number in house.readers:
        page = browser.get(f"/staff/people/{number}").text
        actions = [part.partition('"')[0] for part in page.split('action="')[1:]]
        assert set(actions) <= {"/staff/sign-out", f"/staff/people/{number}/unsubscribe"}


def test_the_ledger_is_for_the_privacy_role(browser: Browser, house: House) -> None:
    number = house.readers[0]
    browser.post(f"/staff/people/{number}/unsubscribe", asked="asked_by_letter")
    assert "as the ledger holds it" not in browser.get(f"/staff/people/{number}").text
    browser.sign_in_as(Role.PRIVACY)
    page = browser.get(f"/staff/people/{number}").text
    assert "as the ledger holds it" in page
    assert "withdrawn" in page


def test_who_is_unknown_or_erased_has_no_page(browser: Browser, house: House) -> None:
    assert browser.get("/staff/people/99999").status_code == 404
    gone = browser.post("/staff/people/99999/unsubscribe", asked="asked_by_email")
    assert gone.status_code == 404
