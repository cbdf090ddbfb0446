"""The vendor's pace of calls: learned from one refusal, kept by all, and grown out of with care."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from mailprefs import audit
from mailprefs.campaigns import states
from mailprefs.db.database import Database
from mailprefs.deliveries import calls, pace
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.pace import Wait
from mailprefs.jobs.office import utc_now
from mailprefs.schema.deliveries import VendorPace
from mailprefs.schema.sending import CallPace
from mailprefs.vendor.message import Outcome, Verdict
from tests.sending import answer, make_frozen, take, take_one

REFUSED = Outcome(verdict=Verdict.LATER, status=429)


@pytest.fixture(autouse=True)
def _many(db: Database) -> None:
    """Store a frozen newsletter to ninety people, in thirty batches."""
    make_frozen(db, 90)


def refuse(db: Database, accepted: int = 10) -> Claim:
    """Let the vendor take some calls and refuse the next one; the common wait is over then."""
    for _ in range(accepted):
        answer(db, take_one(db))
    refused = take_one(db)
    answer(db, refused, REFUSED)
    with db.transaction() as session:
        session.execute(update(VendorPace).values(wait_until=None))
    return refused


def learned(db: Database) -> float | None:
    with db.reading() as session:
        found = calls.show(session)
    return found.a_second if found else None


def shift(db: Database, distance: timedelta) -> None:
    """Let the last refusal, and the last call, be longer ago."""
    with db.transaction() as session:
        row = session.query(CallPace).one()
        row.refused_at -= distance
        session.query(VendorPace).one().next_turn_at -= distance


def test_one_refusal_teaches_four_fifths_of_what_was_taken(db: Database) -> None:
    refuse(db)
    assert learned(db) is None, "the first claim after the wait works it out"
    assert isinstance(take(db), Claim)
    assert learned(db) == pytest.approx(8.0)
    wait = take(db)
    assert isinstance(wait, Wait)
    assert 0 < wait.seconds <= 1 / 8


def test_refusals_of_calls_from_before_teach_nothing_more(db: Database) -> None:
    early = [take_one(db), take_one(db)]
    refuse(db, accepted=8)
    for one in early:
        answer(db, one, REFUSED)
    with db.transaction() as session:
        assert pace.show(session).waits == 1, "three at once make one wait"
        session.execute(update(VendorPace).values(wait_until=None))
    take_one(db)
    assert learned(db) == pytest.approx(0.8 * 8)


def test_a_second_refusal_makes_it_slower_still(db: Database) -> None:
    refuse(db)
    paced = take_one(db)
    answer(db, paced, REFUSED)
    with db.transaction() as session:
        session.execute(update(VendorPace).values(wait_until=None))
    shift(db, timedelta(milliseconds=1))
    take_one(db)
    now = learned(db)
    assert now is not None
    assert calls.SLOWEST <= now <= 0.8 * 8


def test_it_stays_grows_slowly_and_is_forgotten(db: Database) -> None:
    refuse(db)
    take_one(db)
    shift(db, calls.QUIET - timedelta(seconds=5))
    assert learned(db) == pytest.approx(8.0)
    shift(db, timedelta(minutes=10))
    assert learned(db) == pytest.approx(8 * 1.05**10, rel=0.02)
    shift(db, timedelta(minutes=60))
    assert learned(db) is None
    for _ in range(2):
        assert isinstance(take(db), Claim), "nothing is paced any more"
    with db.reading() as session:
        assert session.query(CallPace).count() == 0
        assert pace.show(session).next_turn_at == pace.BEGINNING


def test_what_an_older_release_left_in_the_row_paces_nothing(db: Database) -> None:
    take_one(db)
    with db.transaction() as session:
        row = session.query(VendorPace).one()
        row.next_turn_at = pace.BEGINNING + timedelta(days=99_999)
    assert isinstance(take(db), Claim)
    assert isinstance(take(db), Claim)


def test_a_refusal_with_nothing_taken_before_it_teaches_no_pace(db: Database) -> None:
    refuse(db, accepted=0)
    take_one(db)
    assert learned(db) is None
    assert isinstance(take(db), Claim), "the common wait was the answer"


def test_whoever_starts_sending_again_starts_at_full_speed(db: Database) -> None:
    refuse(db)
    take_one(db)
    assert learned(db) == pytest.approx(8.0)
    with db.transaction() as session:
        states.start_sending(session, audit.CONSOLE, now=utc_now())
    assert learned(db) is None
    assert isinstance(take(db), Claim)
    assert isinstance(take(db), Claim)
