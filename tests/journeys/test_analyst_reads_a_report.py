"""An analyst reads how many opened a newsletter: what is certain, in fives, and of nobody alone."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from mailprefs.schema.opens import Open
from tests.company import SAFARI
from tests.journeys.browser import Browser
from tests.journeys.conftest import ANA, Installation

pytestmark = pytest.mark.faults

SENT, OPENED = 60, 33
FEW = [f"reader{n}@example.net,US" for n in range(12)]


def test_an_analyst_reads_what_may_be_told(installation: Installation) -> None:
    installation.bring(*(f"reader{n}@example.org,US" for n in range(SENT)))
    number = installation.newsletter("The first frost")
    read_by(installation, number, OPENED)
    ana = installation.signed_in(ANA)

    # Whoever runs it sees the exact numbers at the console.
    exact = installation.ask("report", number)
    assert exact["mailbox"]["delivered"] == SENT
    for rate in ("reported", "confirmed"):
        assert exact["opens"][rate] == {
            "shown": "exact",
            "n": OPENED,
            "of": SENT,
            "rate": 0.55,
        }

    # Analysts get them in fives, on the page and as JSON, with what they mean beside them.
    told = as_json(ana, f"/api/campaigns/{number}/report")
    assert told["rounded_to"] == 5
    assert told["opens"]["reported"] == {"shown": "exact", "n": 35, "of": 60, "rate": 0.583}
    assert "too high" in told["opens"]["definitions"]["reported"]
    page = ana.get(f"/staff/campaigns/{number}")
    assert "58.3" in page.html or "58,3" in page.html
    assert "55.0" not in page.html
    assert "At least" in page.html

    # What is of one person is not for analysts, and neither is sending.
    assert ana.get("/staff/people").status == 403
    assert ana.get(f"/staff/campaigns/{number}/review").status == 403
    assert not any("/people" in link for link in page.links)


def test_few_people_are_told_of_by_nobody(installation: Installation) -> None:
    installation.bring(*FEW)
    number = installation.newsletter("The first frost")
    read_by(installation, number, 5)
    ana = installation.signed_in(ANA)
    for told in (
        installation.ask("report", number),
        as_json(ana, f"/api/campaigns/{number}/report"),
    ):
        assert told["mailbox"]["delivered"] == len(FEW)
        assert told["opens"]["measured"] is None
        for rate in ("reported", "confirmed"):
            assert told["opens"][rate] == {"shown": "withheld", "n": None, "of": None, "rate": None}
        assert told["opens"]["estimated"]["rate"] is None


def read_by(installation: Installation, number: int, n: int) -> None:
    """Let the first *n* people read a newsletter a while after it came, and count that."""
    installation.clock.ahead += timedelta(minutes=10)
    for _, message in sorted(installation.mail(number).items())[:n]:
        installation.load(message, SAFARI)
    installation.until(lambda: fetched(installation, number) == n)


def fetched(installation: Installation, number: int) -> int:
    """Count the opens of a campaign that have reached the database."""
    with installation.db.reading() as session:
        mine = Open.delivery_id.between(number << 32, (number + 1) << 32)
        return session.scalar(select(func.count()).where(mine)) or 0


def as_json(browser: Browser, path: str) -> Any:  # noqa: ANN401 - whatever JSON comes
    return json.loads(browser.get(path).html)
