"""P17: where another law holds, it is kept: by the person's region, and in their language."""

import itertools
import re

import pytest

from mailprefs import languages
from mailprefs.policy import CONSENT_REGIONS, Choice
from mailprefs.schema.people import Recipient
from tests.company import Company

REGIONS = {"ada": "US", "bo": "DE", "cy": "GB", "dee": "CH"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: the region's rule is the same on both."""
    return sqlite_url


def test_where_consent_is_asked_for_silence_is_no_consent(company: Company) -> None:
    people = {f"{name}@example.org": region for name, region in REGIONS.items()}
    company.bring(*people)
    numbers = {address: company.person(address).id for address in people}
    with company.db.transaction() as session:
        for address, region in people.items():
            session.get_one(Recipient, numbers[address]).region = region
    asked = company.send()
    measured = {one.address for one in company.arrived(asked) if one.pixel}
    assert measured == {address for address, region in people.items() if region == "US"}
    assert set(REGIONS.values()) - CONSENT_REGIONS == {"US"}
    with company.db.transaction() as session:
        for number in numbers.values():
            session.get_one(Recipient, number).open_tracking = Choice.GRANTED
    assert all(one.pixel for one in company.arrived(company.send()))


def test_people_are_spoken_to_in_each_language(company: Company) -> None:
    company.bring("ada@example.org")
    path = company.parts.links.preferences_path(company.person("ada@example.org").id)
    every = list(languages.every())
    assert len(every) >= 7
    for language, one in itertools.product(every, (path, "/subscribe", "/policy")):
        page = company.client.get(one, query_string={"lang": language.tag}).text
        found = re.search(r'<html lang="([^"]+)" dir="([^"]+)">', page)
        assert found is not None, one
        assert (found[1], found[2]) == (language.tag, language.direction)
