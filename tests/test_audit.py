"""The audit says who did what, and names no recipient."""

from datetime import UTC, datetime, timedelta

import pytest

from mailprefs import audit
from mailprefs.audit import CONSOLE, SYSTEM, Actor
from mailprefs.db.database import Database
from mailprefs.errors import BadInput
from mailprefs.policy import Role
from tests.factories import make_staff

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_a_note_says_who_did_what_to_what_when_and_why(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session, Role.SEND)
        audit.record(
            session,
            Actor(ann.id, "page"),
            "campaign.sent",
            ("campaign", 7),
            now=NOW,
            reason="Approved in the Monday meeting.",
            details={"revision": 3, "due_at": NOW},
        )
    with db.reading() as session:
        (note,) = audit.of(session, ("campaign", 7))
    assert (note.staff_id, note.door, note.action, note.at) == (
        ann.id,
        "page",
        "campaign.sent",
        NOW,
    )
    assert note.reason == "Approved in the Monday meeting."
    assert note.details == {"revision": 3, "due_at": "2026-11-22 09:30:00+00:00"}


def test_a_subject_has_its_notes_in_order_and_nobody_elses(db: Database) -> None:
    with db.transaction() as session:
        audit.record(session, CONSOLE, "topic.added", ("topic", 1), now=NOW)
        audit.record(session, SYSTEM, "topic.added", ("topic", 11), now=NOW)
        audit.record(session, CONSOLE, "topic.renamed", ("topic", 1), now=NOW + timedelta(hours=1))
    with db.reading() as session:
        assert [note.action for note in audit.of(session, ("topic", 1))] == [
            "topic.added",
            "topic.renamed",
        ]
        assert [note.staff_id for note in audit.of(session, ("topic", 1))] == [None, None]


def test_the_newest_notes_come_first_and_page_by_page(db: Database) -> None:
    with db.transaction() as session:
        for number in range(5):
            audit.record(session, CONSOLE, f"step.{number}", ("campaign", 1), now=NOW)
    with db.reading() as session:
        first = audit.latest(session, limit=2)
        second = audit.latest(session, limit=2, before_id=first[-1].id)
    assert [note.action for note in [*first, *second]] == ["step.4", "step.3", "step.2", "step.1"]


@pytest.mark.parametrize(
    ("reason", "details"),
    [
        ("asked for by ann@example.com", None),
        (None, {"to": "ann@example.com"}),
        (None, {"people": ["bob", {"who": "Ann <ann@mail.example.com>"}]}),
        (None, {"ann@example.com": True}),
    ],
)
def test_no_address_ends_in_the_audit(
    db: Database, reason: str | None, details: dict[str, object] | None
) -> None:
    with pytest.raises(BadInput, match="names nobody") as caught, db.transaction() as session:
        audit.record(
            session, CONSOLE, "x", ("recipient", 1), now=NOW, reason=reason, details=details
        )
    assert "@" not in str(caught.value)
    with db.reading() as session:
        assert audit.latest(session) == []
