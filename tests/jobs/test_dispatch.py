"""Dispatch: from due to finished through a vendor, by threads that may be stopped at any time."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import freeze, pace, people, settle, single
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs import dispatch
from mailprefs.jobs.dispatch import Office, Worker, Workers
from mailprefs.links import Links
from mailprefs.policy import Choice, MessageClass, TrackingMode
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, HandOver
from mailprefs.schema.people import Recipient
from mailprefs.settings import Environment, Settings
from mailprefs.vendor.message import Mailing, Outcome, Vendor, Verdict
from tests.factories import make_content, make_policy, make_recipient, make_topic, subscribe
from tests.fakes import ACCEPTED, RecordingVendor
from tests.sending import NOW, check_measured, count, make_due, make_people, state_of

SECRET = bytes(range(1, 129, 4)) * 2


def make_office(db: Database, vendor: Vendor, **settings: object) -> Office:
    values: dict[str, object] = {"batch_size": 3, "environment": Environment.PRODUCTION} | settings
    return Office(
        db=db,
        vendor=vendor,
        links=Links([SECRET]),
        settings=Settings(**values),  # type: ignore[arg-type]  # pydantic checks them
        clock=lambda: NOW,
    )


@pytest.fixture
def campaign_id(db: Database) -> int:
    """Give a newsletter to seven people that is due."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 7)
        return make_due(session, topic)


def wait_for(happened: Callable[[], bool], *, seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends, "it didn't happen in time"
        time.sleep(0.02)


def is_in(db: Database, campaign_id: int, state: CampaignState) -> Callable[[], bool]:
    return lambda: state_of(db, campaign_id) is state


def run_until(db: Database, office: Office, campaign_id: int, state: CampaignState) -> None:
    workers = Workers(office, threads=2)
    workers.start()
    try:
        wait_for(is_in(db, campaign_id, state))
    finally:
        workers.stop(within=10)


def test_a_due_campaign_goes_out_to_everybody_once_and_finishes(
    db: Database, campaign_id: int
) -> None:
    vendor = RecordingVendor()
    run_until(db, make_office(db, vendor), campaign_id, CampaignState.FINISHED)
    with db.reading() as session:
        everybody = session.scalars(select(Recipient.address)).all()
    assert sorted(vendor.addresses) == sorted(everybody)
    assert [len(mailing.people) for mailing in vendor.accepted].count(3) == 2
    assert count(db, campaign_id).sent == 7


def test_each_request_says_whose_it_is_and_carries_every_mode_side_by_side(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session, unasked_tracking=TrackingMode.AGGREGATE)
        for choice, region in (
            (Choice.UNKNOWN, "US"),
            (Choice.UNKNOWN, "DE"),
            (Choice.REFUSED, "US"),
        ):
            person = make_recipient(session, open_tracking=choice, region=region)
            subscribe(session, person, topic)
        campaign_id = make_due(session, topic)
    vendor = RecordingVendor()
    office = make_office(db, vendor)
    worker = Worker(office, "worker")
    while worker.look_after():
        pass
    worker.send_next()
    (mailing,) = vendor.accepted
    with db.reading() as session:
        kept = session.query(HandOver).one()
    assert mailing.attempt == f"{kept.id:x}"
    assert kept.modes == "iao"
    assert [one.delivery_id for one in mailing.people] == [campaign_id << 32 | i for i in (1, 2, 3)]
    by_name, by_nobody, by_none = ("".join(one.substitutions.values()) for one in mailing.people)
    assert by_name.count("/o/") == 1
    assert office.links.open_path(campaign_id << 32 | 1) in by_name
    assert office.links.loads_path(campaign_id) in by_nobody
    assert "/o/" not in by_none and "<img" not in by_none
    assert all(one.headers["List-Unsubscribe-Post"] for one in mailing.people)


def test_a_worker_killed_in_a_call_leaves_its_batch_alone(db: Database, campaign_id: int) -> None:
    """The call may have been accepted; the others go on, and nobody sends that batch again."""

    class Killed(BaseException):
        """Stands for kill -9: nothing after it runs."""

    def die(mailing: Mailing) -> Outcome:
        raise Killed

    vendor = RecordingVendor([die])
    office = make_office(db, vendor, lease=0.1, read_timeout=0.05, connect_timeout=0.02)
    worker = Worker(office, "worker")
    while worker.look_after():
        pass
    with pytest.raises(Killed):
        worker.send_next()
    time.sleep(0.15)
    run_until(db, make_office(db, vendor), campaign_id, CampaignState.HELD)
    found = count(db, campaign_id)
    assert (found.sent, found.unknown) == (4, 3)
    assert len(vendor.addresses) == len(set(vendor.addresses)) == 4


def test_a_vendor_that_raises_is_unclear_and_the_worker_lives_on(
    db: Database, campaign_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(mailing: Mailing) -> Outcome:
        raise ValueError(mailing.people[0].address)

    caplog.set_level(logging.DEBUG)
    run_until(db, make_office(db, RecordingVendor([fail])), campaign_id, CampaignState.HELD)
    found = count(db, campaign_id)
    assert (found.sent, found.unknown) == (4, 3)
    assert "ValueError" in caplog.text
    assert "@" not in caplog.text, "a log names nobody"


def test_a_message_that_cannot_be_built_pauses_the_campaign(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(dispatch, "personalise", fail)
    vendor = RecordingVendor()
    run_until(db, make_office(db, vendor), campaign_id, CampaignState.PAUSED)
    assert vendor.requests == []
    assert count(db, campaign_id).pending == 7
    with db.reading() as session:
        reason = session.get_one(Campaign, campaign_id).paused_reason
    assert reason == "The message can't be built (LookupError); the log says where."


def test_a_broken_campaign_is_paused_with_the_reason_and_the_others_go_on(
    db: Database, campaign_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A content that nobody can read breaks each claim of its batches; it comes first in line."""
    with db.transaction() as session:
        topic = make_topic(session, None, MessageClass.ADMINISTRATIVE)
        make_people(session, topic, 1, first_name="Ada")
        broken = make_due(session, topic)
        campaign = session.get_one(Campaign, broken)
        campaign.revision = 2
        make_content(session, campaign, tags={})
    vendor = RecordingVendor()
    run_until(db, make_office(db, vendor), campaign_id, CampaignState.FINISHED)
    assert len(vendor.addresses) == count(db, campaign_id).sent == 7
    assert count(db, broken).pending == 8
    with db.reading() as session:
        kept = session.get_one(Campaign, broken)
        assert (kept.state, kept.paused_from) == (CampaignState.PAUSED, CampaignState.SENDING)
        assert kept.paused_reason == (
            "The next people's messages can't be made ready (KeyError); the log says where."
        )
        assert [note.action for note in audit.of(session, ("campaign", broken))] == [
            "campaign.paused"
        ]
    assert "KeyError" in caplog.text
    assert "@" not in caplog.text and "Ada" not in caplog.text


def test_a_broken_single_message_fails_and_the_others_of_its_kind_go_on(
    db: Database, campaign_id: int
) -> None:
    with db.transaction() as session:
        make_topic(session, None, MessageClass.ADMINISTRATIVE)
        readers = [make_recipient(session).id for _ in range(2)]
        broken, whole = (
            single.queue(session, "fresh_link", person, {}, f"key {person}", now=NOW)
            for person in readers
        )
        campaign = session.get_one(Campaign, broken >> 32)
        campaign.revision = 100
        content = make_content(session, campaign, tags={})
        first = session.query(Batch).where(Batch.first_id == broken).one()
        first.content_id = content.id
    vendor = RecordingVendor()
    run_until(db, make_office(db, vendor), campaign_id, CampaignState.FINISHED)
    found = count(db, broken >> 32)
    assert (found.sent, found.failed, found.pending) == (1, {"broken_message": 1}, 0)
    assert state_of(db, broken >> 32) is CampaignState.SENDING
    handed = [one.delivery_id for mailing in vendor.accepted for one in mailing.people]
    assert whole in handed and broken not in handed
    assert len(handed) == 8


def test_a_failing_database_pauses_nobodys_campaign(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    worker = Worker(make_office(db, RecordingVendor()), "worker")
    while worker.look_after():
        pass
    with monkeypatch.context() as patched:
        patched.setattr(people, "read", gone)
        with pytest.raises(StoreUnavailable):
            worker.send_next()
    assert state_of(db, campaign_id) is CampaignState.SENDING
    worker.send_next()
    assert count(db, campaign_id).sent == 3


def test_a_freeze_that_breaks_off_pauses_its_campaign_and_no_other(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        make_people(session, topic, 1)
        other = make_due(session, topic)
    whole = freeze.step

    def broken(session: Session, number: int, **terms: Any) -> object:  # noqa: ANN401 - passed on
        if number == campaign_id:
            raise ArithmeticError
        return whole(session, number, **terms)

    monkeypatch.setattr(freeze, "step", broken)
    run_until(db, make_office(db, RecordingVendor()), other, CampaignState.FINISHED)
    with db.reading() as session:
        kept = session.get_one(Campaign, campaign_id)
    assert (kept.state, kept.paused_from) == (CampaignState.PAUSED, CampaignState.FREEZING)
    assert kept.paused_reason == (
        "The list of people can't be made (ArithmeticError); the log says where."
    )


def test_a_campaign_that_cannot_be_frozen_is_paused_with_the_reason(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session, effective_from=NOW + timedelta(days=1))
        topic = make_topic(session)
        make_people(session, topic, 1)
        campaign_id = make_due(session, topic)
    run_until(db, make_office(db, RecordingVendor()), campaign_id, CampaignState.PAUSED)
    with db.reading() as session:
        campaign = session.get_one(Campaign, campaign_id)
    assert campaign.paused_from is CampaignState.FREEZING
    assert "policy publish" in str(campaign.paused_reason)


def test_a_claim_whose_request_begins_too_late_is_given_back(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = RecordingVendor()
    worker = Worker(make_office(db, vendor), "worker")
    while worker.look_after():
        pass
    monkeypatch.setattr(dispatch, "START_WITHIN", -1.0)
    worker.send_next()
    assert vendor.requests == []
    assert count(db, campaign_id).pending == 7
    check_measured(db)
    with db.reading() as session:
        assert session.scalars(select(HandOver.outcome)).all() == ["given_back"]
    monkeypatch.undo()
    worker.send_next()
    assert len(vendor.addresses) == 3


def test_a_stop_lets_the_call_in_flight_finish_and_records_it(
    db: Database, campaign_id: int
) -> None:
    called, go_on = threading.Event(), threading.Event()

    def slowly(mailing: Mailing) -> Outcome:
        called.set()
        assert go_on.wait(10)
        return ACCEPTED

    workers = Workers(make_office(db, RecordingVendor([slowly])), threads=1)
    workers.start()
    assert called.wait(10)
    stopping = threading.Thread(target=workers.stop)
    stopping.start()
    time.sleep(0.1)
    go_on.set()
    stopping.join(10)
    found = count(db, campaign_id)
    assert (found.sent, found.pending) == (3, 4)


def test_an_outcome_is_kept_until_the_database_is_back(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is gone when the answer comes: only this worker knows it, so it keeps trying."""
    failures = iter([StoreUnavailable("gone"), StoreUnavailable("gone")])
    whole = db.transaction
    ready = threading.Event()

    def broken(gate: Gate = Gate.NONE, *, durable: bool = True) -> object:
        if ready.is_set() and (failure := next(failures, None)) is not None:
            raise failure
        return whole(gate, durable=durable)

    def accept(mailing: Mailing) -> Outcome:
        ready.set()
        return ACCEPTED

    vendor = RecordingVendor([accept])
    worker = Worker(make_office(db, vendor), "worker")
    while worker.look_after():
        pass
    monkeypatch.setattr(db, "transaction", broken)
    worker.send_next()
    assert count(db, campaign_id).sent == 3


@pytest.mark.parametrize(("tries", "sent", "left"), [(4, 3, 0), (1_000, 0, 1)])
def test_a_stop_waits_for_an_outcome_that_is_not_stored_yet_and_no_longer_than_it_may(  # noqa: PLR0917 - the case
    db: Database,
    campaign_id: int,
    monkeypatch: pytest.MonkeyPatch,
    tries: int,
    sent: int,
    left: int,
) -> None:
    """A busy database or a deadlock, several times: a stop must not make the batch unknown."""
    monkeypatch.setattr(dispatch, "_SHORTEST_RETRY", 0.05)
    failures = iter([StoreUnavailable("busy")] * tries)
    whole = db.transaction
    called, go_on = threading.Event(), threading.Event()

    def broken(gate: Gate = Gate.NONE, *, durable: bool = True) -> object:
        is_ours = threading.current_thread().name == "sending-1"
        if is_ours and go_on.is_set() and (failure := next(failures, None)) is not None:
            raise failure
        return whole(gate, durable=durable)

    def slowly(mailing: Mailing) -> Outcome:
        called.set()
        assert go_on.wait(10)
        return ACCEPTED

    workers = Workers(make_office(db, RecordingVendor([slowly])), threads=1)
    monkeypatch.setattr(db, "transaction", broken)
    workers.start()
    assert called.wait(10)
    stopped: list[int] = []
    stopping = threading.Thread(target=lambda: stopped.append(workers.stop(within=1.0 + 4 * sent)))
    stopping.start()
    time.sleep(0.1)
    go_on.set()
    stopping.join(20)
    assert stopped == [left]
    wait_for(lambda: all(one.name != "sending-1" for one in threading.enumerate()))
    assert count(db, campaign_id).sent == sent


def test_sending_goes_on_when_the_database_was_away(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_STORE_GONE", 0.01)
    failures = iter([StoreUnavailable("gone")] * 3)
    whole = db.reading

    def broken() -> object:
        if (failure := next(failures, None)) is not None:
            raise failure
        return whole()

    monkeypatch.setattr(db, "reading", broken)
    vendor = RecordingVendor()
    workers = Workers(make_office(db, vendor), threads=1)
    workers.start()
    wait_for(lambda: len(vendor.addresses) == 7)
    workers.stop(within=10)
    assert next(failures, None) is None


def test_sending_goes_on_when_looking_after_campaigns_breaks_off(
    db: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One odd campaign must not keep everybody else's mail back, with one thread neither."""
    vendor = RecordingVendor()
    office = make_office(db, vendor)
    while Worker(office, "before").look_after():
        pass

    def broken(session: object) -> bool:
        raise ArithmeticError

    monkeypatch.setattr(settle, "any_lost", broken)
    workers = Workers(office, threads=1)
    workers.start()
    wait_for(lambda: len(vendor.addresses) == 7, seconds=5)
    workers.stop(within=10)


def test_all_workers_stop_when_the_key_is_refused_and_go_on_when_told(
    db: Database, campaign_id: int
) -> None:
    refused = Outcome(verdict=Verdict.NOT_ALLOWED, status=401, reason="The key is refused.")
    vendor = RecordingVendor([refused])
    workers = Workers(make_office(db, vendor), threads=2)
    workers.start()
    wait_for(lambda: _is_stopped(db))
    time.sleep(0.3)
    calls = len(vendor.requests)
    time.sleep(0.7)
    assert len(vendor.requests) == calls, "nothing is tried while it is stopped"
    with db.transaction() as session:
        pace.start(session)
    workers.wake()
    wait_for(is_in(db, campaign_id, CampaignState.FINISHED))
    workers.stop(within=10)
    assert sorted(set(vendor.addresses)) == sorted(vendor.addresses)
    assert count(db, campaign_id).sent == 7


def test_a_rate_is_kept_by_all_workers_together(db: Database, campaign_id: int) -> None:
    """At four a second, seven people take at least a second, whoever sends them."""
    started = time.monotonic()
    vendor = RecordingVendor()
    run_until(db, make_office(db, vendor, send_rate=4.0), campaign_id, CampaignState.FINISHED)
    assert time.monotonic() - started >= 1.0
    assert max(len(mailing.people) for mailing in vendor.accepted) <= 3
    assert len(vendor.addresses) == 7


def test_staging_mails_its_allow_list_and_skips_everybody_else(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        for address in ("Tester@example.com", "qa@staging.test", "person@example.org"):
            subscribe(session, make_recipient(session, address), topic)
        campaign_id = make_due(session, topic)
    vendor = RecordingVendor()
    allowed = "tester@example.com, @staging.test"
    office = make_office(db, vendor, environment=Environment.STAGING, allow_list=allowed)
    run_until(db, office, campaign_id, CampaignState.FINISHED)
    assert {address.lower() for address in vendor.addresses} == {
        "tester@example.com",
        "qa@staging.test",
    }
    assert count(db, campaign_id).skipped == {"not_on_allow_list": 1}


def test_a_campaign_that_becomes_due_is_begun_when_its_workers_are_woken(db: Database) -> None:
    vendor = RecordingVendor()
    workers = Workers(make_office(db, vendor), threads=1)
    workers.start()
    time.sleep(0.1)
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 1)
        campaign_id = make_due(session, topic)
    workers.wake()
    wait_for(is_in(db, campaign_id, CampaignState.FINISHED))
    workers.stop(within=10)


def _is_stopped(db: Database) -> bool:
    with db.reading() as session:
        return pace.show(session).stopped_at is not None
