"""Whoever has mended what an alarm is about reads of it no more; what is kept is never past."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from mailprefs import audit
from mailprefs.alarms import facts, keeping
from mailprefs.campaigns import states
from mailprefs.db.database import Database
from mailprefs.deliveries import pace
from mailprefs.jobs.alarms import look_again
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver, VendorPace
from mailprefs.settings import Settings
from tests.alarms.conftest import Guard
from tests.sending import NOW, answer, make_frozen, take_one

SETTINGS = Settings()
MINUTE = timedelta(minutes=1)


def test_after_a_change_it_is_looked_at_once_and_the_minutes_look_is_not_put_off(
    db: Database, guard: Guard
) -> None:
    with db.transaction() as session:
        pace.stop(session, "The key isn't valid any more.")
    guard.look()
    assert guard.open_now() == [("sending_stopped", "")]
    with db.transaction() as session:
        pace.start(session)
    look_again(db, SETTINGS, now=guard.now + timedelta(seconds=5))
    assert guard.open_now() == []
    with db.reading() as session:
        assert keeping.last_look(session) == guard.now


def test_what_it_finds_new_is_raised_and_told_by_the_next_minutes_look(
    db: Database, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    guard.look()
    with db.transaction() as session:
        pace.stop(session, "No credits are left.")
    look_again(db, SETTINGS, now=guard.now)
    assert guard.open_now() == [("sending_stopped", "")]
    assert "alarm sending_stopped: All sending is stopped: No credits are left." in caplog.text
    with db.reading() as session:
        assert len(keeping.waiting(session, keeping.Channel.URL, now=guard.now)) == 1


def test_a_store_that_is_away_undoes_no_change() -> None:
    lost = Database("postgresql://nobody@127.0.0.1:1/none")
    look_again(lost, SETTINGS, now=NOW)
    lost.close()


def test_an_alarm_names_no_next_try_that_is_past_when_it_is_read(db: Database) -> None:
    make_frozen(db, 3)
    with db.transaction() as session:
        pace.wait_for_all(session, seconds=600)
    now = datetime.now(UTC) + 3 * MINUTE
    with db.reading() as session:
        (stalled,) = facts.gather(session, SETTINGS, now=now).stalled
    assert stalled.cause == ("The vendor takes nothing at the moment; it is tried again by itself.")
    with db.transaction() as session:
        row = {"opened_at": NOW, "unclear": 3, "probe_at": now}
        session.execute(update(VendorPace).values(row))
    with db.reading() as session:
        found = facts.gather(session, SETTINGS, now=now).breaker
    assert found is not None
    assert found.sentence == (
        "The vendor has answered nothing clear since 22 Nov 2026, 09:30 UTC (3 calls in a row), "
        "so sending waits and is tried with at most 10 people at a time."
    )


@pytest.mark.parametrize("how", ["resumed", "started"])
def test_whoever_lets_it_go_on_is_not_told_at_once_that_it_stands_still(
    db: Database, how: str
) -> None:
    number = make_frozen(db, 7)
    answer(db, take_one(db))
    now = datetime.now(UTC) + timedelta(hours=3)
    with db.transaction() as session:
        session.execute(update(HandOver).values(claimed_at=now - timedelta(hours=3)))
    with db.reading() as session:
        assert len(facts.gather(session, SETTINGS, now=now).stalled) == 1
    with db.transaction() as session:
        if how == "resumed":
            paused = {"state": CampaignState.PAUSED, "paused_from": CampaignState.SENDING}
            session.execute(update(Campaign).values(paused))
            states.resume(session, number, audit.CONSOLE, now=now)
        else:
            states.start_sending(session, audit.CONSOLE, now=now)
    for minutes, stalled in ((0, 0), (1, 0), (3, 1)):
        with db.reading() as session:
            found = facts.gather(session, SETTINGS, now=now + minutes * MINUTE).stalled
        assert len(found) == stalled
