"""What did not go is taken off the limits: where it was counted, there only, and never below none.

So is it off those whose opens were to be told apart. And calls that the vendor refuses again and
again stay at a pace at which something goes.
"""

from datetime import timedelta

import pytest
from sqlalchemy import update

from mailprefs.db.database import Database
from mailprefs.deliveries import calls, limits
from mailprefs.schema.deliveries import VendorPace
from mailprefs.schema.opens import Measured, MeasuredTotal
from mailprefs.schema.sending import SendCount
from mailprefs.vendor.message import Outcome, Verdict
from tests.sending import NOW, answer, check_measured, make_frozen, take_one

DELIVERED, APPLE = 1, 2
HOUR, DAY = NOW.replace(minute=0), NOW.replace(hour=0, minute=0)
COUNTED = {"turn_at": NOW, "turn_n": 5, "hour_at": HOUR, "hour_n": 5, "day_at": DAY, "day_n": 5}


@pytest.fixture
def counted(db: Database) -> Database:
    """Give a store in which five promotional recipients were counted this hour."""
    with db.transaction() as session:
        for name in ("all", "promotional", "administrative"):
            session.add(SendCount(name=name, **COUNTED))
    return db


def numbers(db: Database) -> dict[str, tuple[int, int]]:
    with db.reading() as session:
        return {one.name: (one.hour_n, one.day_n) for one in session.query(SendCount)}


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (NOW, (3, 3)),
        (HOUR - timedelta(minutes=1), (5, 3)),
        (DAY - timedelta(minutes=1), (5, 5)),
    ],
    ids=["this hour", "earlier today", "yesterday"],
)
def test_it_is_taken_off_the_hour_and_the_day_in_which_it_was_counted(
    counted: Database, at: object, left: tuple[int, int]
) -> None:
    with counted.transaction() as session:
        limits.give_back(session, ("all", "promotional"), 2, at=at)  # type: ignore[arg-type]  # a datetime, by the parameters
    assert numbers(counted) == {"all": left, "promotional": left, "administrative": (5, 5)}


def test_more_than_was_counted_makes_no_room_beyond_the_limit(counted: Database) -> None:
    with counted.transaction() as session:
        limits.give_back(session, ("all",), 7, at=NOW)
    assert numbers(counted)["all"] == (0, 0)


def test_however_often_the_vendor_refuses_something_is_tried_every_two_seconds(
    db: Database,
) -> None:
    """A pace that shrank with each refusal would come to a standstill that nobody ends."""
    make_frozen(db, 90)
    answer(db, take_one(db))
    refused = take_one(db)
    for _ in range(6):
        answer(db, refused, Outcome(verdict=Verdict.LATER, status=429))
        with db.transaction() as session:
            session.execute(update(VendorPace).values(wait_until=None))
        refused = take_one(db)
    with db.reading() as session:
        found = calls.show(session)
    assert found is not None
    assert found.a_second == pytest.approx(0.5)


def test_of_whom_something_is_known_already_nothing_is_taken_back(db: Database) -> None:
    """An open may come before the answer: then the message is there, whatever the answer says."""
    campaign_id = make_frozen(db, 3)
    taken = take_one(db)
    opened, by_apple, _ = (person.delivery_id for person in taken.people)
    with db.transaction() as session:
        session.get_one(MeasuredTotal, (campaign_id, 0)).n -= 2
        for delivery_id, bits in ((opened, DELIVERED), (by_apple, APPLE)):
            session.get_one(Measured, delivery_id).bits = bits
            session.add(MeasuredTotal(campaign_id=campaign_id, bits=bits, n=1))
    with db.reading() as session:
        assert session.query(Measured).count() == 3
    answer(db, taken, Outcome(verdict=Verdict.NOT_CONNECTED, reason="Refused."))
    with db.reading() as session:
        assert [one.delivery_id for one in session.query(Measured)] == [opened]
    check_measured(db)


def test_of_the_batches_beside_it_nothing_is_taken_back(db: Database) -> None:
    make_frozen(db, 9)
    first, second, third = (take_one(db) for _ in range(3))
    answer(db, second, Outcome(verdict=Verdict.NOT_CONNECTED, reason="Refused."))
    kept = [person.delivery_id for taken in (first, third) for person in taken.people]
    with db.reading() as session:
        assert sorted(one.delivery_id for one in session.query(Measured)) == kept
    check_measured(db)
