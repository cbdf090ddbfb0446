"""Each alarm is raised once, told once, cleared by itself and told once more."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, text
from sqlalchemy.event import listen

from mailprefs import events
from mailprefs.alarms import facts
from mailprefs.alarms.facts import Facts
from mailprefs.campaigns.progress import Missed, Stalled
from mailprefs.db.database import Database
from mailprefs.db.dialects import database_time
from mailprefs.deliveries import pace
from mailprefs.schema.campaigns import CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver, VendorPace
from mailprefs.schema.events import MalformedEvent, Reconciliation, VendorEventRow
from mailprefs.schema.sending import SendCount
from mailprefs.settings import Settings
from tests.alarms.conftest import ROOMY, Guard, filling
from tests.alarms.receiver import Receiver, receiving
from tests.factories import make_campaign, make_recipient, make_sent, make_topic
from tests.sending import NOW

MINUTE = timedelta(minutes=1)
REASON = "The key isn't valid any more."
SETTINGS = Settings()
VENDOR_PACE = select(VendorPace)
STOPPED = ("sending_stopped", "")


def stop(db: Database, reason: str = REASON) -> None:
    with db.transaction() as session:
        pace.stop(session, reason)


def start(db: Database) -> None:
    with db.transaction() as session:
        pace.start(session)


def test_a_stop_is_raised_once_and_cleared_by_itself(db: Database, guard: Guard) -> None:
    guard.look()
    assert guard.open_now() == []
    stop(db)
    for _ in range(3):
        guard.look()
    assert guard.open_now() == [STOPPED]
    (alarm,) = guard.alarms()
    assert alarm.sentence == f"All sending is stopped: {REASON}"
    assert alarm.raised_at == NOW + 2 * MINUTE
    assert alarm.last_seen == guard.now
    start(db)
    guard.look()
    assert guard.open_now() == []
    (alarm,) = guard.all_ever()
    assert alarm.cleared_at == guard.now


def test_its_log_line_comes_once_each_way(
    db: Database, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    stop(db)
    with caplog.at_level(logging.WARNING, "mailprefs.alarms"):
        guard.look()
        guard.look()
        start(db)
        guard.look()
        guard.look()
    said = f"All sending is stopped: {REASON}"
    assert caplog.messages == [
        f"alarm sending_stopped: {said}",
        f"alarm sending_stopped is over: {said}",
    ]


def test_what_comes_back_within_minutes_is_the_same_alarm(db: Database, guard: Guard) -> None:
    for _ in range(4):
        stop(db)
        guard.look()
        start(db)
        guard.look()
    assert len(guard.all_ever()) == 1
    guard.look(after=timedelta(minutes=6))
    stop(db)
    guard.look()
    assert len(guard.all_ever()) == 2


def test_one_process_at_a_time_looks_and_any_number_may_run(
    db: Database, make_guard: Callable[..., Guard]
) -> None:
    """Two processes look in the same minute: the second finds the turn taken."""
    first, second = make_guard(), make_guard()
    first.look()
    stop(db)
    second.now = first.now
    second.look(after=timedelta(seconds=20))
    assert second.open_now() == []
    second.look(after=timedelta(seconds=40))
    first.look(after=timedelta(seconds=61))
    assert first.open_now() == [STOPPED]
    assert len(first.all_ever()) == 1


def test_a_machine_tells_of_its_own_disk_only(make_guard: Callable[..., Guard]) -> None:
    first, second = make_guard(), make_guard()
    second.machine = ROOMY._replace(name="host-2")
    first.machine = filling("host-1")
    for _ in range(3):
        first.look()
        second.look()
    assert second.open_now() == [("disk_filling", "host-1: the data directory")]
    first.machine = ROOMY
    first.look()
    assert first.open_now() == []


def test_a_machine_that_is_gone_takes_its_alarm_along(make_guard: Callable[..., Guard]) -> None:
    gone, other = make_guard(), make_guard()
    gone.machine, other.machine = filling("host-1"), ROOMY._replace(name="host-2")
    gone.look()
    other.look(after=timedelta(minutes=59))
    assert len(other.open_now()) == 1
    other.look(after=timedelta(minutes=3))
    assert other.open_now() == []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def told(make_guard: Callable[..., Guard], receiver: Receiver) -> Guard:
    return make_guard(alarm_url=SecretStr(f"{receiver.url}/hook?key=1"))


def test_the_url_is_told_once_when_raised_and_once_when_over(
    db: Database, told: Guard, receiver: Receiver
) -> None:
    stop(db)
    for _ in range(3):
        told.look()
    assert receiver.paths == ["/hook?key=1"]
    (got,) = receiver.got
    assert got | {"since": ""} == {
        "kind": "sending_stopped",
        "subject": "",
        "state": "raised",
        "sentence": f"All sending is stopped: {REASON}",
        "since": "",
        "raised_at": "2026-11-22T09:31:00+00:00",
        "cleared_at": None,
        "runbook": "docs/runbook.md#all-sending-is-stopped",
    }
    start(db)
    told.look()
    assert len(receiver.got) == 1, "it may come back"
    told.look(after=timedelta(minutes=6))
    told.look()
    assert receiver.told == [("sending_stopped", "raised"), ("sending_stopped", "cleared")]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_receiver_that_refuses_is_asked_again_and_stops_nothing(
    db: Database, told: Guard, receiver: Receiver, status: int
) -> None:
    stop(db)
    receiver.status = status
    told.look()
    told.look()
    assert receiver.paths == ["/hook?key=1"] * 2, "a redirect isn't followed"
    assert told.open_now() == [STOPPED]
    receiver.status = 204
    told.look()
    told.look()
    assert len(receiver.got) == 3


def test_a_receiver_that_is_away_stops_nothing(
    db: Database, make_guard: Callable[..., Guard], caplog: pytest.LogCaptureFixture
) -> None:
    url = "http://127.0.0.1:9/secret-of-the-receiver"
    guard = make_guard(alarm_url=SecretStr(url))
    stop(db)
    guard.look()
    assert guard.open_now() == [STOPPED]
    assert "can't be reached" in caplog.text
    assert "secret-of-the-receiver" not in caplog.text


def sent(db: Database, *, claimed_at_minutes_ago: float) -> int:
    """Store a campaign that was handed over and accepted; give its id."""
    with db.transaction() as session:
        topic = make_topic(session)
        campaign = make_campaign(session, topic, state=CampaignState.FINISHED)
        people = [make_recipient(session) for _ in range(3)]
        at = NOW - timedelta(minutes=claimed_at_minutes_ago) + timedelta(seconds=1)
        make_sent(session, campaign, people, at=at)
        return campaign.id


def read(db: Database) -> Facts:
    with db.reading() as session:
        return facts.gather(session, SETTINGS, now=NOW)


def event(kind: str, *, minutes_ago: float) -> dict[str, object]:
    at = NOW - timedelta(minutes=minutes_ago)
    return {
        "natural_key": f"{kind}-{minutes_ago}",
        "kind": kind,
        "occurred_at": at,
        "received_at": at,
    }


def test_a_silent_webhook_is_one_that_told_nothing_since_the_vendor_took_mail(db: Database) -> None:
    assert read(db).untold_since is None
    sent(db, claimed_at_minutes_ago=40)
    sent(db, claimed_at_minutes_ago=20)
    assert read(db).untold_since == NOW - timedelta(minutes=40)
    with db.transaction() as session:
        session.execute(insert(VendorEventRow).values(event("queued", minutes_ago=30)))
    assert read(db).untold_since == NOW - timedelta(minutes=20)
    with db.transaction() as session:
        session.execute(insert(VendorEventRow).values(event("queued", minutes_ago=1)))
    assert read(db).untold_since is None


def test_mail_of_days_ago_is_not_waited_for(db: Database) -> None:
    sent(db, claimed_at_minutes_ago=25 * 60)
    assert read(db).untold_since is None


def test_opens_and_clicks_of_the_vendor_are_seen_for_a_day(db: Database) -> None:
    with db.transaction() as session:
        session.execute(insert(VendorEventRow).values(event("opened", minutes_ago=25 * 60)))
    assert read(db).tracking_seen is None
    with db.transaction() as session:
        session.execute(insert(VendorEventRow).values(event("clicked", minutes_ago=5)))
    assert read(db).tracking_seen == NOW - timedelta(minutes=5)


def test_asking_for_tracking_reads_only_what_there_is_of_it(sqlite_url: str) -> None:
    """A million other events make no difference: the index of these few answers."""
    db = Database(sqlite_url)
    asked: list[str] = []
    listen(db.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    with db.reading() as session:
        events.tracking_seen(session)
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {asked[-1]}")).all()
    db.close()
    assert [row for row in plan if "ix_vendor_events_tracking" in row[-1]] == plan


def test_events_set_aside_are_counted_for_a_day(db: Database) -> None:
    rows = [
        {"digest": f"{n}", "sentence": "odd", "received_at": NOW - timedelta(hours=n)}
        for n in (1, 2, 30)
    ]
    with db.transaction() as session:
        session.execute(insert(MalformedEvent), rows)
    assert (read(db).set_aside, read(db).set_aside_since) == (2, NOW - timedelta(hours=2))


def test_people_of_unknown_hand_overs_wait_for_a_decision(db: Database) -> None:
    campaign_id = sent(db, claimed_at_minutes_ago=45)
    with db.transaction() as session:
        batch = session.query(Batch).one()
        batch.state, batch.own = BatchState.UNKNOWN, 1
        session.query(HandOver).one().outcome = "unclear"
    (waits,) = read(db).unknown
    assert (waits.campaign_id, waits.people) == (campaign_id, 2)
    with db.transaction() as session:
        session.query(HandOver).one().ended_at = NOW - timedelta(minutes=29)
    assert read(db).unknown == (), "events may still settle it"


def test_a_campaign_without_a_worker_is_stalled(db: Database) -> None:
    with db.transaction() as session:
        due = NOW - timedelta(minutes=5)
        state = CampaignState.SCHEDULED
        campaign = make_campaign(session, make_topic(session), state=state, due_at=due)
    (found,) = read(db).stalled
    assert isinstance(found, Stalled)
    assert (found.campaign_id, found.since) == (campaign.id, due)


def test_waiting_for_a_limit_of_our_own_is_no_alarm(db: Database) -> None:
    due = NOW - timedelta(minutes=5)
    limited = Settings(send_limits="10/hour")
    with db.transaction() as session:
        state = CampaignState.SCHEDULED
        make_campaign(session, make_topic(session), state=state, due_at=due)
        assert len(facts.gather(session, limited, now=NOW).stalled) == 1
        at = database_time(session)
        hour, day = at.replace(minute=0, second=0, microsecond=0), at.replace(hour=0, minute=0)
        counts = {"hour_at": hour, "hour_n": 10, "day_at": day, "day_n": 10}
        session.add(SendCount(name="all", turn_at=at, turn_n=1, **counts))
        session.flush()
        assert facts.gather(session, limited, now=NOW).stalled == ()


def test_a_schedule_that_was_missed_is_told_of(db: Database) -> None:
    due = NOW - timedelta(hours=30)
    with db.transaction() as session:
        topic = make_topic(session)
        paused = {"state": CampaignState.PAUSED, "paused_from": CampaignState.SCHEDULED}
        reason = "It was to begin at night."
        missed = make_campaign(session, topic, due_at=due, paused_reason=reason, **paused)
        make_campaign(session, topic, due_at=due, **paused)
    assert read(db).missed == (Missed(missed.id, due),)


def test_a_breaker_is_seen_and_gone(db: Database, guard: Guard) -> None:
    stop(db)
    start(db)
    with db.transaction() as session:
        row = session.execute(VENDOR_PACE).scalar_one()
        row.opened_at, row.unclear, row.probe_at = NOW, 3, NOW + MINUTE
    guard.look()
    assert guard.open_now() == [("breaker_open", "")]
    with db.transaction() as session:
        session.execute(VENDOR_PACE).scalar_one().opened_at = None
    guard.look()
    assert guard.open_now() == []


def test_looking_writes_nothing_about_people(db: Database, guard: Guard) -> None:
    stop(db, "Access denied for jane.doe@example.com from 192.0.2.1.")
    guard.look()
    (alarm,) = guard.alarms()
    assert alarm.sentence.endswith("Access denied for (an address) from (an IP).")


def test_two_nights_without_a_comparison_raise_the_alarm_and_a_good_one_ends_it(
    guard: Guard,
) -> None:
    said = "The vendor's suppression lists are closed to our key (403)."

    def compared(days: int, failure: str | None, *, ended: bool = True) -> None:
        at = NOW + timedelta(days=days)
        with guard.watch.db.transaction() as session:
            session.merge(
                Reconciliation(
                    night=at.date(),
                    since=at,
                    started_at=at,
                    ended_at=at if ended else None,
                    found={},
                    failure=failure,
                )
            )
        guard.now = at + timedelta(hours=3)
        guard.look()

    compared(0, None)
    compared(1, said)
    assert guard.open_now() == []
    compared(2, None, ended=False)
    assert guard.open_now() == [("lists_not_compared", "")]
    compared(3, said)
    (alarm,) = guard.alarms()
    assert "for 3 nights in a row" in alarm.sentence
    assert alarm.sentence.endswith("(403).")
    assert alarm.since == NOW + timedelta(days=1)
    compared(3, None)
    guard.look()
    guard.look()
    assert guard.open_now() == []
