"""What staff record on somebody's behalf: never a yes over a no, and always in the audit."""

import pytest

from mailprefs import audit, preferences, suppressions
from mailprefs.audit import CONSOLE, SYSTEM, Actor
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.policy import Source, SubscriptionState, SuppressionReason
from mailprefs.preferences import Applied
from mailprefs.schema.people import Recipient, Subscription
from tests.factories import make_staff
from tests.preferences.people import (
    NOW,
    ONE_CLICK,
    counted,
    entries,
    newcomer,
    refusals,
    said,
    settle,
    states,
)

YES, NO = SubscriptionState.SUBSCRIBED, SubscriptionState.UNSUBSCRIBED


def record(
    db: Database,
    recipient_id: int,
    state: SubscriptionState,
    slug: str = "news",
    actor: Actor = CONSOLE,
) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.set_by_staff(session, recipient_id, slug, state, actor, now=NOW)


def test_staff_may_subscribe_whoever_never_said_no(db: Database) -> None:
    world = settle(db)
    bob = newcomer(db)
    assert record(db, bob, YES).has_changed
    assert states(db, bob) == {world.news: "subscribed"}
    assert said(db, bob) == [("promotional_email", world.news, None, "subscribed")]


def test_staff_may_record_a_no_for_one_topic(db: Database) -> None:
    world = settle(db)
    record(db, world.ann, NO)
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}
    assert refusals(db, world.ann) == []
    assert counted(db, world.sent_news) == (0, 0)


def test_a_no_of_the_topic_is_not_turned_into_a_yes(db: Database) -> None:
    world = settle(db)
    record(db, world.ann, NO)
    with pytest.raises(Conflict, match="mailbox's owner"):
        record(db, world.ann, YES)
    assert states(db, world.ann)[world.news] == "unsubscribed"


def test_a_no_to_all_promotions_holds_for_topics_never_asked_about(db: Database) -> None:
    settle(db)
    bob = newcomer(db)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, bob, ONE_CLICK, now=NOW)
    with pytest.raises(Conflict, match="mailbox's owner"):
        record(db, bob, YES)
    assert states(db, bob) == {}


@pytest.mark.parametrize("reason", ["unsubscribed", "complained"])
def test_a_no_from_a_former_system_or_a_complaint_is_a_no(db: Database, reason: str) -> None:
    settle(db)
    bob = newcomer(db)
    with db.transaction() as session:
        row = session.get_one(Recipient, bob)
        suppressions.add(
            session, row.address_hash, 1, SuppressionReason(reason), Source.IMPORT, now=NOW
        )
    with pytest.raises(Conflict):
        record(db, bob, YES)


def test_staff_do_not_confirm_for_somebody(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        row = session.get_one(Subscription, (world.ann, world.news))
        row.state = SubscriptionState.PENDING
    with pytest.raises(Conflict, match="hasn't confirmed"):
        record(db, world.ann, YES)
    assert record(db, world.ann, NO).has_changed


def test_what_cannot_be_recorded_is_said_in_a_sentence(db: Database) -> None:
    world = settle(db)
    with pytest.raises(Conflict, match="account is administrative"):
        record(db, world.ann, NO, "account")
    with pytest.raises(BadInput, match="pending"):
        record(db, world.ann, SubscriptionState.PENDING)
    with pytest.raises(NotFound, match="Topics: news, offers, account"):
        record(db, world.ann, NO, "sport")
    assert entries(db, world.ann) == []


def test_what_is_so_already_is_recorded_nowhere(db: Database) -> None:
    world = settle(db)
    assert record(db, world.ann, YES) == Applied(is_known=True)
    with db.reading() as session:
        assert audit.of(session, ("recipient", world.ann)) == []
    assert record(db, 999, NO) == Applied(is_known=False)


def test_ledger_and_audit_name_who_recorded_it(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        actor = Actor(make_staff(session).id, "page")
    applied = record(db, world.ann, NO, actor=actor)
    (one,) = entries(db, world.ann)
    assert (one.entry.actor, one.entry.source) == (f"staff:{actor.staff_id}", "staff")
    with db.reading() as session:
        (note,) = audit.of(session, ("recipient", world.ann))
    assert (note.staff_id, note.action) == (actor.staff_id, "choice.recorded")
    assert note.details == {
        "changes": [["promotional_email", world.news, "unsubscribed"]],
        "request_id": applied.request_id,
    }


@pytest.mark.parametrize(
    ("actor", "who", "source"),
    [
        (CONSOLE, "console", "staff"),
        (SYSTEM, "system", "staff"),
        (Actor(None, "api"), "system", "api"),
    ],
)
def test_the_ledger_tells_doors_apart(db: Database, actor: Actor, who: str, source: str) -> None:
    world = settle(db)
    record(db, world.ann, NO, actor=actor)
    (one,) = entries(db, world.ann)
    assert (one.entry.actor, one.entry.source.value) == (who, source)


def test_what_staff_recorded_is_not_the_persons_to_undo(db: Database) -> None:
    """An undo takes back the person's own click, not a letter that staff entered."""
    world = settle(db)
    record(db, world.ann, NO)
    with db.reading() as session:
        assert preferences.current(session, world.ann).left_at is None
