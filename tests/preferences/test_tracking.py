"""The choice to be measured: apart from subscriptions, and a no that reaches back."""

from datetime import date

import pytest
from sqlalchemy import text

from mailprefs import preferences
from mailprefs.audit import Actor
from mailprefs.db.database import Database, Gate
from mailprefs.errors import Conflict
from mailprefs.policy import Choice, Source
from mailprefs.preferences import Applied, Door
from mailprefs.schema.opens import MeasuredTotal, Open, OpenRollup
from mailprefs.schema.people import Recipient, Topic
from tests.factories import make_campaign, make_recipient, make_sent, make_staff
from tests.preferences.people import NOW, PAGE, World, entries, said, settle

TRACK = "open_tracking"
NUMBERED = ("opens", "measured", "silenced_deliveries")


def choose(db: Database, recipient_id: int, *, granted: bool) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.set_tracking(session, recipient_id, PAGE, granted=granted, now=NOW)


def answer(db: Database, recipient_id: int) -> str:
    with db.reading() as session:
        return session.get_one(Recipient, recipient_id).open_tracking.value


def opened(db: Database, *deliveries: int) -> None:
    with db.transaction() as session:
        for delivery_id in deliveries:
            session.add(
                Open(
                    delivery_id=delivery_id,
                    kind=1,
                    reason=1,
                    ruleset=1,
                    policy_version_id=1,
                    first_seen_at=NOW,
                    country="DE",
                    client=1,
                )
            )
            session.merge(
                OpenRollup(
                    campaign_id=delivery_id >> 32, dimension="country", value="DE", kind=1, n=1
                )
            )


def of_deliveries(db: Database, table: str) -> set[int]:
    assert table in NUMBERED
    with db.reading() as session:
        return set(session.scalars(text(f"SELECT delivery_id FROM {table}")))  # noqa: S608 - one of NUMBERED


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([True], ["granted"]),
        ([False], ["refused"]),
        ([True, False], ["granted", "withdrawn"]),
        ([False, True], ["refused", "granted"]),
        ([False, True, False], ["refused", "granted", "withdrawn"]),
        ([True, True], ["granted"]),
        ([False, False], ["refused"]),
        ([True, False, False], ["granted", "withdrawn"]),
    ],
)
def test_each_answer_that_changes_something_is_one_entry(
    db: Database, answers: list[bool], expected: list[str]
) -> None:
    world = settle(db)
    for granted in answers:
        choose(db, world.ann, granted=granted)
    assert answer(db, world.ann) == expected[-1]
    assert said(db, world.ann) == [
        (TRACK, None, old, new) for old, new in zip(["unknown", *expected], expected, strict=False)
    ]


def test_a_no_reaches_all_earlier_messages_and_no_sum(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        bob = make_recipient(session)
        news = session.get_one(Topic, world.news)
        (bobs,) = make_sent(session, make_campaign(session, news), [bob])
    opened(db, world.sent_news, bobs)
    with db.transaction() as session:
        session.get_one(Recipient, world.ann).apple_seen_on = date(2026, 11, 1)
    sums = sums_of(db)
    choose(db, world.ann, granted=False)
    assert of_deliveries(db, "opens") == {bobs}
    assert of_deliveries(db, "measured") == {bobs}
    assert of_deliveries(db, "silenced_deliveries") == {world.sent_news, world.sent_offers}
    assert sums_of(db) == sums
    with db.reading() as session:
        assert session.get_one(Recipient, world.ann).apple_seen_on is None


def test_a_later_yes_is_for_later_messages_only(db: Database) -> None:
    world = settle(db)
    choose(db, world.ann, granted=False)
    choose(db, world.ann, granted=True)
    assert of_deliveries(db, "silenced_deliveries") == {world.sent_news, world.sent_offers}
    with db.transaction() as session:
        ann, news = session.get_one(Recipient, world.ann), session.get_one(Topic, world.news)
        (later,) = make_sent(session, make_campaign(session, news), [ann])
    assert of_deliveries(db, "measured") == {later}
    choose(db, world.ann, granted=False)
    assert of_deliveries(db, "silenced_deliveries") == {
        *(world.sent_news, world.sent_offers),
        later,
    }


def test_staff_may_record_a_no_and_a_first_yes_but_never_a_yes_over_a_no(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        actor = Actor(make_staff(session).id, "page")
    door = Door(Source.STAFF, "page", actor=actor)
    for granted in (True, False):
        with db.transaction(Gate.TAKING) as session:
            preferences.set_tracking(session, world.ann, door, granted=granted, now=NOW)
    with (
        pytest.raises(Conflict, match="only they can take that back"),
        db.transaction(Gate.TAKING) as session,
    ):
        preferences.set_tracking(session, world.ann, door, granted=True, now=NOW)
    assert answer(db, world.ann) == Choice.WITHDRAWN.value
    assert {one.entry.actor for one in entries(db, world.ann)} == {f"staff:{actor.staff_id}"}


def test_the_ledger_knows_by_which_message_and_policy(db: Database) -> None:
    world: World = settle(db)
    with db.transaction(Gate.TAKING) as session:
        door = PAGE._replace(delivery_id=world.sent_offers, language="fr")
        preferences.set_tracking(session, world.ann, door, granted=False, now=NOW)
    (one,) = entries(db, world.ann)
    assert one.entry.delivery_id == world.sent_offers
    assert (one.entry.policy_version_id, one.entry.language) == (world.policy, "fr")


def sums_of(db: Database) -> tuple[list[object], list[object]]:
    with db.reading() as session:
        totals = session.query(MeasuredTotal).order_by(MeasuredTotal.campaign_id)
        rollup = session.query(OpenRollup).order_by(OpenRollup.campaign_id)
        return (
            [(one.campaign_id, one.bits, one.n) for one in totals],
            [(one.campaign_id, one.value, one.n) for one in rollup],
        )
