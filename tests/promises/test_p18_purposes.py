"""P18: consent is to one purpose, said in words when it was asked, and to nothing else."""

import pytest
from sqlalchemy import select

from mailprefs import consent
from mailprefs.policy import Choice, Purpose
from mailprefs.schema.choices import PurposeRow, Wording
from tests.company import Company

ADA = "ada@example.org"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: a choice is kept alike on both."""
    return sqlite_url


def test_each_choice_is_to_a_purpose_with_the_words_that_were_shown(company: Company) -> None:
    company.bring(ADA)
    number = company.person(ADA).id
    path = company.parts.links.preferences_path(number)
    page = company.client.get(path).text
    company.client.post(path, data={"choice": "measuring", "measuring": "yes"})
    with company.db.reading() as session:
        last = consent.history(session, number)[-1].entry
        assert last.wording is not None
        words = session.get_one(Wording, last.wording.id)
        known = set(session.scalars(select(PurposeRow.slug)))
        assert (last.purpose, words.purpose) == (Purpose.OPEN_TRACKING, Purpose.OPEN_TRACKING)
        assert words.purpose in known
        assert words.text in page


def test_a_yes_to_one_purpose_is_none_to_another(company: Company) -> None:
    company.bring(ADA)
    assert company.person(ADA).open_tracking is Choice.UNKNOWN, "a newsletter is no yes to pixels"
    path = company.parts.links.preferences_path(company.person(ADA).id)
    company.client.post(path, data={"choice": "all_off"})
    company.client.post(path, data={"choice": "measuring", "measuring": "yes"})
    assert company.person(ADA).open_tracking is Choice.GRANTED
    company.bring("bo@example.org")
    assert company.readers(company.send()) == ["bo@example.org"]
