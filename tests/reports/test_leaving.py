"""Why people left: sums about enough people, in which nobody's answer can be found."""

from itertools import product

import pytest
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.policy import LeavingReason
from mailprefs.reports import leaving
from mailprefs.reports.cells import FEWEST, LEAST_PEOPLE
from mailprefs.reports.leaving import Month, tellable
from mailprefs.schema.choices import LeavingReasonTotal
from tests.factories import make_topic, stored

MANY, DULL, NEVER, OTHER = LeavingReason


def given(session: Session, topic_id: int, month: str, **numbers: int) -> None:
    for reason, n in numbers.items():
        total = LeavingReasonTotal(
            topic_id=topic_id, month=month, reason=LeavingReason(reason), n=n
        )
        stored(session, total)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((12, 5, 4, 3), {MANY: 12, DULL: 5, NEVER: 4, OTHER: 3}),
        ((12, 5, 2, 1), {MANY: 12, DULL: 5}),
        ((12, 5, 4, 1), {MANY: 12, DULL: 5}),
        ((20, 3, 0, 0), {MANY: 20}),
        ((20, 2, 0, 0), {}),
        ((25, 0, 0, 0), {}),
    ],
)
def test_a_reason_is_told_only_while_enough_gave_it_and_enough_another(
    numbers: tuple[int, ...], told: dict[LeavingReason, int]
) -> None:
    assert tellable({one: n for one, n in zip(LeavingReason, numbers, strict=True) if n}) == told


def test_no_small_number_can_be_computed_from_what_is_told() -> None:
    """Whatever was answered: each told number and what remains are of three people or more."""
    for numbers in product(range(8), repeat=4):
        exact = {one: n for one, n in zip(LeavingReason, numbers, strict=True) if n}
        told = tellable(exact)
        rest = sum(numbers) - sum(told.values())
        assert all(n >= FEWEST and exact[one] == n for one, n in told.items())
        if told and len(told) < len(LeavingReason):
            assert rest >= FEWEST, numbers


def test_only_whole_months_of_enough_answers_are_told(db: Database) -> None:
    with db.transaction() as session:
        news, offers = make_topic(session, name="News").id, make_topic(session, name="Offers").id
        given(session, news, "2026-10", too_many=15, other=5)
        given(session, offers, "2026-10", too_many=LEAST_PEOPLE - 1)
        given(session, news, "2026-11", too_many=400, other=500)
        given(session, 0, "2026-09", never_signed_up=30, too_many=10)
        found = leaving.months(session, before="2026-11", rounded=False)
    assert found == (
        [
            Month("News", "2026-10", 20, {MANY: 15}, 5),
            Month(None, "2026-09", 40, {NEVER: 30}, 10),
        ],
        1,
    )


def test_analysts_get_fives(db: Database) -> None:
    with db.transaction() as session:
        given(session, make_topic(session, name="News").id, "2026-10", too_many=17, other=7)
        (month,), _ = leaving.months(session, before="2026-11", rounded=True)
    assert month == Month("News", "2026-10", 25, {MANY: 15}, 5)
