"""Stalled: what should move and doesn't, with its cause, and until when if anybody knows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from mailprefs.campaigns import progress, shown
from mailprefs.campaigns.progress import Stalled
from mailprefs.db.database import Database
from mailprefs.deliveries import breaker, pace, presence
from mailprefs.rates import NONE, Limits, Rate
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver
from mailprefs.schema.sending import Presence
from mailprefs.vendor.message import Outcome, Verdict
from tests.factories import make_topic
from tests.sending import (
    TERMS,
    answer,
    freeze_all,
    make_due,
    make_frozen,
    make_people,
    send_all,
    take,
    take_one,
)

LATER = timedelta(minutes=3)
UNCLEAR = Outcome(verdict=Verdict.UNCLEAR)


@pytest.fixture
def number(db: Database) -> int:
    """Give a newsletter to thirty people, frozen, of which some were sent a moment ago."""
    number = make_frozen(db, 30)
    answer(db, take_one(db))
    return number


def at_work(db: Database, *, ago: timedelta = timedelta()) -> None:
    """Let a process have given a sign of life so long ago."""
    with db.transaction() as session:
        presence.seen(session, "here:1")
        row = session.query(Presence).one()
        row.seen_at -= ago


def found(db: Database, *, after: timedelta = LATER, limited: Limits = NONE) -> Stalled | None:
    """Look so long after now; give what is stalled."""
    with db.reading() as session:
        stalled = progress.stalled(session, now=datetime.now(UTC) + after, limited=limited)
    assert len(stalled) < 2
    return stalled[0] if stalled else None


def cause(db: Database, *, limited: Limits = NONE) -> str:
    stalled = found(db, limited=limited)
    assert stalled is not None
    return stalled.cause


def test_what_moved_a_moment_ago_is_not_stalled(db: Database, number: int) -> None:
    assert found(db, after=timedelta(minutes=1)) is None
    stalled = found(db)
    assert stalled is not None
    assert stalled.campaign_id == number
    with db.reading() as session:
        assert stalled.since == session.query(HandOver).one().claimed_at


def test_nobody_at_work_is_the_cause_and_since_when(db: Database, number: int) -> None:
    assert cause(db) == "No worker is running; start one with `mailprefs run`."
    at_work(db, ago=timedelta(minutes=10))
    told = cause(db)
    assert told.startswith("No worker has been seen since ")
    assert "none reaches the database" in told
    at_work(db)
    told = cause(db)
    assert told.startswith("Workers are running, but nothing has gone out since ")
    assert number


def test_a_process_that_ended_well_is_seen_no_more(db: Database) -> None:
    with db.transaction() as session:
        presence.seen(session, "here:1")
        presence.seen(session, "there:2")
        presence.seen(session, "here:1")
    with db.transaction() as session:
        assert presence.show(session).alive == 2
        presence.left(session, "here:1")
        assert presence.show(session).alive == 1
        row = session.query(Presence).one()
        row.seen_at -= timedelta(days=1)
        session.flush()
        presence.seen(session, "new:3")
        assert [one.owner for one in session.query(Presence)] == ["new:3"]


def test_a_stop_the_vendors_wait_and_the_breaker_come_first(db: Database, number: int) -> None:
    at_work(db)
    with db.transaction() as session:
        pace.wait_for_all(session, seconds=600)
    told = cause(db)
    assert told.startswith("The vendor takes nothing at the moment; the next try is at ")
    for _ in range(breaker.OPENS_AFTER):
        with db.transaction() as session:
            pace.start(session)
        answer(db, take_one(db, replace(TERMS, probe_after=0.0)), UNCLEAR)
    with db.reading() as session:
        assert cause(db) == breaker.show(session).sentence
    with db.transaction() as session:
        pace.stop(session, "No credits are left.")
    assert cause(db) == "All sending is stopped: No credits are left."
    assert number


def test_a_limit_that_is_reached_is_the_cause_with_its_end(db: Database, number: int) -> None:
    at_work(db)
    limited = Limits(everything=Rate(0, 0, 3))
    answer(db, take_one(db, replace(TERMS, limits=limited)))
    assert take(db, replace(TERMS, limits=limited)) is not None
    told = cause(db, limited=limited)
    assert told.startswith("The limit of 3 recipients a day is reached (all mail); it goes on at ")
    assert told.endswith(", 00:00:00 UTC.")
    assert cause(db).startswith("Workers are running")
    with db.reading() as session:
        now = datetime.now(UTC) + LATER
        one = shown.overview(session, number, now=now, limited=limited)
    assert (one.label, one.as_json()["stalled"]) == ("stalled", told)
    assert one.as_json()["stalled_since"] is not None


def test_who_waits_behind_another_that_moves_is_not_stalled(db: Database, number: int) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        make_people(session, topic, 2)
        other = make_due(session, topic)
    freeze_all(db)
    with db.transaction() as session:
        past = datetime.now(UTC) - timedelta(hours=1)
        session.execute(update(Campaign).where(Campaign.id == other).values(started_at=past))
    assert found(db, after=timedelta(seconds=30)) is None
    assert number != other


def test_what_is_not_to_move_is_never_stalled(db: Database, number: int) -> None:
    send_all(db)
    assert found(db, after=timedelta(days=9)) is None
    for state in (CampaignState.PAUSED, CampaignState.HELD, CampaignState.CANCELLED):
        with db.transaction() as session:
            session.execute(update(Campaign).where(Campaign.id == number).values(state=state))
        assert found(db, after=timedelta(days=9)) is None
