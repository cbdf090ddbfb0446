"""What the vendor reports against people and addresses: who may still be mailed after it."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mailprefs import events, preferences, suppressions
from mailprefs.audit import Actor
from mailprefs.consent import ledger
from mailprefs.db.database import Database, Gate
from mailprefs.policy import Role, Scope, Source, SubscriptionState, SuppressionReason
from mailprefs.preferences.choosing import Door
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxFact, VendorEventRow
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.vendor.message import Event
from tests.events.conftest import Mailed
from tests.events.reported import addressed, apply, event, totals
from tests.factories import make_staff
from tests.sending import NOW

HARD, INVALID = SuppressionReason.HARD_BOUNCE, SuppressionReason.INVALID
COMPLAINED, LEFT = SuppressionReason.COMPLAINED, SuppressionReason.UNSUBSCRIBED
BECAUSE = "The mailbox's owner asked us to try again."


def is_on(mailed: Mailed, who: int = 0) -> list[bool]:
    """Tell for each topic whether its mail would come."""
    with mailed.db.reading() as session:
        shown = preferences.current(session, mailed.people[who])
    return [one.is_on for one in shown.topics]


def lift(mailed: Mailed, reason: SuppressionReason, *, days: float = 0) -> None:
    with mailed.db.transaction() as session:
        actor = Actor(make_staff(session, Role.PRIVACY).id, "page")
        suppressions.lift_by_staff(
            session,
            mailed.hashes[0],
            reason,
            actor,
            because=BECAUSE,
            now=NOW + timedelta(days=days),
        )


@pytest.mark.parametrize(
    ("fields", "fact", "reasons"),
    [
        ({"type": "bounce", "status": "5.1.1", "reason": "invalid"}, "bounced", {HARD}),
        ({"type": "bounce"}, "bounced", {HARD}),  # a bad host has no status
        ({}, "bounced", {HARD}),
        ({"type": "bounce", "status": "550"}, "bounced", {HARD}),
        ({"type": "blocked", "status": "5.1.1"}, "blocked", set()),
        ({"type": "blocked"}, "blocked", set()),
        ({"type": "bounce", "status": "4.2.2"}, "blocked", set()),
        ({"type": "bounce", "status": "451"}, "blocked", set()),
        ({"type": "bounce", "status": "5.2.2", "reason": "mailbox"}, "blocked", set()),
        ({"type": "bounce", "status": "5.7.1"}, "blocked", set()),
        ({"type": "bounce", "status": "5.7.515"}, "blocked", set()),
        ({"type": "bounce", "status": "5.0.0", "reason": "content"}, "blocked", set()),
        ({"type": "bounce", "reason": "reputation"}, "blocked", set()),
        ({"type": "bounce", "reason": "volume"}, "blocked", set()),
        ({"type": "bounce", "reason": "technical"}, "bounced", {HARD}),
    ],
)
def test_only_a_bounce_for_good_stops_all_mail(
    mailed: Mailed, fields: dict[str, Any], fact: str, reasons: set[SuppressionReason]
) -> None:
    delivery = mailed.sent[0][0]
    assert apply(mailed.db, replace(event(delivery, Event.BOUNCED), **fields)) == 1
    assert totals(mailed.db) == {fact: 1}
    assert mailed.reasons() == reasons
    assert is_on(mailed) == [not reasons] * 2
    for one in mailed.suppressed():
        assert (one.scope, one.source, one.delivery_id) == (Scope.ALL, Source.VENDOR, delivery)
        assert one.created_at == NOW


@pytest.mark.parametrize(
    ("reason", "reasons"),
    [
        ("bounced", {HARD}),
        ("invalid", {INVALID}),
        ("complained", {COMPLAINED, LEFT}),
        ("unsubscribed", {LEFT}),
        ("content", set()),
        ("quota", set()),
        ("other", set()),
    ],
)
def test_what_the_vendor_drops_says_what_stands_on_its_lists(
    mailed: Mailed, reason: str, reasons: set[SuppressionReason]
) -> None:
    apply(mailed.db, event(mailed.sent[0][0], Event.REJECTED, reason=reason))
    assert totals(mailed.db) == {"dropped": 1}
    assert mailed.reasons() == reasons


def test_a_complaint_ends_all_promotional_mail_and_no_notices(mailed: Mailed) -> None:
    delivery = mailed.sent[0][0]
    apply(mailed.db, event(delivery, Event.COMPLAINED))
    assert mailed.reasons() == {COMPLAINED, LEFT}
    assert {one.scope for one in mailed.suppressed()} == {Scope.PROMOTIONAL}
    assert is_on(mailed) == [False, False]
    assert is_on(mailed, 1) == [True, True]
    with mailed.db.reading() as session:
        said = ledger.history(session, mailed.people[0])
    assert {one.entry.topic_id for one in said} == {None, *mailed.topic_ids}
    assert {(one.entry.source, one.entry.delivery_id) for one in said} == {
        (Source.VENDOR, delivery)
    }
    assert totals(mailed.db) == {"complained": 1}, "not counted as an unsubscribe too"


def test_an_unsubscribe_is_tied_to_the_message_and_counted_once(mailed: Mailed) -> None:
    delivery = mailed.sent[0][0]
    told = event(delivery, Event.UNSUBSCRIBED)
    apply(mailed.db, told, told, event(delivery, Event.UNSUBSCRIBED, seconds=2))
    assert totals(mailed.db) == {"unsubscribed": 1}
    assert mailed.reasons() == {LEFT}
    assert is_on(mailed) == [False, False]
    with mailed.db.reading() as session:
        rows = session.scalars(
            select(Subscription).where(Subscription.recipient_id == mailed.people[0])
        ).all()
    assert {(one.state, one.source) for one in rows} == {
        (SubscriptionState.UNSUBSCRIBED, Source.VENDOR)
    }


def test_who_takes_up_a_group_at_the_vendor_is_subscribed_to_nothing(
    mailed: Mailed, caplog: pytest.LogCaptureFixture
) -> None:
    apply(mailed.db, event(mailed.sent[0][0], Event.UNSUBSCRIBED))
    with caplog.at_level(logging.INFO, "mailprefs.events"):
        apply(mailed.db, event(mailed.sent[0][0], Event.SUBSCRIBED, seconds=5))
    assert is_on(mailed) == [False, False]
    assert mailed.reasons() == {LEFT}
    assert "subscribes nobody" in caplog.text
    with mailed.db.reading() as session:
        kept = session.scalars(select(VendorEventRow.kind)).all()
    assert sorted(kept) == ["subscribed", "unsubscribed"]


def test_who_came_back_here_stays_whatever_the_vendor_says_of_before(mailed: Mailed) -> None:
    early = event(mailed.sent[0][0], Event.UNSUBSCRIBED)
    apply(mailed.db, early)
    with mailed.db.transaction(Gate.TAKING) as session:
        preferences.set_topics(
            session,
            mailed.people[0],
            {mailed.topic_ids[0]: True},
            Door(Source.PREFERENCES, "ticked_checkbox"),
            now=NOW + timedelta(hours=1),
        )
    late_news_of_before = event(mailed.sent[1][0], Event.UNSUBSCRIBED, seconds=60)
    echo = event(mailed.sent[2][0], Event.REJECTED, seconds=7_200, reason="unsubscribed")
    apply(mailed.db, late_news_of_before, echo)
    assert is_on(mailed) == [True, False]
    apply(mailed.db, event(mailed.sent[3][0], Event.UNSUBSCRIBED, seconds=7_200))
    assert is_on(mailed) == [False, False]


def test_a_lift_makes_no_yes_of_a_no(mailed: Mailed) -> None:
    apply(mailed.db, event(mailed.sent[0][0], Event.COMPLAINED))
    lift(mailed, COMPLAINED)
    assert mailed.reasons() == {LEFT}
    assert is_on(mailed) == [False, False]


def test_what_was_before_a_lift_or_only_repeats_it_changes_nothing(mailed: Mailed) -> None:
    apply(mailed.db, event(mailed.sent[0][0], Event.BOUNCED, type="bounce", status="5.1.1"))
    lift(mailed, HARD, days=2)
    apply(
        mailed.db,
        event(mailed.sent[1][0], Event.BOUNCED, days=1, type="bounce"),
        event(mailed.sent[2][0], Event.REJECTED, days=3, reason="bounced"),
    )
    assert mailed.reasons() == set()
    apply(mailed.db, event(mailed.sent[3][0], Event.BOUNCED, days=3, type="bounce"))
    assert mailed.reasons() == {HARD}


def test_of_somebody_erased_only_the_count_is_left(mailed: Mailed) -> None:
    gone, other = mailed.sent[0][:2]
    with mailed.db.transaction() as session:
        session.get_one(Delivery, gone).recipient_id = None
    told = [
        event(gone, kind, seconds=at, event_id=f"{kind}-{at}", message_id="m-1", status="5.1.1")
        for kind in (Event.DELIVERED, Event.BOUNCED, Event.COMPLAINED)
        for at in (0, 7)
    ]
    apply(mailed.db, *told, event(other))
    apply(mailed.db, *told)
    assert totals(mailed.db) == {"delivered": 2, "bounced": 1, "complained": 1}
    with mailed.db.reading() as session:
        assert session.scalars(select(MailboxFact.delivery_id)).all() == [other]
        rows = session.query(VendorEventRow).filter_by(delivery_id=None).all()
        kept = {(one.event_id, one.message_id, one.status, one.occurred_at) for one in rows}
    assert kept == {(None, None, None, NOW)}
    assert mailed.suppressed() == []


def test_taking_without_the_gate_is_refused(db: Database, mailed: Mailed) -> None:
    (bounced,) = addressed(db, [event(mailed.sent[0][0], Event.BOUNCED, type="bounce")])
    with pytest.raises(RuntimeError), db.transaction() as session:
        events.store_and_apply(session, [bounced], now=NOW)
    assert mailed.suppressed() == []


def test_what_takes_permissions_away_goes_first_and_in_small_slices(mailed: Mailed) -> None:
    told = [event(one, Event.DELIVERED) for one in range(1, 301)]
    told += [event(one, Event.BOUNCED, type="bounce") for one in range(1, 21)]
    told += [event(one, Event.COMPLAINED) for one in range(1, 5)]
    parts = list(events.slices(told))
    assert [(part.takes, len(part.events)) for part in parts] == [
        *[(True, 1)] * 4,
        (True, 8),
        (True, 8),
        (True, 4),
        (False, 250),
        (False, 50),
    ]


def test_somebody_who_is_erased_by_us_is_not_suppressed_again(mailed: Mailed) -> None:
    with mailed.db.transaction() as session:
        person = session.get_one(Recipient, mailed.people[0])
        suppressions.add(
            session,
            person.address_hash,
            1,
            SuppressionReason.ERASED,
            Source.SYSTEM,
            now=NOW,
        )
    apply(mailed.db, event(mailed.sent[0][0], Event.BOUNCED, type="bounce"))
    assert mailed.reasons() == {SuppressionReason.ERASED}
