"""The report pages: what is told, in which words, and to whom."""

import re

import pytest

from mailprefs import audit
from mailprefs.policy import Role
from mailprefs.reports.statistic import estimate
from mailprefs.web.parts import Parts
from mailprefs.web.staff.reports import EXAMPLE
from tests.factories import make_campaign, make_topic
from tests.reports.counting import OPENED, SILENT, measured
from tests.reports.house import furnish
from tests.web.staff.browsing import Browser


@pytest.fixture
def numbers(parts: Parts) -> list[int]:
    """Store campaigns whose numbers are released; give their ids."""
    return furnish(parts.db, parts.clock())


def text(page: str) -> str:
    """Give what a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_list_says_of_each_campaign_what_may_be_told(
    browser: Browser, numbers: list[int]
) -> None:
    browser.sign_in_as(Role.SEND)
    said = text(browser.get("/staff/reports").text)
    assert "The first frost" in said
    assert "12,400 31.0 % 30.3 % to 31.7 % 19.8 % 54.6 %" in said
    assert re.search(r"A note to a few .*? no numbers released", said)
    assert re.search(r"Our terms change .*? never measured", said)


def test_a_report_shows_each_chart_beside_its_table(browser: Browser, numbers: list[int]) -> None:
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/reports/{numbers[0]}").text
    for name in ("rates", "day", "hour", "country", "client"):
        for address in (f"{name}.svg", f"{name}-narrow.svg"):
            path = f"/api/campaigns/{numbers[0]}/charts/{address}"
            assert path in page
            assert browser.get(path).status_code == 200
    said = text(page)
    assert "DE 836 6.7 %" in said
    assert "Elsewhere, or unknown 714" in said
    assert "IS" not in re.findall(r"\b[A-Z]{2}\b", said)


def test_an_analyst_reads_the_same_in_fives(browser: Browser, numbers: list[int]) -> None:
    browser.sign_in_as(Role.ANALYSE)
    said = text(browser.get(f"/staff/reports/{numbers[0]}").text)
    assert "DE 835 6.7 %" in said
    assert "836" not in said


def test_of_few_people_nothing_is_told_but_why(browser: Browser, numbers: list[int]) -> None:
    browser.sign_in_as(Role.SEND)
    page = browser.get(f"/staff/reports/{numbers[3]}").text
    assert "Fewer than 20 delivered messages may be measured" in page
    assert "charts/" not in page


def test_the_first_numbers_can_be_asked_for_by_who_works_on_campaigns(
    browser: Browser, parts: Parts
) -> None:
    with parts.db.transaction() as session:
        campaign = make_campaign(session, make_topic(session), first_hand_over_at=parts.clock())
        measured(session, campaign.id, {SILENT: 60, OPENED: 40})
    path = f"/staff/reports/{campaign.id}"
    browser.sign_in_as(Role.ANALYSE)
    assert "Release them now" not in browser.get(path).text
    assert browser.post(f"{path}/release").status_code == 403
    browser.sign_in_as(Role.DRAFT)
    offered = browser.get(path).text
    assert "Release them now" in offered
    assert "Asking early uses the day up" in offered
    said = text(browser.follow(browser.post(f"{path}/release")))
    assert "The first numbers are released" in said
    assert "40.0 %" in said
    again = text(browser.follow(browser.post(f"{path}/release")))
    assert "The first numbers are released" not in again
    with parts.db.reading() as session:
        (entry,) = audit.of(session, ("campaign", campaign.id))
    assert (entry.action, entry.door) == ("report.released", "page")


def test_months_and_comparison_are_of_released_numbers(
    browser: Browser, numbers: list[int]
) -> None:
    browser.sign_in_as(Role.SEND)
    months = text(browser.get("/staff/reports/topics").text)
    assert "1 and 1 untold 1,900 23.0 % 57.6 %" in months
    first, second = numbers[:2]
    said = text(browser.get(f"/staff/reports/compare?campaign={first}&campaign={second}").text)
    assert "“The first frost” (campaign" in said
    assert "Difference +7.0 points, 95 % interval +5.0 to +8.9" in said
    refused = browser.get(f"/staff/reports/compare?campaign={first}")
    assert refused.status_code == 400
    assert "Choose two campaigns" in refused.text


def test_the_worked_example_is_worked_out_by_the_product(browser: Browser) -> None:
    browser.sign_in_as(Role.ANALYSE)
    said = text(browser.get("/staff/reports/how").text)
    found = estimate(EXAMPLE)
    assert "(H + C) / D = 160 / 1,000 = 16.0 %" in said
    assert "150 / 500 = 30.0 %" in said
    assert f"{found.low * 100:.1f} % to {found.high * 100:.1f} %" in said
    # Worked out by hand, so that the page can't be wrong together with the product.
    assert "27.2 % to 32.9 %" in said
    assert "24.8 % and 37.4 %" in said
