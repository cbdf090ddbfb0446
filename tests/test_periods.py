"""For how long things are kept: shorter as anybody likes, longer with a reason."""

from datetime import UTC, datetime

import pytest

from mailprefs import periods
from mailprefs.periods import KNOWN, Unit, months_before, read, usual


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2027, 12, 22, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)),
        (datetime(2027, 3, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2027, 1, 5, tzinfo=UTC), datetime(2025, 12, 5, tzinfo=UTC)),
    ],
)
def test_thirteen_months_are_months_of_the_calendar(now: datetime, expected: datetime) -> None:
    assert months_before(now, 13) == expected


def test_nothing_said_is_what_is_usual() -> None:
    assert read("") == read(" ; ") == usual()


def test_shorter_needs_no_reason() -> None:
    found = read("vendor_events: 3 days;details:1 day; ledger : 12 months")
    assert [str(found[one]) for one in ("vendor_events", "details", "ledger")] == [
        "3 days",
        "1 day",
        "12 months",
    ]
    assert found["alarms"] == usual()["alarms"]


def test_longer_is_kept_with_its_reason() -> None:
    ledger = read("ledger: 60 months because our regulator asks for it")["ledger"]
    assert ledger == (60, Unit.MONTHS, "our regulator asks for it")


def test_a_reason_for_a_shorter_one_is_not_shown_as_one_for_longer() -> None:
    assert read("ledger: 6 months because we can")["ledger"].because is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ledger: 60 months", "for longer say why"),
        ("ledger: 60 months because", "can't be read"),
        ("visits: 3 days", "no rule visits"),
        ("ledger", "can't be read"),
        ("ledger: 3", "can't be read"),
        ("ledger: -3 months", "can't be read"),
        ("ledger: 3 weeks", "can't be read"),
        ("vendor_events: 1 day", "2 days at least"),
        ("evidence: 90 days", "4 months at least"),
        ("unconfirmed: 0 days", "1 day at least"),
        ("ledger: 12 months, alarms: 1 month", "can't be read"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text)


def test_no_usual_period_is_shorter_than_what_works() -> None:
    for known in KNOWN.values():
        assert known.least.days <= known.usual.days
    assert periods.usual()["evidence"].days > 90
