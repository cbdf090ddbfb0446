"""Looking one person up, and taking them out: by exact address, on record, never a yes."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailprefs import audit, consent, suppressions
from mailprefs.policy import Role, Scope, Source, SubscriptionState, SuppressionReason
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.web.parts import Parts
from tests.factories import BEGINNING
from tests.preferences.people import erase_rows
from tests.snapshots import snapshot
from tests.web.conftest import Clock
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.sign_in_as(Role.SEND)
    return browser


def look(browser: Browser, house: House, who: int) -> str:
    """Find one of the house's readers, as staff do; give the path of their page."""
    found = browser.post("/staff/people", address=f"reader{who}@example.org")
    assert found.headers["Location"] == f"/staff/people/{house.readers[who]}"
    return found.headers["Location"]


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


def test_nobody_is_seen_by_counting_up_numbers(
    browser: Browser, house: House, parts: Parts
) -> None:
    """Who is known, unknown or somebody else's find: the same page, and it says how to go on."""
    look(browser, house, 0)
    before = snapshot(parts.db)
    pages = [browser.get(f"/staff/people/{number}").text for number in (house.readers[1], 99999)]
    # The form's token holds the second in which it was made.
    told = {re.sub(r'(name="csrf_token" value=)"[^"]+"', r"\1", page) for page in pages}
    answers = {
        browser.get(f"/staff/people/{house.readers[1]}").status_code,
        browser.post(
            f"/staff/people/{house.readers[1]}/unsubscribe", asked="asked_by_phone"
        ).status_code,
    }
    assert answers == {404}
    (page,) = told
    assert "found them by their exact address" in page
    assert 'name="address"' in page
    assert "reader1" not in page
    assert snapshot(parts.db) == before


def test_a_look_is_for_who_looked_and_for_a_quarter_of_an_hour(
    browser: Browser, house: House, parts: Parts, clock: Clock
) -> None:
    path = look(browser, house, 0)
    clock.now += timedelta(minutes=14)
    assert browser.get(path).status_code == 200
    clock.now += timedelta(minutes=1)
    assert browser.get(path).status_code == 404
    look(browser, house, 0)
    with parts.db.reading() as session:
        noted = audit.of(session, ("recipient", house.readers[0]))
    assert [(one.staff_id, one.at) for one in noted] == [
        (browser.staff_id, clock.now - timedelta(minutes=15)),
        (browser.staff_id, clock.now),
    ]
    browser.sign_in_as(Role.SEND)
    assert browser.get(path).status_code == 404


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
    gets = browser.get(look(browser, house, 0)).text
    assert gets.count("Doesn’t come") == 0
    left = browser.get(look(browser, house, 2)).text
    assert left.count("Doesn’t come") == 1
    assert "Unsubscribed" in left
    bounced = browser.get(look(browser, house, 1)).text
    assert bounced.count("Doesn’t come") == 2
    assert "The mailbox refuses mail" in bounced


def test_staff_take_somebody_out_who_asked_and_it_holds_at_once(
    browser: Browser, house: House, parts: Parts
) -> None:
    number = house.readers[0]
    path = look(browser, house, 0)
    told = browser.follow(browser.post(f"{path}/unsubscribe", asked="asked_by_phone"))
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
    path = look(browser, house, 0)
    assert browser.post(f"{path}/unsubscribe", asked="because").status_code == 400
    with parts.db.reading() as session:
        assert consent.history(session, house.readers[0]) == []


def test_staff_pages_offer_no_way_to_a_yes(browser: Browser, house: House) -> None:
    for who, number in enumerate(house.readers):
        page = browser.get(look(browser, house, who)).text
        actions = [part.partition('"')[0] for part in page.split('action="')[1:]]
        taking = {f"/staff/people/{number}/{what}" for what in ("unsubscribe", "less")}
        assert set(actions) <= {"/staff/sign-out", *taking}


def test_the_ledger_is_for_the_privacy_role(browser: Browser, house: House) -> None:
    path = look(browser, house, 0)
    browser.post(f"{path}/unsubscribe", asked="asked_by_letter")
    assert "as the ledger holds it" not in browser.get(path).text
    browser.sign_in_as(Role.PRIVACY)
    page = browser.get(look(browser, house, 0)).text
    assert "as the ledger holds it" in page
    assert "withdrawn" in page


def test_who_is_erased_meanwhile_has_no_page(browser: Browser, house: House, parts: Parts) -> None:
    path = look(browser, house, 0)
    with parts.db.transaction() as session:
        erase_rows(session, house.readers[0])
    assert browser.get(path).status_code == 404
    gone = browser.post(f"{path}/unsubscribe", asked="asked_by_email")
    assert gone.status_code == 404


def hold_back(parts: Parts, recipient_id: int, *reasons: SuppressionReason) -> None:
    with parts.db.transaction() as session:
        person = session.get_one(Recipient, recipient_id)
        for reason in reasons:
            suppressions.add(
                session,
                person.address_hash,
                person.address_key_id,
                reason,
                Source.VENDOR,
                now=BEGINNING,
                delivery_id=(7 << 32) + 1,
            )


def test_what_a_complaint_holds_back_from_notices_is_shown(
    browser: Browser, house: House, parts: Parts
) -> None:
    hold_back(parts, house.readers[0], SuppressionReason.COMPLAINED, SuppressionReason.UNSUBSCRIBED)
    page = browser.get(look(browser, house, 0)).text
    assert page.count("The vendor holds it back") == 1, "of the administrative topic only"
    assert page.count("Doesn’t come") == 1
    assert "Marked a message as spam" in page
    assert "/staff/campaigns/7" in page


def test_a_bounce_is_lifted_with_a_reason_that_stays_on_record(
    browser: Browser, house: House, parts: Parts
) -> None:
    browser.sign_in_as(Role.PRIVACY)
    number = house.readers[0]
    hold_back(parts, number, SuppressionReason.HARD_BOUNCE)
    path = look(browser, house, 0)
    because = "They cleared their mailbox and asked us to try again."
    told = browser.follow(browser.post(f"{path}/lift", reason="hard_bounce", because=because))
    assert told.count("Doesn’t come") == 0
    assert because in told
    with parts.db.reading() as session:
        person = session.get_one(Recipient, number)
        assert suppressions.of(session, person.address_hash) == []
        (kept,) = suppressions.lifts(session, address_hash=person.address_hash)
        noted = audit.latest(session, limit=1)[0]
    assert (kept.staff_id, kept.because, kept.since) == (browser.staff_id, because, BEGINNING)
    assert (noted.action, noted.reason) == ("suppression.lifted", because)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"reason": "hard_bounce", "because": "no"}, 400),
        ({"reason": "hard_bounce", "because": "jane@example.org wrote to us"}, 400),
        ({"reason": "nonsense", "because": "They asked us to try again."}, 400),
        ({"reason": "invalid", "because": "They asked us to try again."}, 404),
        ({"reason": "unsubscribed", "because": "They asked us to try again."}, 409),
        ({"reason": "erased", "because": "They asked us to try again."}, 409),
    ],
)
def test_what_cannot_be_lifted_stays_and_the_page_says_why(
    browser: Browser, house: House, parts: Parts, form: dict[str, str], status: int
) -> None:
    browser.sign_in_as(Role.PRIVACY)
    reasons = (SuppressionReason.HARD_BOUNCE, SuppressionReason.UNSUBSCRIBED)
    hold_back(parts, house.readers[0], *reasons)
    path = look(browser, house, 0)
    before = snapshot(parts.db)
    assert browser.post(f"{path}/lift", **form).status_code == status
    assert snapshot(parts.db) == before


def test_only_who_found_somebody_may_lift(browser: Browser, house: House, parts: Parts) -> None:
    browser.sign_in_as(Role.PRIVACY)
    hold_back(parts, house.readers[0], SuppressionReason.HARD_BOUNCE)
    path = f"/staff/people/{house.readers[0]}"
    form = {"reason": "hard_bounce", "because": "They asked us to try again."}
    assert browser.post(f"{path}/lift", **form).status_code == 404
    with parts.db.reading() as session:
        assert len(suppressions.listed(session)) == 1


def test_staff_send_less_to_who_asked_for_it_and_the_page_says_so(
    browser: Browser, house: House, parts: Parts
) -> None:
    path = look(browser, house, 0)
    assert browser.post(f"{path}/less", what="90", asked="asked_by_phone").status_code == 303
    assert browser.post(f"{path}/less", what="weekly", asked="asked_by_email").status_code == 303
    page = browser.get(path).text
    assert "No promotional mail until" in page
    assert "At most one promotional message a week" in page
    assert "told by staff" in page
    assert "Paused all promotional mail for a while" in page
    with parts.db.reading() as session:
        entries = consent.history(session, house.readers[0])
        noted = [one.action for one in audit.of(session, ("recipient", house.readers[0]))]
    assert [one.entry.method for one in entries] == ["asked_by_phone", "asked_by_email"]
    assert noted.count("choice.recorded") == 2


def test_staff_make_no_pause_shorter_and_end_none(browser: Browser, house: House) -> None:
    path = look(browser, house, 0)
    browser.post(f"{path}/less", what="90", asked="asked_by_phone")
    for what, status in (("30", 409), ("0", 400), ("any", 400), ("", 400)):
        assert browser.post(f"{path}/less", what=what, asked="asked_by_phone").status_code == status


def test_who_was_not_found_gets_no_pause_either(browser: Browser, house: House) -> None:
    path = f"/staff/people/{house.readers[1]}/less"
    assert browser.post(path, what="30", asked="asked_by_phone").status_code == 404


def test_the_privacy_role_gets_all_of_somebody_found_and_it_stands_in_the_audit(
    browser: Browser, house: House, parts: Parts
) -> None:
    number = house.readers[0]
    assert browser.post(f"/staff/people/{number}/export", form="json").status_code == 403
    browser.sign_in_as(Role.PRIVACY)
    assert browser.post(f"/staff/people/{number}/export", form="json").status_code == 404
    path = look(browser, house, 0)
    assert "Give them their data" in browser.get(path).text
    given = browser.post(f"{path}/export", form="json")
    assert given.headers["Content-Disposition"].startswith("attachment")
    assert given.headers["Cache-Control"] == "no-store"
    assert given.json is not None
    assert given.json["data"]["person"][0]["address"] == "reader0@example.org"
    assert "<!doctype html>" in browser.post(f"{path}/export", form="html").text
    with parts.db.reading() as session:
        acts = [one.action for one in audit.of(session, ("recipient", number))]
    assert acts == ["recipient.looked_up", *["recipient.exported"] * 2]
