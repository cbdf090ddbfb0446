"""Vendor events: any order, any repetition, the same state; exact sums."""

import logging
import random
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailprefs import events
from mailprefs.db.database import Database
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.schema.events import MailboxFact, VendorEventRow
from mailprefs.schema.opens import Measured
from mailprefs.vendor.message import Event
from tests.events.reported import apply, event, totals
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic
from tests.sending import NOW, check_measured


@pytest.fixture
def sent(db: Database) -> list[int]:
    """Give the ids of five deliveries of one campaign, three of them measured by person."""
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session))
        people = [make_recipient(session) for _ in range(5)]
        return make_sent(session, campaign, people, modes="iaioi")


def bits(db: Database) -> list[int]:
    with db.reading() as session:
        return list(session.scalars(select(Measured.bits).order_by(Measured.delivery_id)))


def state(db: Database) -> object:
    """Give all that events change, to compare two ways of getting there."""
    with db.reading() as session:
        rows = session.execute(
            select(MailboxFact.delivery_id, MailboxFact.event, MailboxFact.occurred_at)
        )
        keys = session.scalars(select(VendorEventRow.natural_key).order_by("natural_key"))
        return sorted(tuple(row) for row in rows), list(keys), totals(db), bits(db)


def test_delivered_is_counted_once_and_measured_where_a_person_may_be(
    db: Database, sent: list[int]
) -> None:
    assert apply(db, event(sent[0]), event(sent[1]), event(sent[2])) == 3
    assert totals(db) == {"delivered": 3}
    assert bits(db) == [1, 1, 0]
    check_measured(db)


def test_copies_change_nothing_also_under_a_new_vendor_id(db: Database, sent: list[int]) -> None:
    apply(db, event(sent[0], event_id="a"))
    before = state(db)
    assert apply(db, event(sent[0], event_id="a"), event(sent[0], event_id="changed")) == 0
    assert apply(db, event(sent[0]), event(sent[0])) == 0
    assert state(db) == before


def test_any_order_and_repetition_gives_the_same_state(db: Database, sent: list[int]) -> None:
    happened = [
        event(delivery_id, kind, seconds=seconds)
        for delivery_id in sent
        for kind in (Event.QUEUED, Event.DELIVERED, Event.DEFERRED)
        for seconds in (0, 30)
    ]
    draw = random.Random(7)
    copies = happened * 3
    draw.shuffle(copies)
    for start in range(0, len(copies), 7):
        apply(db, *copies[start : start + 7])
    with db.reading() as session:
        facts = session.execute(select(MailboxFact.event, MailboxFact.occurred_at)).all()
    assert Counter(word for word, _ in facts) == {"queued": 5, "delivered": 5, "deferred": 5}
    assert {at for _, at in facts} == {NOW}, "the earliest report of a fact is its time"
    assert totals(db) == {"queued": 5, "delivered": 5, "deferred": 5}
    assert bits(db) == [1, 1, 1]
    check_measured(db)
    with db.reading() as session:
        assert session.query(VendorEventRow).count() == len(happened)


def test_events_of_no_delivery_of_ours_are_stored_and_count_nothing(
    db: Database, sent: list[int]
) -> None:
    apply(db, event(999 << 32 | 1), event(None), event(None, seconds=1))
    with db.reading() as session:
        stored = session.scalars(select(VendorEventRow.delivery_id)).all()
    assert stored == [None, None, None]
    assert totals(db) == {}
    assert bits(db) == [0, 0, 0]


def test_other_events_are_stored_with_what_is_needed_later(db: Database, sent: list[int]) -> None:
    with db.reading() as session:
        hand_over = session.query(HandOver.id).scalar()
    apply(
        db,
        event(
            sent[0],
            Event.BOUNCED,
            event_id="b-1",
            attempt=f"{hand_over:x}",
            message_id="m-1",
            status="5.1.1",
            type="bounce",
            reason="invalid",
        ),
    )
    with db.reading() as session:
        stored = session.query(VendorEventRow).one()
    assert (stored.delivery_id, stored.kind, stored.hand_over_id) == (sent[0], "bounced", hand_over)
    assert (stored.status, stored.classification) == ("5.1.1", "bounce/invalid")
    assert (stored.message_id, stored.event_id) == ("m-1", "b-1")
    assert (stored.occurred_at, stored.received_at) == (NOW, NOW)


def test_a_kind_that_we_do_not_know_is_kept_by_its_name(db: Database, sent: list[int]) -> None:
    odd = replace(event(sent[0], Event.UNKNOWN), vendor_word="account_status_change")
    assert apply(db, odd) == 0
    with db.reading() as session:
        (stored,) = session.query(VendorEventRow)
    assert (stored.kind, stored.classification) == ("unknown", "account_status_change")
    assert totals(db) == {}


def test_when_the_vendor_was_last_heard_of_and_seen_tracking(db: Database, sent: list[int]) -> None:
    later = NOW + timedelta(hours=3)
    with db.reading() as session:
        assert (events.last_received(session), events.tracking_seen(session)) == (None, None)
    apply(db, event(sent[0]), event(sent[1], Event.OPENED))
    apply(db, event(sent[2]), now=later)
    apply(db, event(sent[2]), now=later + timedelta(hours=1))
    with db.reading() as session:
        assert events.last_received(session) == later, "a copy is no news"
        assert events.tracking_seen(session) == NOW


def test_an_event_proves_that_its_whole_request_was_accepted(db: Database, sent: list[int]) -> None:
    with db.transaction() as session:
        batch, hand_over = session.query(Batch).one(), session.query(HandOver).one()
        batch.state, hand_over.outcome = BatchState.UNKNOWN, "unclear"
        attempt = f"{hand_over.id:x}"
    apply(db, event(sent[0], Event.REJECTED, attempt=attempt, reason="content"))
    with db.reading() as session:
        assert session.query(Batch).one().state is BatchState.SENT
        assert session.query(HandOver).one().outcome == "accepted"


def test_a_vendor_that_tracks_raises_the_alarm_and_counts_no_open(
    db: Database, sent: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    apply(db, event(sent[0], Event.OPENED), event(sent[0], Event.CLICKED))
    assert "the vendor is tracking: 2 events" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    assert bits(db) == [0, 0, 0]


def test_one_request_of_the_largest_size_is_applied_exactly(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session))
        people = [make_recipient(session) for _ in range(1_250)]
        sent = make_sent(session, campaign, people)
    both = [event(one, kind) for one in sent for kind in (Event.QUEUED, Event.DELIVERED)]
    assert apply(db, *both) == 2_500
    assert totals(db) == {"queued": 1_250, "delivered": 1_250}
    assert set(bits(db)) == {1}
    check_measured(db)


def test_the_same_events_from_several_requests_at_once_count_once(
    db: Database, sent: list[int]
) -> None:
    happened = [event(one, kind) for one in sent for kind in (Event.QUEUED, Event.DELIVERED)]
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def post(seed: int) -> None:
        mine = list(happened)
        random.Random(seed).shuffle(mine)
        start.wait()
        try:
            apply(db, *mine)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=post, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert totals(db) == {"queued": 5, "delivered": 5}
    check_measured(db)


def test_nothing_reported_is_nothing_done(db: Database) -> None:
    assert apply(db) == 0
