"""The product's numbers of a scripted event file are those of an independent calculation."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mailprefs import opens
from mailprefs.db.database import Database, Gate
from mailprefs.events import facts
from mailprefs.jobs.ingest import Ingest
from mailprefs.policy import Choice
from mailprefs.reports import releases
from mailprefs.reports.campaigns import find, report
from mailprefs.reports.cells import USUAL
from mailprefs.reports.counted import sums
from mailprefs.schema.people import Recipient
from mailprefs.spool import Record, Spool
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

AT_ONCE = 70
FOLDER = Path(__file__).parent
EVENTS = [json.loads(line) for line in (FOLDER / "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def expected() -> Any:  # noqa: ANN401 - the numbers that the script prints
    """Let the other program calculate, in a process without anything of ours."""
    done = subprocess.run(
        [sys.executable, "-I", str(FOLDER / "calculate.py")], check=True, capture_output=True
    )
    return json.loads(done.stdout)


class House:
    """An installation that the events of the file happen to."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.db = db
        self.spool = Spool(folder, sync_seconds=None)
        self.ingest = Ingest(db, folder, lambda: datetime.now(UTC))
        self.numbers: dict[str, int] = {}
        self.people: dict[int, int] = {}
        self.delivered: dict[tuple[int, str], datetime] = {}

    def live_through(self) -> None:
        """Let everything in the file happen, in its order."""
        for event in EVENTS:
            getattr(self, f"_{event['what']}")(event, datetime.fromisoformat(event["at"]))
        self._tell()
        self.spool.close()

    def _handed_over(self, event: dict[str, Any], at: datetime) -> None:
        with self.db.transaction() as session:
            make_policy(session)
            campaign = make_campaign(
                session, make_topic(session), report_zone=event["zone"], first_hand_over_at=at
            )
            people = [make_recipient(session) for _ in range(event["people"])]
            ids = make_sent(session, campaign, people, at=at)
            self.people |= {one: person.id for one, person in zip(ids, people, strict=True)}
            self.numbers[event["campaign"]] = campaign.id

    def _hit(self, event: dict[str, Any], at: datetime) -> None:
        self.spool.append(
            Record(
                subject=self._delivery(event),
                is_aggregate=False,
                at_ms=round(at.timestamp() * 1000),
                kind=OpenKind[event["kind"].upper()],
                reason=Reason[event["reason"].upper()],
                client=Client[event["client"].upper()],
                country=event["country"],
                ruleset=RULESET,
            )
        )

    def _delivered(self, event: dict[str, Any], at: datetime) -> None:
        # The vendor tells of many at once, and later than it happened.
        self.delivered[self._delivery(event), "delivered"] = at
        if len(self.delivered) >= AT_ONCE:
            self._tell()

    def _tell(self) -> None:
        self.ingest.drain()
        with self.db.transaction() as session:
            facts.add(session, self.delivered)
        self.delivered = {}

    def _refused(self, event: dict[str, Any], at: datetime) -> None:
        del at
        self._tell()
        with self.db.transaction(Gate.TAKING) as session:
            person = session.get_one(Recipient, self.people[self._delivery(event)])
            person.open_tracking = Choice.REFUSED
            opens.silence(session, person.id)

    def _delivery(self, event: dict[str, Any]) -> int:
        number: int = self.numbers[event["campaign"]] << 32 | event["person"]
        return number


@pytest.fixture
def house(db: Database, tmp_path: Path) -> House:
    made = House(db, tmp_path / "spool")
    made.live_through()
    return made


def test_every_number_is_that_of_the_other_calculation(house: House, expected: Any) -> None:  # noqa: ANN401 - as above
    counted_alike(house, expected)
    told_alike(house, expected)


def counted_alike(house: House, expected: Any) -> None:  # noqa: ANN401 - as above
    """Compare what was counted, before any rule of what may be told."""
    assert set(expected) == {"kolkata", "adelaide"}
    for name, number in house.numbers.items():
        wanted = expected[name]
        with house.db.reading() as session:
            found = sums(session, number)
        seen = found.seen
        letters = (seen.delivered, seen.apple, seen.others, seen.others_opened, seen.apple_opened)
        assert dict(zip("DMNHC", letters, strict=True)) == {one: wanted[one] for one in "DMNHC"}
        assert seen.loaded == wanted["F"]
        days: dict[str, int] = {}
        for hour, n in found.hours.items():
            days[hour[:10]] = days.get(hour[:10], 0) + n
        assert days == wanted["days"]
        clients = {Client(int(value)).name.lower(): n for value, n in found.clients.items()}
        assert clients == wanted["clients"]
        assert dict(found.countries) == wanted["countries"]


def told_alike(house: House, expected: Any) -> None:  # noqa: ANN401 - as above
    """Compare what is told: nothing over all of it, and days that make their total."""
    for name, number in house.numbers.items():
        wanted = expected[name]
        with house.db.transaction() as session:
            campaign = find(session, number)
            assert campaign.first_hand_over_at
            now = campaign.first_hand_over_at + timedelta(days=60)
            assert releases.refresh(session, campaign, now=now, rule=USUAL)
        with house.db.reading() as session:
            told = report(session, number, now=now).opens
        assert told and told.estimate and told.inputs
        for rate, value in (
            (told.reported.rate, wanted["reported"]),
            (told.estimate.rate, wanted["estimated"]),
            (told.estimate.low, wanted["low"]),
            (told.estimate.high, wanted["high"]),
        ):
            assert rate == pytest.approx(value, abs=1e-4)
        # "At least": where few behind the proxy opened, they are left out.
        assert told.confirmed.rate is not None
        assert told.confirmed.rate <= wanted["confirmed"] + 1e-9
        for table in told.tables:
            assert sum(part.opens for part in table.parts) + table.rest.opens == wanted["opens"]
            assert all(0 <= part.rate <= 1 for part in table.lines)
            if table.name == "day":
                assert all(wanted["days"][part.value] == part.opens for part in table.parts)
                assert table.parts


def test_the_file_holds_a_day_of_twenty_five_hours_in_a_zone_of_half_hours(
    expected: Any,  # noqa: ANN401 - as above
) -> None:
    (zone,) = {one["zone"] for one in EVENTS if one["campaign"] == "adelaide" and "zone" in one}
    changing = datetime(2026, 4, 5, tzinfo=ZoneInfo(zone))
    length = (changing + timedelta(days=1)).astimezone(UTC) - changing.astimezone(UTC)
    assert length == timedelta(hours=25)
    assert changing.utcoffset() == timedelta(hours=10, minutes=30)
    assert expected["adelaide"]["days"]["2026-04-05"] > 20
