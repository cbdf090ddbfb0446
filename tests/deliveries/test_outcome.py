"""Every answer of the vendor: nobody twice, nobody lost, and the sum holds after each."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from mailprefs import audit
from mailprefs.campaigns import progress
from mailprefs.campaigns.progress import Stalled
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import outcome, pace, settle
from mailprefs.deliveries.cancel import cancel_pending
from mailprefs.deliveries.pace import Wait
from mailprefs.errors import NotFound
from mailprefs.policy import TrackingMode
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import LOST, Batch, BatchState, HandOver, VendorPace
from mailprefs.schema.opens import Measured
from mailprefs.schema.people import Topic
from mailprefs.vendor.message import Outcome, Verdict
from tests.sending import (
    ACCEPTED,
    NOW,
    answer,
    check_measured,
    count,
    make_frozen,
    send_all,
    state_of,
    take,
    take_one,
)


@pytest.fixture
def campaign_id(db: Database) -> int:
    """Give a newsletter to seven people, frozen in batches of three."""
    return make_frozen(db, 7)


def start_again(db: Database) -> None:
    with db.transaction() as session:
        pace.start(session)


def end(db: Database) -> None:
    with db.transaction() as session:
        settle.end_campaigns(session, now=NOW)


def test_an_accepted_batch_is_sent_and_keeps_the_vendors_word(
    db: Database, campaign_id: int
) -> None:
    taken = take_one(db)
    assert count(db, campaign_id).pending == 7
    answer(db, taken)
    found = count(db, campaign_id)
    assert (found.sent, found.pending) == (3, 4)
    with db.reading() as session:
        kept = session.query(HandOver).one()
        campaign = session.get_one(Campaign, campaign_id)
    assert (kept.outcome, kept.status, kept.message_id) == ("accepted", 202, "m-1")
    assert kept.ended_at is not None and kept.ended_at >= kept.claimed_at
    assert campaign.first_hand_over_at == kept.claimed_at


def test_the_first_hand_over_stays_the_first(db: Database, campaign_id: int) -> None:
    answer(db, take_one(db))
    answer(db, take_one(db))
    with db.reading() as session:
        first = session.scalars(select(HandOver.claimed_at).order_by(HandOver.id)).first()
        assert session.get_one(Campaign, campaign_id).first_hand_over_at == first


def test_a_refused_person_fails_and_the_others_go_again(db: Database, campaign_id: int) -> None:
    taken = take_one(db)
    answer(db, taken, Outcome(verdict=Verdict.REFUSED_ADDRESS, status=400, refused=(1,)))
    found = count(db, campaign_id)
    assert (found.failed, found.pending) == ({"refused_address": 1}, 6)
    check_measured(db)
    sent = send_all(db)
    handed_over = [delivery_id & 0xFFFFFFFF for _, ids in sent for delivery_id in ids]
    assert handed_over == [1, 3, 4, 5, 6, 7]
    found = count(db, campaign_id)
    assert (found.sent, found.failed) == (6, {"refused_address": 1})
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    check_measured(db)


def test_a_batch_of_refused_people_only_is_over(db: Database, campaign_id: int) -> None:
    taken = take_one(db)
    answer(db, taken, Outcome(verdict=Verdict.REFUSED_ADDRESS, status=400, refused=(0, 1, 2)))
    found = count(db, campaign_id)
    assert (found.failed, found.pending, found.sent) == ({"refused_address": 3}, 4, 0)
    send_all(db)
    assert state_of(db, campaign_id) is CampaignState.FINISHED


@pytest.mark.parametrize("verdict", [Verdict.REFUSED_MESSAGE, Verdict.REFUSED_ADDRESS])
def test_a_refused_message_pauses_the_campaign_and_says_why(
    db: Database, campaign_id: int, verdict: Verdict
) -> None:
    """Also a refusal that names nobody: the same request would be refused for ever."""
    answer(db, take_one(db), Outcome(verdict=verdict, status=400, reason="The subject is bad."))
    found = count(db, campaign_id)
    assert (found.pending, found.sent) == (7, 0)
    with db.reading() as session:
        campaign = session.get_one(Campaign, campaign_id)
        noted = [entry.action for entry in audit.of(session, ("campaign", campaign_id))]
    assert campaign.state is CampaignState.PAUSED
    assert campaign.paused_from is CampaignState.SENDING
    assert campaign.paused_reason == "The subject is bad."
    assert noted == ["campaign.paused"]
    assert take(db) is None
    check_measured(db)


@pytest.mark.parametrize("verdict", [Verdict.LATER, Verdict.NOT_CONNECTED])
def test_what_was_not_accepted_is_pending_again_and_all_workers_wait(
    db: Database, campaign_id: int, verdict: Verdict
) -> None:
    first, second = take_one(db), take_one(db)
    answer(db, first, Outcome(verdict=verdict, status=429, retry_after=30.0))
    assert count(db, campaign_id).pending == 7
    wait = take(db)
    assert isinstance(wait, Wait)
    assert 25 < wait.seconds <= 40
    check_measured(db)
    answer(db, second)
    assert isinstance(take(db), Wait), "the other request began before the vendor said so"


def test_a_request_that_is_accepted_after_a_wait_ends_its_growing(
    db: Database, campaign_id: int
) -> None:
    later = Outcome(verdict=Verdict.LATER, status=429)
    answer(db, take_one(db), later)
    with db.transaction() as session:
        session.execute(update(VendorPace).values(wait_until=NOW - timedelta(days=365)))
    answer(db, take_one(db))
    with db.reading() as session:
        assert pace.show(session).waits == 0


def test_without_a_word_from_the_vendor_the_wait_grows(db: Database, campaign_id: int) -> None:
    waits = []
    for _ in range(4):
        with db.transaction() as session:
            waits.append(pace.wait_for_all(session))
    assert all(later > 1.5 * sooner for sooner, later in pairwise(waits))
    with db.transaction() as session:
        for _ in range(20):
            longest = pace.wait_for_all(session)
    assert longest <= pace.LONGEST_WAIT * 1.25


def test_days_of_refusals_make_no_wait_that_cannot_be_reckoned(db: Database) -> None:
    with db.transaction() as session:
        pace.turn(session)
        session.execute(update(VendorPace).values(waits=5_000))
        assert pace.LONGEST_WAIT <= pace.wait_for_all(session) <= pace.LONGEST_WAIT * 1.25


def test_a_key_that_is_not_allowed_stops_everything_until_somebody_starts_it(
    db: Database, campaign_id: int
) -> None:
    reason = "The vendor refuses our key, sender or credits (401)."
    answer(db, take_one(db), Outcome(verdict=Verdict.NOT_ALLOWED, status=401, reason=reason))
    assert count(db, campaign_id).pending == 7
    wait = take(db)
    assert isinstance(wait, Wait)
    assert wait.reason == reason
    assert state_of(db, campaign_id) is CampaignState.SENDING
    start_again(db)
    assert len(send_all(db)) == 3
    assert count(db, campaign_id).sent == 7


def test_a_request_too_large_goes_again_in_two(db: Database, campaign_id: int) -> None:
    answer(db, take_one(db), Outcome(verdict=Verdict.TOO_LARGE, status=413))
    with db.reading() as session:
        sizes = session.execute(select(Batch.n, Batch.state).order_by(Batch.first_id)).all()
    assert [n for n, _ in sizes] == [1, 2, 3, 1]
    assert {state for _, state in sizes} == {BatchState.PENDING}
    send_all(db)
    assert count(db, campaign_id).sent == 7


def test_one_person_whose_message_is_too_large_pauses_the_campaign(
    db: Database, campaign_id: int
) -> None:
    too_large = Outcome(verdict=Verdict.TOO_LARGE, status=413, reason="It is too large.")
    for _ in range(2):
        answer(db, take_one(db), ACCEPTED)
    answer(db, take_one(db), too_large)
    assert state_of(db, campaign_id) is CampaignState.PAUSED
    assert count(db, campaign_id).pending == 1


def test_what_may_have_been_accepted_is_held_and_never_sent_again(
    db: Database, campaign_id: int
) -> None:
    unclear = Outcome(verdict=Verdict.UNCLEAR, reason="No answer came.")
    sent = send_all(db, [ACCEPTED, unclear, ACCEPTED])
    assert [delivery_id & 0xFFFFFFFF for _, ids in sent for delivery_id in ids] == [1, 2, 3, 7]
    found = count(db, campaign_id)
    assert (found.sent, found.unknown, found.pending) == (4, 3, 0)
    assert state_of(db, campaign_id) is CampaignState.HELD
    assert take(db) is None
    check_measured(db)
    with db.reading() as session:
        assert session.query(Measured).count() == 7


def test_a_lost_worker_s_batch_becomes_unknown_when_its_lease_is_over(
    db: Database, campaign_id: int
) -> None:
    taken = take_one(db)
    with db.reading() as session:
        assert not settle.any_lost(session)
    with db.transaction() as session:
        assert settle.sweep(session) == []
        session.execute(update(Batch).values(lease_until=NOW - timedelta(days=365)))
    with db.reading() as session:
        assert settle.any_lost(session)
    with db.transaction() as session:
        assert settle.sweep(session) == [taken.held.batch_id]
    found = count(db, campaign_id)
    assert (found.unknown, found.pending) == (3, 4)
    with db.reading() as session:
        kept = session.query(HandOver).one()
        assert session.get_one(Campaign, campaign_id).first_hand_over_at == kept.claimed_at
    assert (kept.outcome, kept.reason) == ("unclear", LOST)


def test_an_answer_after_the_lease_was_lost_still_counts(db: Database, campaign_id: int) -> None:
    lost, refused = take_one(db), take_one(db)
    with db.transaction() as session:
        session.execute(update(Batch).values(lease_until=NOW - timedelta(days=365)))
    with db.transaction() as session:
        settle.sweep(session)
    answer(db, lost)
    answer(db, refused, Outcome(verdict=Verdict.NOT_CONNECTED, reason="Refused."))
    found = count(db, campaign_id)
    assert (found.sent, found.unknown, found.pending) == (3, 0, 4)
    check_measured(db)


def test_the_same_answer_twice_changes_nothing(db: Database, campaign_id: int) -> None:
    taken = take_one(db)
    refused = Outcome(verdict=Verdict.REFUSED_ADDRESS, status=400, refused=(0,))
    answer(db, taken, refused)
    answer(db, taken, refused)
    answer(db, taken, ACCEPTED)
    found = count(db, campaign_id)
    assert (found.sent, found.failed, found.pending) == (0, {"refused_address": 1}, 6)


def test_a_claim_given_back_is_as_if_it_had_not_been(db: Database, campaign_id: int) -> None:
    taken = take_one(db)
    with db.transaction() as session:
        outcome.give_back(session, taken, "It took too long to begin.")
    assert count(db, campaign_id).pending == 7
    check_measured(db)
    with db.reading() as session:
        assert session.query(Measured).count() == 0
        assert session.query(HandOver).one().outcome == "given_back"
        assert session.get_one(Campaign, campaign_id).first_hand_over_at is None
    assert len(send_all(db)) == 3
    assert count(db, campaign_id).sent == 7


def test_a_mode_that_is_narrower_at_the_second_claim_takes_the_measuring_back(
    db: Database, campaign_id: int
) -> None:
    answer(db, take_one(db), Outcome(verdict=Verdict.NOT_CONNECTED, reason="Refused."))
    start_again(db)
    with db.transaction() as session:
        session.execute(update(Topic).values(tracking=TrackingMode.AGGREGATE))
    answer(db, take_one(db))
    with db.reading() as session:
        assert session.query(Measured).count() == 0
    check_measured(db)


def test_cancel_lets_calls_in_flight_finish_and_skips_the_rest(
    db: Database, campaign_id: int
) -> None:
    finishes, comes_back = take_one(db), take_one(db)
    with db.transaction(Gate.TAKING) as session:
        session.get_one(Campaign, campaign_id).state = CampaignState.CANCELLED
        session.flush()
        assert cancel_pending(session, campaign_id) == 1
    assert take(db) is None
    answer(db, finishes)
    answer(db, comes_back, Outcome(verdict=Verdict.NOT_CONNECTED, reason="Refused."))
    found = count(db, campaign_id)
    assert (found.sent, found.skipped, found.pending) == (3, {"cancelled": 4}, 0)
    end(db)
    assert state_of(db, campaign_id) is CampaignState.CANCELLED
    start_again(db)
    assert take(db) is None


def test_a_campaign_is_finished_only_when_nothing_is_left_anywhere(
    db: Database, campaign_id: int
) -> None:
    last = [take_one(db) for _ in range(3)][-1]
    end(db)
    assert state_of(db, campaign_id) is CampaignState.SENDING
    send_all(db)
    assert state_of(db, campaign_id) is CampaignState.SENDING, "two requests are still running"
    assert last is not None


def test_a_held_campaign_goes_on_when_somebody_sends_the_unknown_again(
    db: Database, campaign_id: int
) -> None:
    send_all(db, [Outcome(verdict=Verdict.UNCLEAR)])
    with db.transaction() as session:
        session.execute(
            update(Batch).where(Batch.state == BatchState.UNKNOWN).values(state=BatchState.PENDING)
        )
    end(db)
    assert state_of(db, campaign_id) is CampaignState.SENDING
    send_all(db)
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    assert count(db, campaign_id).sent == 7


def test_a_paused_campaign_with_nothing_left_is_finished(db: Database, campaign_id: int) -> None:
    taken = [take_one(db) for _ in range(3)]
    with db.transaction(Gate.TAKING) as session:
        campaign = session.get_one(Campaign, campaign_id)
        campaign.state, campaign.paused_from = CampaignState.PAUSED, CampaignState.SENDING
    for one in taken[:2]:
        answer(db, one)
    end(db)
    assert state_of(db, campaign_id) is CampaignState.PAUSED
    answer(db, taken[2])
    end(db)
    assert state_of(db, campaign_id) is CampaignState.FINISHED


def test_running_without_progress_is_stalled_with_the_cause(db: Database, campaign_id: int) -> None:
    def stalled(minutes: float) -> Stalled | None:
        with db.reading() as session:
            newest = session.scalars(
                select(HandOver.claimed_at).order_by(HandOver.id.desc())
            ).first()
            at = (newest or NOW) + timedelta(minutes=minutes)
            return next(iter(progress.stalled(session, now=at)), None)

    assert stalled(1) is None
    nobody = stalled(3)
    assert nobody is not None
    assert nobody.cause == "No worker is running; start one with `mailprefs run`."
    answer(db, take_one(db))
    assert stalled(1) is None
    assert stalled(3) is not None
    answer(db, take_one(db), Outcome(verdict=Verdict.NOT_ALLOWED, reason="No credits are left."))
    stopped = stalled(3)
    assert stopped is not None
    assert stopped.cause == "All sending is stopped: No credits are left."
    start_again(db)
    send_all(db)
    assert stalled(60) is None


def test_counts_of_a_campaign_that_is_not_there(db: Database) -> None:
    with pytest.raises(NotFound):
        count(db, 99)
