"""Released numbers: when they are made anew, when never again, and who gets the same."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from mailprefs.db.database import Database, Gate
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs.closing import Closing, Done
from mailprefs.policy import MessageClass
from mailprefs.reports import closing, releases
from mailprefs.reports.campaigns import find
from mailprefs.reports.cells import USUAL, Rule
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import Loads, OpenRollup
from mailprefs.schema.reports import Release
from tests.reports.counting import (
    BEGUN,
    NOW,
    OPENED,
    SILENT,
    campaign,
    measured,
    released,
    rolled_up,
    told,
)

DAY = timedelta(days=1)
LATE = BEGUN + timedelta(days=90)


def sent(db: Database) -> int:
    """Store a campaign of a thousand people; give its id."""
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 700, OPENED: 300})
    return number


def later(db: Database, number: int, *, opened: int) -> None:
    """Let so many of the thousand have opened by now."""
    with db.transaction() as session:
        measured(session, number, {SILENT: 1_000 - opened, OPENED: opened})


def confirmed(db: Database, number: int) -> int | None:
    opens = told(db, number).opens
    assert opens is not None
    return opens.confirmed.n


def test_the_first_numbers_come_after_a_day_or_when_asked_for(db: Database) -> None:
    number, other = sent(db), sent(db)
    assert not released(db, number, now=BEGUN + timedelta(hours=23))
    assert released(db, number, now=BEGUN + DAY)
    assert released(db, other, now=BEGUN + timedelta(hours=1), asked=True)
    assert confirmed(db, number) == confirmed(db, other) == 300


def test_asking_early_uses_the_day_up_so_that_nobody_waits_for_one_open(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 998, OPENED: 2})
    asked_at = BEGUN + timedelta(minutes=1)
    assert released(db, number, now=asked_at, asked=True)
    before = told(db, number).as_json()
    later(db, number, opened=3)
    assert not released(db, number, now=BEGUN + timedelta(minutes=2), asked=True)
    assert told(db, number).as_json() == before
    later(db, number, opened=40)
    assert not released(db, number, now=BEGUN + DAY, asked=True)
    assert released(db, number, now=asked_at + DAY)
    assert confirmed(db, number) == 40


def test_a_look_that_finds_nothing_to_tell_uses_the_day_up_too(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        session.add(MailboxTotal(campaign_id=number, event="delivered", n=40))
        session.add(Loads(campaign_id=number, day=BEGUN.date(), kind=1, n=19))
    asked_at = BEGUN + timedelta(minutes=1)
    assert not released(db, number, now=asked_at, asked=True)
    with db.transaction() as session:
        session.get_one(Loads, (number, BEGUN.date(), 1)).n = 20
    assert not released(db, number, now=BEGUN + timedelta(minutes=2), asked=True)
    assert released(db, number, now=asked_at + DAY)
    opens = told(db, number).opens
    assert opens and opens.loads == 20


def test_numbers_are_made_anew_once_a_day_and_for_twenty_changes(db: Database) -> None:
    number = sent(db)
    released(db, number, now=BEGUN + DAY)
    later(db, number, opened=400)
    assert not released(db, number, now=BEGUN + 1.9 * DAY, asked=True)
    assert released(db, number, now=BEGUN + 2 * DAY)
    assert confirmed(db, number) == 400
    later(db, number, opened=419)
    assert not released(db, number, now=BEGUN + 3 * DAY)
    later(db, number, opened=420)
    # It was looked at today: the twentieth change doesn't show when it came.
    assert not released(db, number, now=BEGUN + 3.5 * DAY)
    assert released(db, number, now=BEGUN + 4 * DAY)
    assert confirmed(db, number) == 420


def test_a_smaller_k_asks_for_fewer_and_stands_beside_the_numbers(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 7, OPENED: 5})
    assert not released(db, number)
    assert released(db, number, rule=Rule(people=10))
    opens = told(db, number).as_json()["opens"]
    assert (opens["confirmed"]["n"], opens["least_people"]) == (5, 10)


def test_asking_reads_what_is_stored_whatever_is_counted_meanwhile(db: Database) -> None:
    number = sent(db)
    released(db, number, now=BEGUN + DAY)
    before = told(db, number).as_json()
    later(db, number, opened=900)
    assert told(db, number).as_json()["opens"] == before["opens"]


def test_loads_of_people_who_arent_told_apart_are_told_from_twenty_on(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        session.add(MailboxTotal(campaign_id=number, event="delivered", n=40))
        session.add(Loads(campaign_id=number, day=BEGUN.date(), kind=1, n=19))
    assert not released(db, number)
    with db.transaction() as session:
        session.get_one(Loads, (number, BEGUN.date(), 1)).n = 25
    assert released(db, number, now=BEGUN + 4 * DAY)
    opens = told(db, number).as_json()["opens"]
    assert opens["loads"] == 25
    assert opens["confirmed"]["shown"] == "withheld"


def test_loads_of_few_people_are_never_told_however_many(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        session.add(MailboxTotal(campaign_id=number, event="delivered", n=119))
        session.add(Loads(campaign_id=number, day=BEGUN.date(), kind=1, n=400))
        measured(session, number, {SILENT: 70, OPENED: 30})
    assert released(db, number)
    opens = told(db, number).opens
    assert opens and opens.confirmed.n == 30
    # A hundred of the 119 are measured: nineteen people made these loads.
    assert opens.loads is None
    with db.transaction() as session:
        session.get_one(MailboxTotal, (number, "delivered")).n = 120
        measured(session, number, {SILENT: 40, OPENED: 60})
    assert released(db, number, now=NOW + DAY)
    after = told(db, number).opens
    assert after and after.loads == 400


# --- closing ------------------------------------------------------------------------------------


def job(db: Database, now: datetime) -> Done:
    return Closing(db=db, rule=USUAL, clock=lambda: now).now()


def test_a_campaign_closes_after_ninety_days_and_its_numbers_are_final(db: Database) -> None:
    number = sent(db)
    assert job(db, BEGUN + DAY) == Done(1, 0, 0, failed=0)
    assert job(db, LATE - 1.5 * DAY) == Done(0, 0, 0, failed=0)
    later(db, number, opened=350)
    assert job(db, LATE) == Done(1, 1, 1, failed=0)
    opens = told(db, number).as_json()["opens"]
    assert (opens["final"], opens["confirmed"]["n"]) == (True, 350)
    later(db, number, opened=600)
    assert job(db, LATE + 9 * DAY) == Done(0, 0, 0, failed=0)
    assert confirmed(db, number) == 350
    with db.reading() as session:
        assert session.get_one(Campaign, number).closed_at == LATE


def test_final_numbers_obey_the_rule_of_changes_too(db: Database) -> None:
    number = sent(db)
    job(db, BEGUN + DAY)
    later(db, number, opened=301)
    assert job(db, LATE) == Done(0, 1, 1, failed=0)
    assert confirmed(db, number) == 300


def test_small_and_administrative_campaigns_close_without_numbers(db: Database) -> None:
    with db.transaction() as session:
        numbers = [campaign(session), campaign(session, MessageClass.ADMINISTRATIVE)]
        measured(session, numbers[0], {SILENT: 4, OPENED: 4})
    assert job(db, LATE) == Done(0, 2, 2, failed=0)
    assert job(db, LATE + DAY) == Done(0, 0, 0, failed=0)
    (why,) = told(db, numbers[0]).as_json()["opens"]["estimated"]["not_shown_because"]
    assert why["code"] == "fewer_than_k"


def test_a_campaign_that_fails_holds_up_no_other(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    broken, due, over = sent(db), sent(db), sent(db)
    with db.transaction() as session:
        session.get_one(Campaign, broken).report_zone = "Nowhere/At_All"
        session.get_one(Campaign, due).first_hand_over_at = LATE - DAY
    assert job(db, LATE) == Done(2, 2, 1, failed=1)
    assert confirmed(db, due) == confirmed(db, over) == 300
    lines = [one.getMessage() for one in caplog.records if one.name == "mailprefs.closing"]
    line = f"The numbers of campaign {broken} are left for later: ZoneInfoNotFoundError"
    # Once when its numbers were due, and once when they should have become final.
    assert lines == [line, line]
    with db.transaction() as session:
        session.get_one(Campaign, broken).report_zone = "Europe/Berlin"
    assert job(db, LATE + timedelta(minutes=5)) == Done(0, 0, 1, failed=0)
    assert confirmed(db, broken) == 300


def test_a_store_that_is_away_ends_the_look(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(db)

    def away(*_: object, **__: object) -> bool:
        raise StoreUnavailable

    monkeypatch.setattr(releases, "refresh", away)
    with pytest.raises(StoreUnavailable):
        job(db, BEGUN + DAY)


def test_closing_that_was_broken_off_goes_on(db: Database) -> None:
    number = sent(db)
    with db.transaction(Gate.TAKING) as session:
        assert closing.mark(session, now=LATE, limit=5) == [number]
        assert closing.mark(session, now=LATE, limit=5) == []
    assert job(db, LATE + timedelta(hours=1)) == Done(0, 0, 1, failed=0)
    assert confirmed(db, number) == 300
    with db.reading() as session:
        assert session.get_one(Release, number).frozen_at == LATE + timedelta(hours=1)


def test_closing_twice_changes_nothing(db: Database) -> None:
    number = sent(db)
    with db.transaction() as session:
        rolled_up(session, number, "country", {"DE": 40, "IS": 3, "LI": 2})
    job(db, LATE)
    with db.transaction() as session:
        before = session.execute(select(OpenRollup.value, OpenRollup.n)).all()
        closing.finish(session, number, now=LATE + DAY, rule=USUAL)
        assert session.execute(select(OpenRollup.value, OpenRollup.n)).all() == before
        assert sorted(tuple(row) for row in before) == [("DE", 40), ("rest", 5)]


def test_what_is_little_is_counted_in_what_is_coarser_and_sums_stay() -> None:
    hours = {("2026-03-02T09", 1): 50, ("2026-03-02T10", 1): 12, ("2026-03-02T11", 1): 9}
    few = {("2026-03-09T01", 1): 2, ("2026-03-09T02", 2): 30, ("2026-04-01T02", 1): 1}
    after = closing.folded("hour", hours | few, 20)
    assert after == {
        ("2026-03-02T09", 1): 50,
        ("2026-03-02", 1): 21,
        ("2026-03-09T02", 2): 30,
        ("rest", 1): 3,
    }
    assert closing.folded("client", {("2", 1): 20, ("3", 1): 19, ("7", 1): 4}, 20) == {
        ("2", 1): 20,
        ("7", 1): 23,
    }
    assert closing.folded("hour", after, 20) == after


def test_a_closed_campaign_is_made_anew_by_nobody(db: Database) -> None:
    number = sent(db)
    job(db, LATE)
    later(db, number, opened=900)
    assert not released(db, number, now=LATE + 30 * DAY, asked=True)
    with db.transaction() as session:
        assert not releases.refresh(
            session, find(session, number), now=LATE + 60 * DAY, rule=USUAL, asked=True
        )
