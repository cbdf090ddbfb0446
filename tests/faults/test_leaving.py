import random
import time
from collections.abc import Iterable

import pytest
from sqlalchemy import select

from mailprefs.policy import Skip
from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.schema.deliveries import Batch, BatchState, Delivery
from tests.faults.conftest import Furnish
from tests.faults.house import PATIENT, House
from tests.faults.processes import until
from tests.faults.verdicts import judge, require

# The machine may be busy with other tests.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PEOPLE, LEAVERS = 20_000, 500
RATE = 40
"""Recipients a second: with four threads, each waits several seconds for its turn."""


def next_in_line(house: House, number: int, count: int) -> list[int]:
    """Give the people whose batches are claimed next, and who have not left yet."""
    gone = {one.recipient_id for one in house.left}
    with house.parts.db.reading() as session:
        first = session.scalars(
            select(Batch.first_id)
            .where(Batch.campaign_id == number, Batch.state == BatchState.PENDING)
            .order_by(Batch.priority, Batch.id)
            .limit(1)
        ).one()
        people = session.scalars(
            select(Delivery.recipient_id)
            .where(Delivery.id >= first, Delivery.campaign_id == number)
            .order_by(Delivery.id)
            .limit(3 * count)
        ).all()
    return [one for one in people if one is not None and one not in gone][:count]


def leave(house: House, who: Iterable[int], seconds: float) -> None:
    """Let people leave one after the other, spread over some *seconds*."""
    listed = list(who)
    for recipient_id in listed:
        began = time.monotonic()
        assert house.leave(recipient_id)
        time.sleep(max(0.0, seconds / len(listed) - (time.monotonic() - began)))


def test_who_leaves_while_a_campaign_runs_is_in_no_request_that_begins_after_their_2xx(
    furnish: Furnish, draw: random.Random
) -> None:
    # Large ones, because after a 429 calls are made at a slow pace.
    with furnish(people=PEOPLE, batch_size=1_000, **PATIENT) as house:
        house.start_web()
        # Events of 20,000 people are another test's.
        house.vendor.events(paused=True)
        number = house.write()
        house.send(number)
        groups = house.start_workers(2, send_rate=RATE)
        until(lambda: house.vendor.accepted() > 0, "the first call")
        for _ in range(5):
            some = draw.sample(range(1, house.people + 1), 20)
            leave(house, dict.fromkeys([*next_in_line(house, number, 30), *some]), 3.0)
        # The vendor asks everybody to wait, for so long that half of them leave meanwhile.
        house.vendor.mood(Mood(kind=Kind.TOO_MANY, times=1, retry_after=8.0))
        until(lambda: house.vendor.requests()[-1].status == 429, "the vendor asks to wait")
        left = len(house.left)
        some = draw.sample(range(1, house.people + 1), LEAVERS - left - 100)
        leave(house, dict.fromkeys([*next_in_line(house, number, 100), *some]), 6.0)
        for group in groups:
            assert group.end() == 0
        house.start_workers(2)
        # And as fast as it goes.
        house.wait(number)
        found = require(judge(house, [number]))
        shown = house.show(number)
    assert found.left >= 0.9 * LEAVERS
    assert shown["skipped"].get(Skip.UNSUBSCRIBED.value, 0) >= 0.6 * LEAVERS
    assert shown["sent"] + sum(shown["skipped"].values()) == PEOPLE
