import random

import pytest

from tests.faults import pixels
from tests.faults.conftest import Furnish

# The machine may be busy with other tests.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def test_every_fetch_that_was_answered_is_counted_once_though_the_service_is_killed(
    furnish: Furnish, draw: random.Random
) -> None:
    with furnish(people=20) as house:
        found = pixels.kills(house, draw, times=3)
    assert found.broken == []
    assert found.in_flight == 3
    assert found.accepted > 500


def test_the_pixel_answers_and_loses_nothing_while_the_database_is_away(furnish: Furnish) -> None:
    with furnish(people=20) as house:
        found = pixels.database_away(house, seconds=4.0)
    assert found.broken == []
    assert found.in_flight > 100
