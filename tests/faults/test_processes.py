import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailprefs.errors import Conflict, MailprefsError
from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.schema.campaigns import CampaignState
from tests.faults.conftest import Furnish
from tests.faults.house import ADMINISTRATIVE, PATIENT
from tests.faults.processes import until
from tests.faults.rounds import settle
from tests.faults.verdicts import judge, require

# The machine may be busy with other tests.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def test_a_group_that_stood_still_past_its_lease_sends_nobody_twice(furnish: Furnish) -> None:
    with furnish(people=200) as house:
        house.start_web()
        house.vendor.mood(Mood(kind=Kind.DELAY, seconds=0.4))
        numbers = [house.write(), house.write(ADMINISTRATIVE)]
        for number in numbers:
            house.send(number)
        still, _ = house.start_workers(2)
        until(lambda: house.vendor.accepted() > 40, "both are at work")
        still.freeze()
        time.sleep(house.parts.settings.lease + house.parts.settings.read_timeout)
        still.thaw()
        house.wait(*numbers)
        settle(house, *numbers)
        found = require(judge(house, numbers))
        # It had its two calls in flight, which were accepted: nothing of them stays unknown.
        assert found.unknown == 0
        assert found.accepted >= 400


def test_a_group_that_is_asked_to_end_finishes_its_calls_and_leaves_nothing_unclear(
    furnish: Furnish,
) -> None:
    with furnish(people=200, **PATIENT) as house:
        house.vendor.mood(Mood(kind=Kind.DELAY, seconds=0.5))
        number = house.write()
        house.send(number)
        first, second = house.start_workers(2)
        for group in (first, second):
            accepted = house.vendor.accepted()
            until(lambda: house.vendor.accepted() > accepted, "calls are in flight")  # noqa: B023 - called before the next turn
            group.terminate()
            assert group.wait(10) == 0, group.said()
        assert house.show(number)["unknown"] == 0
        requests = len(house.vendor.requests())
        time.sleep(0.7)
        assert len(house.vendor.requests()) == requests
        house.vendor.mood(Mood(kind=Kind.DELAY, seconds=0.05))
        house.start_workers(2)
        house.wait(number)
        found = require(judge(house, [number]))
    assert (found.sent, found.unclear) == (200, 0)


def test_four_groups_many_clicks_on_send_and_a_pause_in_the_midst_send_everybody_once(
    furnish: Furnish,
) -> None:
    with furnish(people=400, **PATIENT) as house:
        house.vendor.mood(Mood(kind=Kind.DELAY, seconds=0.2))
        house.start_workers(4)
        number = house.write()

        def click(_: int) -> bool:
            try:
                house.send(number)
            except (Conflict, MailprefsError):
                return False
            return True

        with ThreadPoolExecutor(8) as many:
            assert sum(many.map(click, range(20))) == 1
        until(lambda: house.vendor.accepted() >= 100, "the campaign is on its way")
        for _ in range(2):
            house.pause(number)
            time.sleep(0.6)  # calls in flight finish
            accepted = house.vendor.accepted()
            time.sleep(1.0)
            assert house.vendor.accepted() == accepted
            assert house.state(number) is CampaignState.PAUSED
            house.resume(number)
            time.sleep(0.4)
        house.wait(number)
        found = require(judge(house, [number]))
    assert (found.sent, found.unclear) == (400, 0)
