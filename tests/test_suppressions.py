"""Addresses that are not to be mailed: by reason, each with its scope."""

from datetime import UTC, datetime, timedelta

import pytest

from mailprefs import suppressions
from mailprefs.db.database import Database
from mailprefs.policy import Scope, Source, SuppressionReason
from tests.factories import HASHER

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ANN = HASHER.hash("ann@example.com")
BOB = HASHER.hash("bob@example.com")


@pytest.mark.parametrize(
    ("reason", "scope"),
    [
        ("unsubscribed", "promotional"),
        ("complained", "promotional"),
        ("hard_bounce", "all"),
        ("invalid", "all"),
        ("erased", "all"),
    ],
)
def test_a_no_to_promotions_never_stops_administrative_mail(
    db: Database, reason: str, scope: str
) -> None:
    with db.transaction() as session:
        suppressions.add(session, ANN, 1, SuppressionReason(reason), Source.SYSTEM, now=NOW)
    with db.reading() as session:
        (found,) = suppressions.of(session, ANN)
    assert (found.reason.value, found.scope.value) == (reason, scope)


def test_the_first_cause_stays(db: Database) -> None:
    reason = SuppressionReason.UNSUBSCRIBED
    with db.transaction() as session:
        first = suppressions.add(
            session, ANN, 1, reason, Source.ONE_CLICK, now=NOW, delivery_id=(3 << 32) + 1
        )
        again = suppressions.add(
            session, ANN, 1, reason, Source.IMPORT, now=NOW + timedelta(days=1), delivery_id=None
        )
    assert (first, again) == (True, False)
    with db.reading() as session:
        (found,) = suppressions.of(session, ANN)
    assert (found.source, found.created_at) == (Source.ONE_CLICK, NOW)
    assert found.delivery_id == (3 << 32) + 1


def test_reasons_are_lifted_one_by_one_and_nobody_elses(db: Database) -> None:
    with db.transaction() as session:
        for who in (ANN, BOB):
            for reason in (SuppressionReason.UNSUBSCRIBED, SuppressionReason.HARD_BOUNCE):
                suppressions.add(session, who, 1, reason, Source.SYSTEM, now=NOW)
        assert suppressions.lift(session, ANN, SuppressionReason.UNSUBSCRIBED)
        assert not suppressions.lift(session, ANN, SuppressionReason.UNSUBSCRIBED)
    with db.reading() as session:
        assert [row.reason for row in suppressions.of(session, ANN)] == ["hard_bounce"]
        assert [row.reason for row in suppressions.of(session, BOB)] == [
            "unsubscribed",
            "hard_bounce",
        ]


def test_the_list_is_newest_first_by_pages_and_by_kind(db: Database) -> None:
    with db.transaction() as session:
        for number in range(5):
            suppressions.add(
                session,
                HASHER.hash(f"p{number}@example.com"),
                1,
                SuppressionReason.HARD_BOUNCE if number % 2 else SuppressionReason.COMPLAINED,
                Source.VENDOR,
                now=NOW,
            )
    with db.reading() as session:
        first = suppressions.listed(session, limit=2)
        second = suppressions.listed(session, limit=3, before_id=first[-1].id)
        bounced = suppressions.listed(session, reasons=[SuppressionReason.HARD_BOUNCE])
        promotional = suppressions.listed(session, scope=Scope.PROMOTIONAL)
    found = [row.address_hash for row in [*first, *second]]
    assert found == [HASHER.hash(f"p{number}@example.com") for number in (4, 3, 2, 1, 0)]
    assert len(bounced) == 2
    assert len(promotional) == 3
