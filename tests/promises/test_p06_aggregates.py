"""P6: what is told of opens is of many people at once, by one rule, wherever it is told.

That nothing hidden can be computed from it is tried in ``tests/reports/test_attacker.py``.
"""

import csv
import io
import json

import pytest

from mailprefs.policy import Role
from mailprefs.schema.opens import OpenRollup
from tests.company import Company
from tests.web.staff.browsing import Browser

FEW = [f"reader{number}@example.org" for number in range(5)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: the rule is asked of numbers that either gives."""
    return sqlite_url


def answers(company: Company, number: int, *roles: Role) -> dict[str, str]:
    """Give what each door tells of a campaign whose numbers are released."""
    browser = Browser(company.app, company.parts)
    browser.sign_in_as(*roles)
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


def test_the_opens_of_few_people_are_told_at_no_door(company: Company) -> None:
    company.bring(*FEW)
    number = company.send()
    company.clock.pass_by(minutes=1)
    for address in FEW[:2]:
        company.load(company.message(number, address))
    told = answers(company, number, Role.ADMIN, Role.ANALYSE)
    opens = json.loads(told[f"/api/campaigns/{number}/report"])["opens"]
    assert opens["tables"] == {}
    for name in ("reported", "confirmed", "estimated"):
        assert opens[name].get("n") is opens[name].get("rate") is None, name
    rows = csv.DictReader(io.StringIO(told[f"/api/campaigns/{number}/report.csv"]))
    assert not [one for one in rows if "open" in one["table"] and one["n"]]
    for path, text in told.items():
        assert not any(address in text for address in FEW), path


def test_no_row_of_what_is_counted_says_who(company: Company) -> None:
    company.bring(*FEW)
    number = company.send()
    company.clock.pass_by(minutes=1)
    company.load(company.message(number, FEW[0]))
    assert {one.name for one in OpenRollup.__table__.columns} == {
        "campaign_id",
        "dimension",
        "value",
        "kind",
        "n",
    }
    with company.db.reading() as session:
        rows = session.query(OpenRollup).all()
        assert {one.dimension for one in rows} <= {"hour", "country", "client"}
        assert sum(one.n for one in rows if one.dimension == "hour") == 1
