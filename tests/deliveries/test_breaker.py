"""The breaker: an outage of whatever length costs the calls in flight and the probes, no more."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from mailprefs import audit
from mailprefs.db.database import Database
from mailprefs.deliveries import breaker, outcome, pace, settle
from mailprefs.deliveries.breaker import Breaker
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.pace import Wait
from mailprefs.policy import MessageClass
from mailprefs.schema.campaigns import CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver, VendorPace
from mailprefs.vendor.message import Outcome, Verdict
from tests.factories import make_policy, make_topic
from tests.sending import (
    ACCEPTED,
    NOW,
    TERMS,
    answer,
    count,
    freeze_all,
    make_due,
    make_people,
    send_all,
    state_of,
    take,
    take_one,
)

BIG = replace(TERMS, batch_size=30)
UNCLEAR = Outcome(verdict=Verdict.UNCLEAR, status=503, reason="The vendor failed (503).")
LONG_AGO = NOW - timedelta(days=365)


@pytest.fixture
def campaign_id(db: Database) -> int:
    """Give a newsletter to 150 people, frozen in batches of thirty."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 150)
        campaign_id = make_due(session, topic)
    freeze_all(db, batch_size=30)
    return campaign_id


def shown(db: Database) -> Breaker:
    with db.reading() as session:
        return breaker.show(session)


def time_for_a_probe(db: Database) -> None:
    with db.transaction() as session:
        session.execute(update(VendorPace).values(probe_at=LONG_AGO))


def go_out(db: Database, times: int = 3) -> None:
    """Let the vendor answer nothing clear, so many times in a row."""
    for _ in range(times):
        answer(db, take_one(db, BIG), UNCLEAR)


def next_probe(db: Database) -> Claim:
    time_for_a_probe(db)
    return take_one(db, BIG)


def test_while_all_is_well_the_breaker_is_closed(db: Database, campaign_id: int) -> None:
    assert shown(db) == Breaker(None, 0, None, is_probing=False, probes=0)
    send_all(db, terms=BIG)
    assert shown(db) == Breaker(None, 0, None, is_probing=False, probes=0)


def test_three_unclear_answers_in_a_row_stop_all_workers(db: Database, campaign_id: int) -> None:
    go_out(db, 2)
    assert shown(db).open_since is None
    go_out(db, 1)
    found = shown(db)
    assert found.unclear == 3 and not found.is_probing
    assert found.open_since is not None and found.next_probe is not None
    wait = (found.next_probe - found.open_since).total_seconds()
    assert breaker.FIRST <= wait <= breaker.FIRST * 1.25
    told = take(db, BIG)
    assert isinstance(told, Wait) and 0 < told.seconds <= breaker.FIRST * 1.25
    with db.reading() as session:
        noted = [entry.action for entry in audit.of(session, ("vendor", "breaker"))]
    assert noted == ["sending.breaker_opened"]


def test_it_counts_whatever_the_class_and_the_campaign(db: Database, campaign_id: int) -> None:
    with db.transaction() as session:
        notice = make_topic(session, message_class=MessageClass.ADMINISTRATIVE)
        make_due(session, notice)
    freeze_all(db, batch_size=30)
    claims = [take_one(db, BIG) for _ in range(6)]
    assert {taken.picked.message_class for taken in claims} == set(MessageClass)
    for taken in (claims[0], claims[4], claims[5]):
        answer(db, taken, UNCLEAR)
    assert shown(db).open_since is not None


def test_after_one_unclear_answer_a_few_people_are_tried_and_nobody_else(
    db: Database, campaign_id: int
) -> None:
    go_out(db, 1)
    tried = take_one(db, BIG)
    assert tried.is_probe and len(tried.people) == breaker.PROBE_SIZE
    assert isinstance(take(db, BIG), Wait), "a second call began beside the trial"
    answer(db, tried)
    assert shown(db) == Breaker(None, 0, None, is_probing=False, probes=0)
    assert len(take_one(db, BIG).people) > breaker.PROBE_SIZE


def test_an_accepted_probe_closes_it_and_everybody_goes_on(db: Database, campaign_id: int) -> None:
    go_out(db)
    answer(db, next_probe(db))
    assert shown(db) == Breaker(None, 0, None, is_probing=False, probes=0)
    with db.reading() as session:
        noted = [entry.action for entry in audit.of(session, ("vendor", "breaker"))]
    assert noted == ["sending.breaker_opened", "sending.breaker_closed"]
    send_all(db, terms=BIG)
    found = count(db, campaign_id)
    assert (found.unknown, found.sent) == (30 + 10 + 10, 100)
    assert state_of(db, campaign_id) is CampaignState.HELD


def test_an_outage_costs_the_calls_in_flight_and_the_probes(db: Database, campaign_id: int) -> None:
    """Four workers, each with a call in flight; then 20 rounds in which all of them ask."""
    for taken in [take_one(db, BIG) for _ in range(4)]:
        answer(db, taken, UNCLEAR)
    probes = 0
    for round_ in range(20):
        if round_ % 4 == 0:
            time_for_a_probe(db)
        asked = [one for one in [take(db, BIG) for _ in range(4)] if isinstance(one, Claim)]
        assert len(asked) <= 1
        probes += len(asked)
        for probe in asked:
            answer(db, probe, UNCLEAR)
    # The last thirty people are three probes' worth.
    assert probes == 3
    with db.reading() as session:
        unknown = session.execute(
            select(func.count(), func.sum(Batch.n)).where(Batch.state == BatchState.UNKNOWN)
        ).one()
    assert tuple(unknown) == (4 + 3, 4 * 30 + 3 * 10)


def test_probes_come_less_and_less_often_and_never_stop(db: Database, campaign_id: int) -> None:
    go_out(db)
    waits = []
    for _ in range(4):
        answer(db, next_probe(db), UNCLEAR)
        told = take(db, BIG)
        assert isinstance(told, Wait)
        waits.append(told.seconds)
    for wait, doubled in zip(waits, (10, 20, 40, 80), strict=True):
        assert doubled * 0.95 < wait <= doubled * 1.25
    with db.transaction() as session:
        session.execute(update(VendorPace).values(probes=5_000))
    answer(db, next_probe(db), UNCLEAR)
    told = take(db, BIG)
    assert isinstance(told, Wait)
    assert breaker.LONGEST * 0.95 < told.seconds <= breaker.LONGEST * 1.25


def test_a_setting_says_how_soon_the_first_probe_is(db: Database, campaign_id: int) -> None:
    for _ in range(3):
        answer(db, take_one(db, replace(BIG, probe_after=0.5)), UNCLEAR)
    told = take(db, BIG)
    assert isinstance(told, Wait) and told.seconds <= 0.5 * 1.25


def test_what_was_accepted_before_the_outage_and_answers_late_closes_nothing(
    db: Database, campaign_id: int
) -> None:
    slow = take_one(db, BIG)
    go_out(db)
    answer(db, slow)
    assert shown(db).open_since is not None
    assert isinstance(take(db, BIG), Wait)


def test_unclear_answers_of_calls_in_flight_leave_the_probe_alone(
    db: Database, campaign_id: int
) -> None:
    in_flight = take_one(db, BIG)
    go_out(db)
    probe = next_probe(db)
    answer(db, in_flight, UNCLEAR)
    assert shown(db).is_probing
    assert isinstance(take(db, BIG), Wait), "two probes are under way"
    answer(db, probe)
    assert shown(db).open_since is None


def test_a_probe_whose_worker_dies_is_given_up_with_its_lease(
    db: Database, campaign_id: int
) -> None:
    go_out(db)
    lost = next_probe(db)
    told = take(db, BIG)
    assert isinstance(told, Wait) and told.seconds > BIG.lease - 5
    with db.transaction() as session:
        session.execute(update(Batch).values(lease_until=LONG_AGO))
    with db.transaction() as session:
        assert settle.sweep(session) == [lost.held.batch_id]
    other = next_probe(db)
    answer(db, lost, UNCLEAR)
    assert shown(db).is_probing, "the other probe's answer isn't here yet"
    answer(db, other)
    assert shown(db).open_since is None


def test_lost_workers_are_no_answers(db: Database, campaign_id: int) -> None:
    """Three killed workers say nothing about the vendor."""
    for _ in range(3):
        take_one(db, BIG)
    with db.transaction() as session:
        session.execute(update(Batch).values(lease_until=LONG_AGO))
    with db.transaction() as session:
        assert len(settle.sweep(session)) == 3
    assert shown(db) == Breaker(None, 0, None, is_probing=False, probes=0)
    assert len(take_one(db, BIG).people) == 30


@pytest.mark.parametrize("verdict", [Verdict.REFUSED_ADDRESS, Verdict.NOT_CONNECTED])
def test_a_refused_probe_leaves_it_open_and_another_follows(
    db: Database, campaign_id: int, verdict: Verdict
) -> None:
    go_out(db)
    answer(db, next_probe(db), Outcome(verdict=verdict, refused=(0,)))
    with db.transaction() as session:
        session.execute(update(VendorPace).values(wait_until=None))
    found = shown(db)
    assert found.open_since is not None and not found.is_probing
    assert isinstance(take(db, BIG), Wait)
    answer(db, next_probe(db), ACCEPTED)
    assert shown(db).open_since is None


def test_a_probe_given_back_makes_room_for_another(db: Database, campaign_id: int) -> None:
    go_out(db, 1)
    given = take_one(db, BIG)
    with db.transaction() as session:
        outcome.give_back(session, given, "It took too long to begin.")
    assert take_one(db, BIG).is_probe


def test_nobody_left_in_a_probe_is_no_probe(db: Database, campaign_id: int) -> None:
    go_out(db)
    with db.reading() as session:
        before = session.scalar(select(func.count()).select_from(HandOver))
    time_for_a_probe(db)
    with db.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.SENT))
    assert take(db, BIG) is None
    found = shown(db)
    assert found.open_since is not None and not found.is_probing
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(HandOver)) == before


def test_somebody_who_starts_sending_again_has_the_next_probe_at_once(
    db: Database, campaign_id: int
) -> None:
    go_out(db)
    with db.transaction() as session:
        pace.start(session)
    assert take_one(db, BIG).is_probe
    assert isinstance(take(db, BIG), Wait)
    with db.transaction() as session:
        pace.start(session)
    assert isinstance(take(db, BIG), Wait), "two probes are under way"


def test_where_nothing_is_left_to_send_it_says_that_the_next_message_tries_it(
    db: Database, campaign_id: int
) -> None:
    go_out(db)
    said = shown(db).sentence
    assert said is not None and "the next try is at" in said
    time_for_a_probe(db)
    said = shown(db).sentence
    assert said is not None and said.endswith("; the next message tries it.")
    time_for_a_probe(db)
    assert take_one(db, BIG).is_probe
    said = shown(db).sentence
    assert said is not None and said.endswith("; one of these calls is under way.")


def test_the_same_unclear_answer_counts_once(db: Database, campaign_id: int) -> None:
    taken = take_one(db, BIG)
    for _ in range(3):
        answer(db, taken, UNCLEAR)
    found = shown(db)
    assert (found.unclear, found.open_since) == (1, None)


def test_an_unclear_answer_after_the_worker_was_given_up_counts(
    db: Database, campaign_id: int
) -> None:
    taken = take_one(db, BIG)
    with db.transaction() as session:
        session.execute(
            update(Batch).where(Batch.state == BatchState.SENDING).values(lease_until=LONG_AGO)
        )
    with db.transaction() as session:
        settle.sweep(session)
    assert shown(db).unclear == 0
    for _ in range(2):
        answer(db, taken, UNCLEAR)
    assert shown(db).unclear == 1


def test_a_call_that_an_event_has_proved_is_not_unclear(db: Database, campaign_id: int) -> None:
    taken = take_one(db, BIG)
    with db.transaction() as session:
        settle.proved(session, [taken.held.hand_over_id], now=NOW)
    answer(db, taken, UNCLEAR)
    assert shown(db).unclear == 0


def test_a_probe_that_an_event_has_proved_closes_it(db: Database, campaign_id: int) -> None:
    go_out(db)
    probe = next_probe(db)
    with db.transaction() as session:
        settle.proved(session, [probe.held.hand_over_id], now=NOW)
    answer(db, probe, UNCLEAR)
    assert shown(db) == Breaker(None, 0, None, is_probing=False, probes=0)
