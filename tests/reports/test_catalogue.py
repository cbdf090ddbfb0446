"""A topic's months: whole ones only, made of released numbers."""

from datetime import UTC, datetime

import pytest

from mailprefs.db.database import Database
from mailprefs.reports import catalogue
from tests.factories import make_topic
from tests.reports.counting import campaign

MARCH, APRIL = datetime(2026, 3, 9, 9, 0, tzinfo=UTC), datetime(2026, 4, 6, 9, 0, tzinfo=UTC)


def months(db: Database) -> list[tuple[str, int]]:
    """Give the months that are told, each with its campaigns."""
    with db.reading() as session:
        found = catalogue.months(session, rounded=False)
    return [(one.month, one.campaigns + one.left_out) for one in found]


def sent(db: Database, *begun: datetime, zone: str = "Europe/Berlin") -> None:
    """Store campaigns of one topic, begun at these times."""
    with db.transaction() as session:
        topic = make_topic(session).id
        for moment in begun:
            campaign(session, topic_id=topic, first_hand_over_at=moment, report_zone=zone)


def test_a_month_of_which_only_a_part_is_read_is_not_told(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(db, MARCH, MARCH, MARCH, APRIL, APRIL)
    assert months(db) == [("2026-04", 2), ("2026-03", 3)]
    monkeypatch.setattr(catalogue, "NEWEST", 5)
    assert months(db) == [("2026-04", 2), ("2026-03", 3)]
    monkeypatch.setattr(catalogue, "NEWEST", 4)
    assert months(db) == [("2026-04", 2)]
    # The first that isn't told is of March, so April is whole.
    monkeypatch.setattr(catalogue, "NEWEST", 2)
    assert months(db) == [("2026-04", 2)]


def test_a_month_that_began_earlier_elsewhere_is_whole_or_not_told(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_of_march = datetime(2026, 3, 31, 15, 0, tzinfo=UTC)
    # In Kiritimati it is April by then, fourteen hours ahead.
    sent(db, last_of_march, APRIL, zone="Pacific/Kiritimati")
    assert months(db) == [("2026-04", 2)]
    monkeypatch.setattr(catalogue, "NEWEST", 1)
    assert months(db) == []
