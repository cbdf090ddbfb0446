import time

import pytest

from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.schema.campaigns import CampaignState
from tests.faults.conftest import Furnish
from tests.faults.house import ADMINISTRATIVE, PATIENT, House, address
from tests.faults.processes import until
from tests.faults.rounds import settle
from tests.faults.scenarios import SLOW, errors
from tests.faults.verdicts import Figures, judge, require

# The machine may be busy with other tests.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def finish(house: House, *numbers: int) -> Figures:
    """Wait for the end, and for whatever is told after it; give the verdict."""
    house.wait(*numbers)
    settle(house, *numbers)
    return require(judge(house, numbers))


def test_an_answer_that_is_lost_sends_nobody_again_and_what_was_dropped_is_held(
    furnish: Furnish,
) -> None:
    moods = [
        Mood(kind=kind, times=1, seconds=0.1)
        for wrong in (Kind.DROP_AFTER, Kind.DROP_BEFORE, Kind.ERROR_AFTER, Kind.ERROR)
        for kind in (wrong, *[Kind.DELAY] * 3)
    ]
    with furnish(people=300, **PATIENT) as house:
        house.start_web()
        house.vendor.events(paused=True)
        house.vendor.mood(*moods, SLOW)
        number = house.write()
        house.send(number)
        house.start_workers(2)
        house.wait(number)
        before = house.show(number)
        require(judge(house, [number]))
        # Now the vendor tells of the two that it had accepted.
        house.vendor.events(paused=False)
        found = finish(house, number)
        after = house.show(number)
    assert (before["state"], before["sent"], before["unknown"]) == ("held", 260, 40)
    assert (after["state"], after["sent"], after["unknown"]) == ("held", 280, 20)
    assert found.unclear == 4


def test_a_notice_of_unknown_fate_goes_once_more_and_a_second_copy_is_told_of(
    furnish: Furnish,
) -> None:
    # Accepted long after lease and time to settle: by then it has gone again.
    late = Mood(kind=Kind.ACCEPT_LATE, times=1, seconds=6.0)
    with furnish(people=60) as house:
        house.start_web()
        house.vendor.mood(late, Mood(kind=Kind.DROP_BEFORE, times=1), SLOW)
        number = house.write(ADMINISTRATIVE)
        house.send(number)
        house.start_workers(2)
        until(lambda: len(house.vendor.requests()) == 6 + 2, "both have gone again")
        found = finish(house, number)
        shown = house.show(number)
    assert (shown["state"], shown["sent"], shown["unknown"]) == ("finished", 60, 0)
    assert found.second_copies == 10


def test_an_address_that_is_refused_costs_one_person_and_a_storm_of_429_nobody(
    furnish: Furnish,
) -> None:
    # After a storm calls are made at a slow pace, so there are few of them.
    with furnish(people=200, batch_size=50) as house:
        house.start_web()
        storm = Mood(kind=Kind.TOO_MANY, times=5, retry_after=0.2)
        house.vendor.mood(Mood(kind=Kind.REFUSE_ADDRESS, address=address(77)), storm, SLOW)
        number = house.write()
        house.send(number)
        house.start_workers(2)
        finish(house, number)
        shown = house.show(number)
    assert shown["failed"] == {"refused_address": 1}
    assert (shown["sent"], shown["unknown"]) == (199, 0)


def test_an_answer_after_a_long_time_is_still_an_answer(furnish: Furnish) -> None:
    patience = {"read_timeout": 6, "lease": 8}
    with furnish(people=40, **patience) as house:
        house.vendor.mood(Mood(kind=Kind.ACCEPT_LATE, times=2, seconds=4.0), SLOW)
        number = house.write()
        house.send(number)
        house.start_workers()
        finish(house, number)
        shown = house.show(number)
    assert (shown["state"], shown["sent"], shown["unknown"]) == ("finished", 40, 0)


def test_exhausted_credits_stop_all_sending_with_the_reason_and_starting_again_finishes(
    furnish: Furnish,
) -> None:
    with furnish(people=200) as house:
        # At 60 % of the calls.
        paid = Mood(kind=Kind.DELAY, seconds=0.05, times=12)
        house.vendor.mood(paid, Mood(kind=Kind.UNAUTHORIZED))
        number = house.write()
        house.send(number)
        house.start_workers(2)
        until(house.why_stopped, "all sending is stopped")
        assert "401" in (house.why_stopped() or "")
        time.sleep(1)
        shown = house.show(number)
        assert (shown["sent"], shown["pending"]) == (120, 80)
        house.vendor.mood(SLOW)
        house.start_sending()
        if house.state(number) is CampaignState.PAUSED:
            house.resume(number)
        finish(house, number)
        shown = house.show(number)
    assert (shown["state"], shown["sent"]) == ("finished", 200)


def test_some_seconds_of_500_leave_no_more_unknown_than_was_in_flight_and_the_probes(
    furnish: Furnish,
) -> None:
    with furnish(people=1_600, batch_size=20, **PATIENT) as house:
        found = require(errors(house, after=300, seconds=4.0))
    assert 0 < found.unknown < 200
