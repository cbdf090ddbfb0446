"""The answer to leaving: no request that holds the person can begin after it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from mailprefs.db.database import Database
from mailprefs.db.dialects import database_time
from mailprefs.deliveries.claim import START_WITHIN, Claim
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs import in_flight
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.policy import MessageClass
from mailprefs.schema.deliveries import Delivery, HandOver
from tests.fakes import Sleeper
from tests.sending import answer, make_frozen, take_one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    made = Sleeper()
    monkeypatch.setattr(in_flight, "time", made)
    return made


def person(db: Database, delivery_id: int) -> int:
    with db.reading() as session:
        recipient_id = session.get_one(Delivery, delivery_id).recipient_id
    assert recipient_id is not None
    return recipient_id


def held(db: Database, claimed: Claim) -> int:
    """Give somebody who is in a claim."""
    return person(db, claimed.people[-1].delivery_id)


def test_leaving_is_answered_at_once_to_who_is_in_no_request(db: Database, clock: Sleeper) -> None:
    make_frozen(db, 7)
    claimed = take_one(db)
    answer(db, claimed)
    second = take_one(db)
    wait_for_requests(db, held(db, claimed))
    wait_for_requests(db, person(db, second.held.last_id + 1))
    assert clock.slept == 0


def test_leaving_is_answered_when_the_request_with_the_person_is(
    db: Database, clock: Sleeper
) -> None:
    make_frozen(db, 7)
    claimed = take_one(db)
    steps: Iterator[object] = iter([None, None, claimed])

    def happens() -> None:
        if next(steps) is claimed:
            answer(db, claimed)

    clock.happens = happens
    wait_for_requests(db, held(db, claimed))
    assert list(steps) == []
    assert 0 < clock.slept < START_WITHIN


def test_leaving_is_answered_when_a_request_would_begin_too_late(
    db: Database, clock: Sleeper
) -> None:
    make_frozen(db, 7)
    wait_for_requests(db, held(db, take_one(db)))
    assert START_WITHIN < clock.slept < START_WITHIN + 0.5


def test_leaving_waits_for_no_call_that_takes_long(db: Database, clock: Sleeper) -> None:
    make_frozen(db, 7)
    claimed = take_one(db)
    with db.transaction() as session:
        long_ago = database_time(session) - timedelta(seconds=11)
        session.execute(update(HandOver).values(claimed_at=long_ago))
    wait_for_requests(db, held(db, claimed))
    assert clock.slept == 0


def test_leaving_waits_for_no_notice(db: Database, clock: Sleeper) -> None:
    make_frozen(db, 7, MessageClass.ADMINISTRATIVE)
    wait_for_requests(db, held(db, take_one(db)))
    assert clock.slept == 0


def test_leaving_waits_while_nobody_can_tell(
    db: Database, clock: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(db, "seeing", lost)
    wait_for_requests(db, 1)
    assert clock.slept > START_WITHIN
