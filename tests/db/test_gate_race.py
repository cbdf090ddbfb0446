"""An answered opt-out or stop holds for every later request: a claim commits before it, or sees it.

A claim is stopped between its look at who may get the message and its commit, and the opt-out is
started meanwhile. With the gate, its commit (the 2xx) comes after the claim's. The same steps with
the gate taken away show that this test can fail.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from mailprefs import preferences
from mailprefs.audit import Actor
from mailprefs.campaigns import states
from mailprefs.db import database
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries.claim import Claim, claim
from mailprefs.deliveries.contents import Contents
from mailprefs.errors import StoreUnavailable
from mailprefs.policy import Role
from mailprefs.schema.deliveries import Batch, BatchState
from tests.factories import make_policy, make_staff, make_topic
from tests.preferences.people import ONE_CLICK
from tests.sending import NOW, TERMS, freeze_all, make_due, make_people, take

pytestmark = pytest.mark.faults

Stop = Callable[..., None]

LONG = 20.0
"""Seconds after which a step that must come hasn't come."""
SHORT = 0.4
"""Seconds for which a step that must not come yet is waited for."""


class Race:
    """A campaign to one person, a claim that stops before its commit, and that person's opt-out."""

    def __init__(self, db: Database) -> None:
        self.db = db
        with db.transaction() as session:
            make_policy(session)
            topic = make_topic(session)
            (person,) = make_people(session, topic, 1)
            self.campaign_id = make_due(session, topic)
        self.person = person.id
        freeze_all(db)
        self.looked, self.may_commit, self.answered = (threading.Event() for _ in range(3))
        self.claimed: list[int] = []
        self.refused: list[StoreUnavailable] = []
        self.sending_at_opt_out: list[bool] = []

    def run_claim(self) -> None:
        """Claim the batch, wait, commit."""
        try:
            with self.db.transaction(Gate.USING) as session:
                taken = claim(session, TERMS, Contents(), now=NOW)
                assert isinstance(taken, Claim)
                self.claimed = [one.recipient_id for one in taken.people]
                self.looked.set()
                assert self.may_commit.wait(LONG)
        except StoreUnavailable as failure:
            self.refused.append(failure)

    def run_opt_out(self) -> None:
        """Do what the POST does: one transaction, then the answer."""
        with self.db.transaction(Gate.TAKING) as session:
            batch = session.query(Batch).one()
            self.sending_at_opt_out.append(batch.state is BatchState.SENDING)
            preferences.opt_out_all(session, self.person, ONE_CLICK, now=NOW)
        self.answered.set()

    def run_stop(self, stop: Stop) -> None:
        """Do what the stop button's POST does."""
        with self.db.transaction(Gate.TAKING) as session:
            actor = Actor(make_staff(session, Role.SEND).id, "page")
            batch = session.query(Batch).one()
            self.sending_at_opt_out.append(batch.state is BatchState.SENDING)
            stop(session, self.campaign_id, actor, now=NOW)
        self.answered.set()

    def begin(self, stop: Stop | None = None) -> tuple[threading.Thread, threading.Thread]:
        """Start the claim, and, once it has looked, the opt-out, or *stop* in its place."""
        threads = (
            threading.Thread(target=self.run_claim),
            threading.Thread(target=self.run_stop, args=(stop,))
            if stop
            else threading.Thread(target=self.run_opt_out),
        )
        threads[0].start()
        assert self.looked.wait(LONG)
        threads[1].start()
        return threads

    def end(self, threads: tuple[threading.Thread, threading.Thread]) -> None:
        """Let the claim commit, and wait for both."""
        self.may_commit.set()
        for thread in threads:
            thread.join(LONG)
            assert not thread.is_alive()


def test_an_opt_out_is_answered_after_the_claim_that_had_looked_before_it(db: Database) -> None:
    race = Race(db)
    threads = race.begin()
    assert not race.answered.wait(SHORT)
    race.end(threads)
    assert race.answered.is_set()
    assert race.claimed == [race.person]
    # Inside the opt-out's transaction the claim was there already: it had been committed.
    assert race.sending_at_opt_out == [True]


def test_a_claim_after_an_answered_opt_out_leaves_the_person_out(db: Database) -> None:
    race = Race(db)
    race.run_opt_out()
    assert race.answered.is_set()
    taken = take(db)
    assert not isinstance(taken, Claim)


def test_a_claim_waits_for_an_opt_out_that_is_not_committed_yet(db: Database) -> None:
    """The other way round: it looks only after the opt-out's commit, and finds nobody left."""
    race = Race(db)
    taken: list[object] = []
    claiming = threading.Thread(target=lambda: taken.append(take(db)))
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, race.person, ONE_CLICK, now=NOW)
        claiming.start()
        claiming.join(SHORT)
        assert taken == []
    claiming.join(LONG)
    assert len(taken) == 1
    assert not isinstance(taken[0], Claim)


@pytest.mark.parametrize("stop", [states.pause, states.cancel])
def test_a_stop_is_answered_after_the_claim_that_had_looked_before_it(
    db: Database, stop: Stop
) -> None:
    race = Race(db)
    threads = race.begin(stop)
    assert not race.answered.wait(SHORT)
    race.end(threads)
    assert race.answered.is_set()
    assert race.claimed == [race.person]
    assert race.sending_at_opt_out == [True]


@pytest.mark.parametrize("stop", [states.pause, states.cancel])
def test_no_claim_comes_after_an_answered_stop(db: Database, stop: Stop) -> None:
    """Nor one that began before it was answered, and looks only after its commit."""
    race = Race(db)
    taken: list[object] = []
    claiming = threading.Thread(target=lambda: taken.append(take(db)))
    with db.transaction(Gate.TAKING) as session:
        actor = Actor(make_staff(session, Role.SEND).id, "page")
        stop(session, race.campaign_id, actor, now=NOW)
        claiming.start()
        claiming.join(SHORT)
        assert taken == []
    claiming.join(LONG)
    assert taken == [None]


@pytest.mark.postgresql
def test_without_the_gate_somebody_is_claimed_who_has_already_left(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The violation itself: answered first, handed over afterwards."""
    monkeypatch.setattr(Database, "_pass_gate", lambda *_: None)
    db = Database(postgresql_url)
    race = Race(db)
    threads = race.begin()
    assert race.answered.wait(LONG)
    assert race.sending_at_opt_out == [False]
    race.end(threads)
    assert race.claimed == [race.person]
    with db.reading() as session:
        assert session.query(Batch).one().state is BatchState.SENDING
    db.close()


def test_without_the_gate_sqlite_answers_before_the_claim_has_ended(sqlite_url: str) -> None:
    """Without the writer lock and BEGIN IMMEDIATE, the answer doesn't wait for a look at the rows.

    SQLite then refuses the claim itself, because what it read has changed; a worker that had looked
    outside of its writing transaction would hand over.
    """
    db = Database(sqlite_url)
    race = Race(db)
    with without_gate(db):
        looking = threading.Thread(target=look, args=(race,))
        looking.start()
        assert race.looked.wait(LONG)
        leaving = threading.Thread(target=race.run_opt_out)
        leaving.start()
        assert race.answered.wait(LONG)
        race.end((looking, leaving))
    assert len(race.refused) == 1
    db.close()


def test_with_the_gate_the_same_look_keeps_the_answer_waiting(sqlite_url: str) -> None:
    db = Database(sqlite_url)
    race = Race(db)
    looking = threading.Thread(target=look, args=(race,))
    looking.start()
    assert race.looked.wait(LONG)
    leaving = threading.Thread(target=race.run_opt_out)
    leaving.start()
    assert not race.answered.wait(SHORT)
    race.end((looking, leaving))
    assert race.refused == []
    db.close()


def look(race: Race) -> None:
    """Read first, wait, and write only then: a claim whose writes come last."""
    try:
        with race.db.transaction(Gate.USING) as session:
            batch = session.query(Batch).one()
            race.looked.set()
            assert race.may_commit.wait(LONG)
            batch.state = BatchState.SENDING
    except StoreUnavailable as failure:
        race.refused.append(failure)


@contextmanager
def without_gate(db: Database) -> Iterator[None]:
    """Take away what makes every write the gate on SQLite: the turnstile and BEGIN IMMEDIATE."""
    turnstile, db._turnstile = db._turnstile, None  # noqa: SLF001 - the thing that is taken away
    event.remove(db.engine, "begin", database._begin_sqlite)  # noqa: SLF001 - as above

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    event.listen(db.engine, "begin", begin)
    yield
    event.remove(db.engine, "begin", begin)
    event.listen(db.engine, "begin", database._begin_sqlite)  # noqa: SLF001 - as above
    db._turnstile = turnstile  # noqa: SLF001 - as above
