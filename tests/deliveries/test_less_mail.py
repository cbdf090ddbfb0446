"""Who asked for less: a pause holds back promotional mail, and one message a week is one."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.event import listen

from mailprefs import preferences
from mailprefs.audience import WEEK
from mailprefs.audit import Actor
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import outcome, pace, unknown, weekly
from mailprefs.deliveries.claim import Claim, claim
from mailprefs.deliveries.contents import Contents
from mailprefs.deliveries.pace import Wait
from mailprefs.policy import Frequency, MessageClass, Role, Skip, Source
from mailprefs.preferences import Door
from mailprefs.schema.deliveries import HandOver, LastPromotion
from mailprefs.schema.people import Recipient, Topic
from mailprefs.vendor.message import Outcome, Verdict
from tests.factories import HASHER, make_policy, make_recipient, make_staff, make_topic, subscribe
from tests.sending import (
    ACCEPTED,
    NOW,
    TERMS,
    answer,
    count,
    freeze_all,
    make_due,
    make_people,
    take,
    take_one,
)

PAGE = Door(Source.PREFERENCES, "button")
LATER = Outcome(verdict=Verdict.LATER, reason="Too many requests.", retry_after=0.0)
UNCLEAR = Outcome(verdict=Verdict.UNCLEAR, reason="No answer came.")
SHORT, LONG = 0.4, 30.0


class World:
    """Two campaigns of two topics, due now: to somebody who wants one a week, and to others."""

    def __init__(self, db: Database, *, others: int = 1, **columns: object) -> None:
        """Store them; nothing is frozen yet."""
        self.db = db
        with db.transaction() as session:
            make_policy(session)
            news, offers = make_topic(session), make_topic(session)
            values: dict[str, object] = {"frequency": Frequency.WEEKLY} | columns
            ann = make_recipient(session, None, hasher=HASHER, **values)
            self.topics = (news.id, offers.id)
            self.ann = ann.id
            for person in [ann, *make_people(session, news, others)]:
                subscribe(session, person, offers)
            subscribe(session, ann, news)
            self.first = make_due(session, news)

    def second(self) -> int:
        """Store the second campaign, to everybody who gets the first."""
        with self.db.transaction() as session:
            return make_due(session, session.get_one(Topic, self.topics[1]))

    def send(self, *answers: Outcome) -> list[int]:
        """Send until nothing is left; give the campaigns of accepted requests that held ann."""
        script, got = iter(answers), []
        while (taken := take(self.db)) is not None:
            if isinstance(taken, Wait):
                with self.db.transaction() as session:
                    pace.start(session)
                continue
            result = next(script, ACCEPTED)
            answer(self.db, taken, result)
            is_in = self.ann in {person.recipient_id for person in taken.people}
            if is_in and result is ACCEPTED:
                got.append(taken.held.campaign_id)
        return got


def test_somebody_who_wants_one_a_week_gets_one_of_two_campaigns(db: Database) -> None:
    world = World(db, others=4)
    second = world.second()
    freeze_all(db)
    assert world.send() == [world.first]
    assert count(db, world.first).sent == 5
    found = count(db, second)
    assert (found.sent, found.skipped) == (4, {Skip.TOO_FREQUENT: 1})


def test_a_campaign_within_the_week_is_frozen_without_them(db: Database) -> None:
    world = World(db)
    freeze_all(db)
    world.send()
    second = world.second()
    freeze_all(db)
    found = count(db, second)
    assert (found.chosen, found.frozen, found.kept_out) == (2, 1, {Skip.TOO_FREQUENT: 1})


def test_after_a_week_another_campaign_reaches_them(db: Database) -> None:
    world = World(db)
    freeze_all(db)
    world.send()
    second = world.second()
    with db.transaction() as session:
        session.execute(update(LastPromotion).values(at=NOW - WEEK))
    freeze_all(db)
    assert world.send() == [second]


def test_next_weeks_issue_reaches_them_though_its_hour_comes_a_little_earlier(
    db: Database,
) -> None:
    """Last week's batch went some time after its issue was due, and the clocks changed since."""
    world = World(db)
    freeze_all(db)
    world.send()
    second = world.second()
    with db.transaction() as session:
        last = NOW - timedelta(days=7) + timedelta(hours=3)
        session.execute(update(LastPromotion).values(at=last))
    freeze_all(db)
    assert world.send() == [second]


def test_administrative_mail_reaches_who_pauses_and_who_wants_one_a_week(db: Database) -> None:
    world = World(db, paused_until=NOW + timedelta(days=30))
    freeze_all(db)
    assert world.send() == []
    with db.transaction() as session:
        notices = [
            make_due(session, make_topic(session, message_class=MessageClass.ADMINISTRATIVE))
            for _ in range(2)
        ]
    freeze_all(db)
    assert world.send() == notices


def test_a_batch_that_was_given_back_reaches_them_with_the_same_campaign(db: Database) -> None:
    world = World(db)
    freeze_all(db)
    taken = take_one(db)
    with db.transaction() as session:
        outcome.give_back(session, taken, "It began too late.")
    second = world.second()
    freeze_all(db)
    assert count(db, second).kept_out == {Skip.TOO_FREQUENT: 1}
    # A 429 gives it back once more; the second campaign has nobody else to wait for.
    assert world.send(LATER) == [world.first]
    assert count(db, world.first).sent == 2


def test_an_unknown_answer_counts_as_a_message_of_this_week(db: Database) -> None:
    world = World(db)
    freeze_all(db)
    answer(db, take_one(db), UNCLEAR)
    second = world.second()
    freeze_all(db)
    assert count(db, second).kept_out == {Skip.TOO_FREQUENT: 1}


def test_two_campaigns_claimed_at_once_reach_them_once(db: Database) -> None:
    """The second claim has looked before the first has committed, where that is possible."""
    world = World(db)
    second = world.second()
    freeze_all(db, batch_size=2)
    claimed: dict[str, Claim | Wait | None] = {}
    with db.transaction(Gate.USING) as session:
        claimed["one"] = claim(session, TERMS, Contents(), now=NOW)
        other = threading.Thread(target=lambda: claimed.update(two=take(db)))
        other.start()
        other.join(SHORT)
        assert "two" not in claimed, "the second claim doesn't wait for the first"
    other.join(LONG)
    one, two = claimed["one"], claimed["two"]
    assert isinstance(one, Claim)
    assert isinstance(two, Claim)
    assert world.ann in {person.recipient_id for person in one.people}
    assert {person.recipient_id for person in two.people} == {world.ann + 1}
    for taken in (one, two):
        answer(db, taken, ACCEPTED)
    assert count(db, second).skipped == {Skip.TOO_FREQUENT: 1}


@pytest.mark.parametrize("days", [30, 90])
def test_a_pause_is_in_force_for_a_running_campaign_when_it_is_committed(
    db: Database, days: int
) -> None:
    world = World(db, frequency=None)
    freeze_all(db)
    with db.transaction(Gate.TAKING) as session:
        preferences.set_pause(session, world.ann, days, PAGE, now=NOW)
    assert world.send() == []
    assert count(db, world.first).skipped == {Skip.PAUSING: 1}


def test_a_pause_is_over_at_its_end_and_when_it_is_ended(db: Database) -> None:
    world = World(db, frequency=None)
    with db.transaction(Gate.TAKING) as session:
        preferences.set_pause(session, world.ann, 30, PAGE, now=NOW - timedelta(days=31))
    freeze_all(db)
    assert count(db, world.first).frozen == 2
    with db.transaction(Gate.TAKING) as session:
        preferences.set_pause(session, world.ann, 30, PAGE, now=NOW)
    with db.transaction(Gate.TAKING) as session:
        preferences.set_pause(session, world.ann, None, PAGE, now=NOW)
    assert world.send() == [world.first]


def test_who_chooses_one_a_week_has_had_this_weeks(db: Database) -> None:
    world = World(db, frequency=None)
    freeze_all(db)
    world.send()
    with db.transaction(Gate.TAKING) as session:
        session.execute(update(HandOver).values(claimed_at=NOW - timedelta(days=6)))
        preferences.set_frequency(session, world.ann, Frequency.WEEKLY, PAGE, now=NOW)
    second = world.second()
    freeze_all(db)
    assert count(db, second).kept_out == {Skip.TOO_FREQUENT: 1}
    with db.transaction(Gate.TAKING) as session:
        preferences.set_frequency(session, world.ann, Frequency.ANY, PAGE, now=NOW)
        assert session.query(LastPromotion).count() == 0


def test_who_reached_them_last_is_looked_up_by_an_index_of_people(sqlite_url: str) -> None:
    """Opt-outs and claims wait meanwhile, and a week may have millions of deliveries."""
    db = Database(sqlite_url)
    asked: list[tuple[str, Any]] = []
    listen(db.engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    with db.transaction(Gate.TAKING) as session:
        weekly.begin(session, 7, now=NOW)
        query, values = asked[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    db.close()
    looked = [row[-1] for row in plan if "deliveries" in row[-1]]
    assert len(looked) == 1
    assert "uq_deliveries_campaign_id_recipient_id" in looked[0]


def test_nothing_is_remembered_of_people_who_chose_nothing(db: Database) -> None:
    world = World(db, frequency=None)
    freeze_all(db)
    world.send()
    with db.reading() as session:
        assert session.get_one(Recipient, world.ann).frequency is None
        assert session.query(LastPromotion).count() == 0


def test_a_decision_to_send_again_reaches_them_with_the_same_campaign(db: Database) -> None:
    world = World(db)
    freeze_all(db)
    answer(db, take_one(db), UNCLEAR)
    with db.transaction() as session:
        sender = Actor(make_staff(session, Role.SEND).id, "page")
        unknown.resend(session, world.first, sender, now=NOW)
    assert world.send() == [world.first]
