import pytest

from mailprefs.sandbox.moods import Kind, Mood
from tests.faults.conftest import Furnish
from tests.faults.house import ADMINISTRATIVE
from tests.faults.processes import until
from tests.faults.rounds import settle
from tests.faults.verdicts import judge, require

# The machine may be busy with other tests.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

AWAY = 6.0
"""Seconds: longer than the busy timeout, the lease and the time to settle."""


def test_a_database_that_goes_away_and_comes_back_costs_nobody_a_message(
    furnish: Furnish,
) -> None:
    with furnish(people=250) as house:
        house.start_web()
        house.vendor.mood(Mood(kind=Kind.DELAY, seconds=0.2))
        numbers = [house.write(), house.write(ADMINISTRATIVE)]
        for number in numbers:
            house.send(number)
        groups = house.start_workers(2)
        until(lambda: house.vendor.accepted() > 100, "the campaigns are on their way")
        house.engine.store.go_away(house.parts.settings.database, AWAY)
        assert all(group.is_alive for group in groups)
        house.wait(*numbers)
        settle(house, *numbers)
        found = require(judge(house, numbers))
    # Nobody was killed and every call was answered: the answers were kept until they could be
    # written down, and a late answer counts.
    assert (found.sent, found.unknown) == (500, 0)
