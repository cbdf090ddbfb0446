"""P16: each setting can be changed on one page behind the link of a message, and holds at once."""

import pytest

from mailprefs import preferences
from mailprefs.policy import Choice, Frequency
from mailprefs.preferences import page as preferences_page
from tests.company import Arrived, Company

ADA, BO = "ada@example.org", "bo@example.org"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: ``tests/preferences`` tries each choice on both."""
    return sqlite_url


@pytest.fixture
def path(company: Company) -> str:
    company.bring(ADA, BO)
    message: Arrived = company.message(company.send(), ADA)
    path = company.parts.links.preferences_path(company.person(ADA).id, message.delivery_id)
    assert path in message.text
    return path


def choose(company: Company, path: str, **form: object) -> None:
    assert company.client.post(path, data=form).status_code == 200


def now(company: Company) -> preferences_page.Preferences:
    with company.db.reading() as session:
        return preferences.current(session, company.person(ADA).id)


def test_the_page_offers_every_setting(company: Company, path: str) -> None:
    page = company.client.get(path).text
    for choice in ("topics", "all_off", "pause", "frequency", "measuring", "language", "erase"):
        assert f'name="choice" value="{choice}"' in page, choice


def test_topics_and_the_measuring_of_opens_are_separate_choices(
    company: Company, path: str
) -> None:
    choose(company, path, choice="topics", shown=["newsletter", "offers"], topic=["offers"])
    assert {one.slug for one in now(company).topics if one.is_on} == {"offers"}
    assert now(company).tracking is Choice.UNKNOWN
    choose(company, path, choice="measuring", measuring="no")
    assert now(company).tracking is Choice.REFUSED
    assert {one.slug for one in now(company).topics if one.is_on} == {"offers"}
    assert company.readers(company.send()) == [BO]
    assert company.message(company.send("offers"), ADA).pixel is None


def test_a_pause_a_rarer_pace_and_a_language_hold_at_once(company: Company, path: str) -> None:
    choose(company, path, choice="pause", days="30")
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("legal")) == [ADA, BO]
    choose(company, path, choice="pause", days="0")
    choose(company, path, choice="frequency", frequency="weekly")
    assert now(company).frequency is Frequency.WEEKLY
    company.clock.pass_by(days=8)
    assert company.readers(company.send()) == [ADA, BO]
    assert company.readers(company.send()) == [BO]
    choose(company, path, choice="language", language="de")
    assert now(company).language == "de"


def test_all_promotional_mail_can_be_switched_off_and_that_taken_back(
    company: Company, path: str
) -> None:
    choose(company, path, choice="all_off")
    assert company.readers(company.send()) == [BO]
    choose(company, path, choice="topics", shown=["newsletter"], topic=["newsletter"])
    assert company.readers(company.send()) == [ADA, BO]
