import pytest

from mailprefs.reports.cells import Shown, cell, may_be_split, releasable, rounded
from mailprefs.reports.statistic import Seen


@pytest.mark.parametrize(
    ("n", "of", "shown"),
    [
        (10, 19, Shown.WITHHELD),
        (10, 20, Shown.EXACT),
        (10, 21, Shown.EXACT),
        (0, 20, Shown.UNDER),
        (2, 20, Shown.UNDER),
        (3, 20, Shown.EXACT),
        (17, 20, Shown.EXACT),
        (18, 20, Shown.OVER),
        (20, 20, Shown.OVER),
        (0, 0, Shown.WITHHELD),
    ],
)
def test_a_number_is_shown_only_if_enough_did_and_enough_did_not(
    n: int, of: int, shown: Shown
) -> None:
    assert cell(n, of).shown is shown


def test_what_may_not_be_shown_is_not_in_the_answer() -> None:
    assert cell(7, 19).as_json() == {"shown": "withheld", "n": None, "of": None, "rate": None}
    assert cell(1, 25).as_json() == {"shown": "under", "n": None, "of": 25, "rate": 0.12}
    assert cell(24, 25).as_json() == {"shown": "over", "n": None, "of": 25, "rate": 0.88}
    assert cell(10, 30).as_json() == {"shown": "exact", "n": 10, "of": 30, "rate": 0.333}


def test_one_or_two_apple_people_are_counted_with_the_others() -> None:
    seen = Seen(delivered=200, apple=2, others_opened=50, apple_opened=1, loaded=90)
    assert releasable(seen) == Seen(200, 0, 51, 0, 90)


@pytest.mark.parametrize(
    ("apple", "opened", "released"),
    [(100, 2, 0), (100, 3, 3), (100, 97, 97), (100, 98, 97), (100, 100, 97), (19, 9, 0)],
)
def test_few_apple_openers_are_not_computed_from_what_is_shown(
    apple: int, opened: int, released: int
) -> None:
    seen = Seen(delivered=300, apple=apple, others_opened=50, apple_opened=opened, loaded=150)
    assert releasable(seen).apple_opened == released
    assert releasable(seen).opened == 50 + released


def test_the_parts_are_shown_apart_only_if_the_seen_part_may_be() -> None:
    fine = Seen(delivered=60, apple=40, others_opened=3, apple_opened=0, loaded=50)
    assert may_be_split(fine)
    assert not may_be_split(fine._replace(others_opened=2))
    assert not may_be_split(fine._replace(others_opened=18))
    assert not may_be_split(fine._replace(apple=41))


def test_analysts_get_fives_and_never_more_than_all() -> None:
    assert rounded(Seen(1003, 498, 152, 2, 651)) == Seen(1005, 500, 150, 0, 650)
    assert rounded(Seen(22, 0, 19, 0, 22)) == Seen(20, 0, 20, 0, 20)
    odd = rounded(Seen(33, 13, 20, 13, 33))
    assert odd.others_opened <= odd.others and odd.apple_opened <= odd.apple
