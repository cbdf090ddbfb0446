"""P6: what is told of opens is of many people at once, by one rule, wherever it is told.

That nothing hidden can be computed from it is tried in ``tests/reports/test_attacker.py``.
"""

import csv
import io
import json
from typing import Any

import pytest

from mailprefs import events
from mailprefs.policy import Role
from mailprefs.schema.opens import OpenRollup
from tests.company import Arrived, Company
from tests.events.reported import event
from tests.sending import NOW
from tests.web.staff.browsing import Browser

READERS = [f"reader{number}@example.org" for number in range(12)]
RATES = ("reported", "confirmed", "estimated")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: the rule is asked of numbers that either gives."""
    return sqlite_url


@pytest.fixture
def number(company: Company) -> int:
    """Give a campaign that reached twelve people, of whom five opened it."""
    company.bring(*READERS)
    number = company.send()
    company.clock.pass_by(minutes=1)
    messages = company.arrived(number)
    arrive(company, messages)
    company.clock.pass_by(minutes=1)
    for message in messages[:5]:
        company.load(message)
    return number


def arrive(company: Company, messages: list[Arrived]) -> None:
    seconds = (company.clock() - NOW).total_seconds()
    hashed = company.parts.hasher.hash
    told = [
        event(one.delivery_id, seconds=seconds, address_hash=hashed(one.address))
        for one in messages
    ]
    for part in events.slices(told):
        with company.db.transaction() as session:
            events.store_and_apply(session, part.events, now=company.clock())


def answers(company: Company, number: int) -> dict[str, str]:
    """Give what each door tells of a campaign whose numbers are released."""
    browser = Browser(company.app, company.parts)
    browser.sign_in_as(Role.ADMIN)
    assert browser.post(f"/staff/reports/{number}/release").status_code == 303
    return {
        path: browser.get(path).text
        for path in (
            f"/staff/reports/{number}",
            f"/api/campaigns/{number}/report",
            f"/api/campaigns/{number}/report.csv",
            "/api/topics/months",
        )
    }


def opens(told: dict[str, str], number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told[f"/api/campaigns/{number}/report"])["opens"]
    return found


def test_the_opens_of_few_people_are_told_at_no_door(company: Company, number: int) -> None:
    told = answers(company, number)
    assert opens(told, number)["tables"] == {}
    for name in RATES:
        one = opens(told, number)[name]
        assert one.get("n") is one.get("rate") is None, name
    rows = csv.DictReader(io.StringIO(told[f"/api/campaigns/{number}/report.csv"]))
    assert {one["table"] for one in rows if one["n"]} == {"mailbox"}
    for path, text in told.items():
        assert not any(address in text for address in READERS), path


def test_of_enough_people_a_sum_is_told_and_nobodys_name(company: Company, number: int) -> None:
    company.change(least_people=10)
    told = answers(company, number)
    assert opens(told, number)["reported"] == {"shown": "exact", "n": 5, "of": 12, "rate": 0.417}
    for path, text in told.items():
        assert not any(address in text for address in READERS), path


def test_no_row_of_what_is_counted_says_who(company: Company, number: int) -> None:
    names = {one.name for one in OpenRollup.__table__.columns}
    assert names == {"campaign_id", "dimension", "value", "kind", "n"}
    with company.db.reading() as session:
        rows = session.query(OpenRollup).filter_by(campaign_id=number).all()
    assert {one.dimension for one in rows} <= {"hour", "country", "client"}
    assert sum(one.n for one in rows if one.dimension == "hour") == 5
