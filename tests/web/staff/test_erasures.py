"""The button that erases somebody: for the privacy role, found by address, with the word typed."""

import pytest

from mailprefs import audit, suppressions
from mailprefs.policy import Role, SuppressionReason
from mailprefs.schema.people import Recipient
from mailprefs.web.parts import Parts
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.sign_in_as(Role.PRIVACY)
    return browser


def erase(browser: Browser, house: House, typed: str) -> int:
    browser.post("/staff/people", address="reader0@example.org")
    return browser.post(f"/staff/erasures/{house.readers[0]}", typed=typed).status_code


def is_known(parts: Parts, number: int) -> bool:
    with parts.db.reading() as session:
        return session.get(Recipient, number) is not None


def test_the_word_has_to_be_typed(browser: Browser, house: House, parts: Parts) -> None:
    assert erase(browser, house, "yes") == 400
    assert is_known(parts, house.readers[0])


def test_nobody_is_erased_by_counting_up_numbers(
    browser: Browser, house: House, parts: Parts
) -> None:
    answer = browser.post(f"/staff/erasures/{house.readers[0]}", typed="erase")
    assert answer.status_code == 404
    assert is_known(parts, house.readers[0])


def test_it_is_done_proved_and_noted_without_the_address(
    browser: Browser, house: House, parts: Parts
) -> None:
    assert erase(browser, house, " Erase ") == 303
    assert not is_known(parts, house.readers[0])
    page = browser.get("/staff/erasures").text
    assert "recipients 1" in page
    assert "reader0" not in page
    with parts.db.reading() as session:
        noted = audit.of(session, ("recipient", house.readers[0]))[-1]
        kept = suppressions.of(session, parts.hasher.hash("reader0@example.org"))
    assert (noted.action, noted.staff_id) == ("recipient.erased", browser.staff_id)
    assert [one.reason for one in kept] == [SuppressionReason.ERASED]


def test_a_second_time_there_is_nobody(browser: Browser, house: House) -> None:
    browser.post("/staff/people", address="reader0@example.org")
    path = f"/staff/erasures/{house.readers[0]}"
    assert browser.post(path, typed="erase").status_code == 303
    assert browser.post(path, typed="erase").status_code == 404
