"""What the law asks, on the staff pages: for the privacy role, about somebody found by address."""

import json

import pytest

from mailprefs import audit, recipients
from mailprefs.policy import Role
from mailprefs.privacy import holds
from mailprefs.web.parts import Parts
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House

BECAUSE = "Order 12 O 34/27 of the court"
COURT = {"to": "Court of Exampletown", "reason": BECAUSE}


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.sign_in_as(Role.PRIVACY)
    return browser


@pytest.fixture
def number(browser: Browser, house: House) -> int:
    """Give somebody who was found by address just now."""
    browser.post("/staff/people", address="reader0@example.org")
    return house.readers[0]


def is_known(parts: Parts, number: int) -> bool:
    with parts.db.reading() as session:
        return recipients.by_id(session, number) is not None


def hold(browser: Browser, number: int) -> str:
    return browser.follow(
        browser.post(f"/staff/legal/people/{number}/hold", reason=BECAUSE),
    )


def test_a_hold_is_shown_and_keeps_the_person_until_it_is_lifted(
    browser: Browser, number: int, parts: Parts
) -> None:
    page = hold(browser, number)
    assert "in force since" in page and BECAUSE in page
    page = browser.follow(browser.post(f"/staff/erasures/{number}", typed="erase"))
    assert "Remembered" in page and is_known(parts, number)
    assert "An erasure waits" in browser.get("/staff/legal").text
    page = browser.follow(browser.post("/staff/legal/holds/1/lift", because="The case is closed."))
    assert "the person is erased" in page and "Lifted" in page
    assert not is_known(parts, number)


def test_a_child_goes_at_once_and_the_copy_is_given_on_record(
    browser: Browser, number: int, parts: Parts
) -> None:
    hold(browser, number)
    answer = browser.post(f"/staff/erasures/{number}", typed="erase", child="yes")
    assert answer.status_code == 303 and not is_known(parts, number)
    assert "One sealed copy" in browser.get("/staff/legal").text
    given = browser.post("/staff/legal/holds/1/copy", **COURT)
    assert given.headers["Cache-Control"] == "no-store"
    assert "reader0@example.org" in given.text
    assert "Court of Exampletown" in browser.get("/staff/legal").text


def test_all_of_one_person_is_a_file_that_is_on_record_first(
    browser: Browser, number: int, parts: Parts
) -> None:
    refused = browser.post(f"/staff/legal/people/{number}/export", to="Court", reason="no")
    assert refused.status_code == 400
    given = browser.post(f"/staff/legal/people/{number}/export", **COURT)
    assert given.headers["Content-Disposition"] == "attachment; filename=disclosure-1.json"
    assert json.loads(given.text)["because"] == BECAUSE
    with parts.db.reading() as session:
        (noted,) = audit.of(session, ("disclosure", 1))
    assert (noted.reason, noted.staff_id) == (BECAUSE, browser.staff_id)
    assert noted.details["recipient"] == number
    assert "reader0" not in browser.get("/staff/legal/disclosures.csv").text


def test_nobody_is_held_or_exported_by_counting_up_numbers(
    browser: Browser, house: House, parts: Parts
) -> None:
    for what, form in (("hold", {"reason": BECAUSE}), ("export", COURT)):
        path = f"/staff/legal/people/{house.readers[1]}/{what}"
        assert browser.post(path, **form).status_code == 404
    with parts.db.reading() as session:
        assert holds.listed(session) == []


def test_a_disclosure_by_other_means_is_written_down(browser: Browser, house: House) -> None:
    told = {"basis": "affiliate", "to": "Example Shop", "fields": "address, name", "people": "20"}
    page = browser.follow(
        browser.post("/staff/legal/disclosures", **told, reason="They run the shop.")
    )
    assert "Example Shop" in page and "An affiliate" in page
    for wrong in ({"people": "x"}, {"basis": "fun"}, {"to": "x@example.com"}, {"fields": " , "}):
        form = {**told, "reason": "They run the shop.", **wrong}
        assert browser.post("/staff/legal/disclosures", **form).status_code == 400
    assert "affiliate,Example Shop" in browser.get("/staff/legal/disclosures.csv").text
