import random
from datetime import timedelta
from itertools import pairwise
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprefs.reports.statistic import Doubt, Seen, doubts, estimate

OLD = timedelta(days=5)
GOOD = Seen(delivered=1000, apple=500, others_opened=150, apple_opened=0, loaded=700)


def counted(others_opened: int, others: int, apple: int, apple_opened: int) -> Seen:
    """Give what was seen by the letters (H, N, M, C) of the formula."""
    return Seen(others + apple, apple, others_opened, apple_opened, others_opened + apple)


@st.composite
def anything_seen(draw: st.DrawFn) -> Seen:
    others = draw(st.integers(1, 5_000))
    apple = draw(st.integers(0, 5_000))
    opened = draw(st.integers(0, others))
    return counted(opened, others, apple, draw(st.integers(0, apple)))


@pytest.mark.parametrize(
    ("letters", "rate", "low", "high"),
    [
        ((150, 500, 500, 0), 0.300, 0.2724, 0.3291),
        ((150, 500, 0, 0), 0.300, 0.300, 0.300),
        ((150, 500, 500, 200), 0.350, 0.350, 0.350),
        ((0, 30, 10, 0), 0.0, 0.0, 0.0310),
    ],
)
def test_worked_examples_come_out_to_four_places(
    letters: tuple[int, int, int, int], rate: float, low: float, high: float
) -> None:
    found = estimate(counted(*letters))
    assert (found.rate, found.low, found.high) == pytest.approx((rate, low, high), abs=1e-4)


def test_the_range_supposes_that_apple_people_open_less_or_more() -> None:
    # 500 others, 150 of whom opened; the interval 0.2724 to 0.3291 predicts 122.4 to 179.1 openers
    # among the 500 Apple people. 0.8 of the least and 1.25 of the most make 247.9 and 373.9.
    found = estimate(GOOD)
    assert found.low_if_less == pytest.approx(0.2479, abs=1e-4)
    assert found.high_if_more == pytest.approx(0.3739, abs=1e-4)


def test_without_apple_people_the_estimate_is_what_was_seen() -> None:
    found = estimate(counted(37, 211, 0, 0))
    assert set(found) == {37 / 211}


def test_nobody_to_see_gives_no_estimate() -> None:
    with pytest.raises(ValueError, match="whose opens can be seen"):
        estimate(counted(0, 0, 40, 3))
    assert Doubt.FEW_OTHERS in doubts(counted(0, 0, 40, 3), age=OLD, share=1)


@given(anything_seen())
def test_an_estimate_lies_in_its_interval_and_the_interval_in_the_possible(seen: Seen) -> None:
    found = estimate(seen)
    most = (seen.others_opened + seen.apple) / seen.delivered
    ordered = (0, found.low_if_less, found.low, found.rate, found.high, found.high_if_more, most, 1)
    for before, after in pairwise(ordered):
        assert before <= after or isclose(before, after, abs_tol=1e-12)
    assert found.low >= seen.opened / seen.delivered - 1e-12


@given(anything_seen())
def test_whoever_surely_read_never_lowers_the_estimate(seen: Seen) -> None:
    if seen.apple_opened:
        fewer = seen._replace(apple_opened=seen.apple_opened - 1)
        assert estimate(fewer).rate <= estimate(seen).rate


def test_the_interval_covers_the_true_rate_as_often_as_it_says() -> None:
    draw = random.Random(20260104)
    runs, people, apple, chance = 2_000, 1_000, 500, 0.25
    covered = 0
    for _ in range(runs):
        seen_opens = sum(draw.random() < chance for _ in range(people - apple))
        hidden_opens = sum(draw.random() < chance for _ in range(apple))
        found = estimate(counted(seen_opens, people - apple, apple, 0))
        covered += found.low <= (seen_opens + hidden_opens) / people <= found.high
    assert 0.93 <= covered / runs <= 0.97


def test_a_good_campaign_raises_no_doubt() -> None:
    assert doubts(GOOD, age=OLD, share=0.9) == ()


@pytest.mark.parametrize(
    ("seen", "age", "share", "doubt"),
    [
        (counted(0, 0, 0, 0), OLD, 1.0, Doubt.NOT_MEASURED),
        (GOOD, timedelta(hours=47, minutes=59), 0.9, Doubt.YOUNG),
        (GOOD, None, 0.9, Doubt.YOUNG),
        (counted(40, 99, 10, 0), OLD, 0.9, Doubt.FEW_OTHERS),
        (counted(9, 500, 400, 0), OLD, 0.9, Doubt.FEW_OF_EACH),
        (counted(491, 500, 400, 0), OLD, 0.9, Doubt.FEW_OF_EACH),
        (counted(600, 3_000, 12_001, 0), OLD, 0.9, Doubt.MOSTLY_APPLE),
        (GOOD, OLD, 0.199, Doubt.LOW_SHARE),
        (counted(50, 100, 100, 0), OLD, 0.9, Doubt.WIDE),
    ],
)
def test_each_doubt_alone_hides_the_estimate_and_says_why(
    seen: Seen, age: timedelta | None, share: float, doubt: Doubt
) -> None:
    assert doubts(seen, age=age, share=share) == (doubt,)
    assert doubt.sentence.endswith(".")


@pytest.mark.parametrize(
    ("seen", "age", "share"),
    [
        (GOOD, timedelta(hours=48), 0.9),
        (counted(40, 100, 5, 0), OLD, 0.9),
        (counted(10, 500, 400, 0), OLD, 0.9),
        (counted(600, 3_000, 12_000, 0), OLD, 0.9),
        (GOOD, OLD, 0.2),
    ],
)
def test_the_limits_themselves_raise_no_doubt(seen: Seen, age: timedelta, share: float) -> None:
    assert doubts(seen, age=age, share=share) == ()
