"""A campaign ends when everybody in it has a reason, and not before, whatever comes between."""

from dataclasses import replace

import pytest
from sqlalchemy import delete

from mailprefs.audit import CONSOLE
from mailprefs.campaigns import states
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import freeze
from mailprefs.jobs.dispatch import Worker
from mailprefs.rates import Limits, Rate
from mailprefs.schema.campaigns import CampaignState
from mailprefs.schema.people import Subscription
from mailprefs.vendor.message import Verdict
from tests.factories import make_policy, make_topic
from tests.fakes import RecordingVendor, answer
from tests.jobs.test_dispatch import make_office
from tests.sending import (
    NOW,
    TERMS,
    count,
    freeze_all,
    make_due,
    make_people,
    send_all,
    state_of,
    take,
)


@pytest.fixture
def campaign_id(db: Database) -> int:
    """Give a newsletter to nine people that is due."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 9)
        return make_due(session, topic)


def leave(db: Database, first: int, last: int) -> None:
    """Let the people from first to last unsubscribe."""
    with db.transaction(Gate.TAKING) as session:
        ids = session.query(Subscription.recipient_id).order_by(Subscription.recipient_id).all()
        gone = [number for (number,) in ids[first - 1 : last]]
        session.execute(delete(Subscription).where(Subscription.recipient_id.in_(gone)))


@pytest.mark.parametrize(
    ("first", "last", "requests"), [(1, 3, 2), (4, 6, 2), (7, 9, 2), (1, 6, 1), (1, 9, 0)]
)
def test_a_batch_of_people_who_all_have_left_holds_nothing_up_and_ends_nothing(
    db: Database, campaign_id: int, first: int, last: int, requests: int
) -> None:
    freeze_all(db)
    leave(db, first, last)
    assert len(send_all(db)) == requests
    found = count(db, campaign_id)
    left = last - first + 1
    assert (found.frozen, found.sent, found.skipped) == (9, 9 - left, {"not_subscribed": left})
    assert state_of(db, campaign_id) is CampaignState.FINISHED


@pytest.mark.parametrize(("before", "after"), [(2, 500), (500, 2), (3, 1)])
def test_a_limit_changed_while_paused_leaves_nobody_out(
    db: Database, campaign_id: int, before: int, after: int
) -> None:
    """Pause, change the limit, start anew, go on: the steps after which peers call it finished."""
    freeze_all(db)
    slow = replace(TERMS, limits=Limits(everything=Rate(0, before, 0)))
    take(db, slow)
    with db.transaction(Gate.TAKING) as session:
        states.pause(session, campaign_id, CONSOLE, now=NOW)
    assert take(db) is None
    with db.transaction() as session:
        states.resume(session, campaign_id, CONSOLE, now=NOW)
    send_all(db, terms=replace(TERMS, batch_size=after))
    assert state_of(db, campaign_id) is CampaignState.SENDING, "a call is still running"
    found = count(db, campaign_id)
    assert found.frozen == 9
    assert found.sent + found.pending == 9 and found.pending == min(before, 3)


def test_an_empty_claim_ends_nothing_while_calls_run(db: Database, campaign_id: int) -> None:
    freeze_all(db)
    taken = [take(db) for _ in range(3)]
    assert take(db) is None
    worker = Worker(make_office(db, RecordingVendor()), "other")
    assert worker.send_next() is None
    worker.look_after()
    assert state_of(db, campaign_id) is CampaignState.SENDING
    assert count(db, campaign_id).pending == 9
    assert len(taken) == 3


def test_a_restart_in_freezing_goes_on_and_ends_with_everybody(
    db: Database, campaign_id: int
) -> None:
    with db.transaction() as session:
        freeze.begin_due(session, now=NOW)
    with db.transaction() as session:
        freeze.step(session, campaign_id, batch_size=3, now=NOW, slice_size=4)
    assert state_of(db, campaign_id) is CampaignState.FREEZING
    vendor = RecordingVendor()
    worker = Worker(make_office(db, vendor), "after the restart")
    while worker.look_after():
        pass
    while worker.send_next() is not None:
        pass
    worker.look_after()
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    assert count(db, campaign_id).sent == 9
    assert len(set(vendor.addresses)) == len(vendor.addresses) == 9


def test_a_refused_address_costs_one_person_also_after_skipped_ones(
    db: Database, campaign_id: int
) -> None:
    """Positions count who is in the request, and not who is in the batch."""
    freeze_all(db)
    leave(db, 1, 1)
    vendor = RecordingVendor([answer(Verdict.REFUSED_ADDRESS, status=400, refused=(1,))])
    worker = Worker(make_office(db, vendor), "worker")
    while worker.send_next() is not None:
        pass
    refused = vendor.requests[0].people[1].address
    assert refused not in vendor.addresses
    assert len(vendor.addresses) == 7
    found = count(db, campaign_id)
    assert (found.sent, found.skipped, found.failed) == (
        7,
        {"not_subscribed": 1},
        {"refused_address": 1},
    )
