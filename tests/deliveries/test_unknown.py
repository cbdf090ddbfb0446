"""What may have been accepted: settled by events, decided by a person, and every copy on record."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailprefs import audit
from mailprefs.audit import Actor
from mailprefs.campaigns import states
from mailprefs.db import dialects
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import calls, outcome, pace, settle, single, unknown
from mailprefs.deliveries.cancel import cancel_pending
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.unknown import Copies, Decided, Waiting
from mailprefs.errors import Conflict, NotAllowed, NotFound
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, Decision, HandOver
from mailprefs.schema.opens import Measured
from mailprefs.schema.people import Subscription
from mailprefs.vendor.message import Outcome, Verdict
from tests.factories import make_policy, make_recipient, make_staff, make_topic
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

UNCLEAR = Outcome(verdict=Verdict.UNCLEAR, status=503, reason="The vendor failed (503).")
SETTLE = 1_800.0
SETTLED = timedelta(seconds=SETTLE + 60)


@pytest.fixture
def campaign_id(db: Database) -> int:
    """Give a newsletter to seven people, of whom the first three are unknown and no other."""
    campaign_id = make_frozen(db, 7)
    send_all(db, [UNCLEAR])
    assert state_of(db, campaign_id) is CampaignState.HELD
    return campaign_id


@pytest.fixture
def notice_id(db: Database) -> int:
    """Give a notice to seven people, of whom the first three are unknown and no other."""
    notice_id = make_frozen(db, 7, MessageClass.ADMINISTRATIVE)
    send_all(db, [UNCLEAR])
    return notice_id


@pytest.fixture
def sender(db: Database) -> Actor:
    with db.transaction() as session:
        return Actor(make_staff(session, Role.SEND).id, "page")


def hand_overs(db: Database) -> list[HandOver]:
    with db.reading() as session:
        return list(session.scalars(select(HandOver).order_by(HandOver.id)))


def hear(db: Database, *hand_over_ids: int) -> None:
    """Let events of some hand-overs come."""
    with db.transaction() as session:
        settle.proved(session, hand_over_ids, now=NOW)


def let_settle(db: Database) -> None:
    """Let the settle time pass for every call that has ended."""
    with db.transaction() as session:
        ended_at = dialects.database_time(session) - SETTLED
        session.execute(update(HandOver).values(ended_at=ended_at))


def go_again(db: Database) -> dict[int, int]:
    with db.reading() as session:
        any_left = unknown.any_to_go_again(session, settle_time=SETTLE)
    with db.transaction() as session:
        gone = unknown.go_again(session, settle_time=SETTLE)
    assert bool(gone) is any_left
    return gone


def resend(db: Database, campaign_id: int, sender: Actor) -> Decided:
    with db.transaction() as session:
        return unknown.resend(session, campaign_id, sender, now=NOW)


def copies(db: Database, campaign_id: int) -> Copies:
    with db.reading() as session:
        return unknown.copies(session, campaign_id)


def noted(db: Database, campaign_id: int) -> list[str]:
    with db.reading() as session:
        return [entry.action for entry in audit.of(session, ("campaign", campaign_id))]


# Events settle


def test_any_event_of_a_call_proves_the_whole_batch(db: Database, campaign_id: int) -> None:
    hear(db, 1, 1, 2, 999)
    found = count(db, campaign_id)
    assert (found.sent, found.unknown) == (7, 0)
    first = hand_overs(db)[0]
    assert (first.outcome, first.heard_at) == ("accepted", NOW)
    with db.transaction() as session:
        settle.end_campaigns(session, now=NOW)
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    assert copies(db, campaign_id) == Copies(0, 0)
    check_measured(db)


def test_later_events_of_a_call_change_nothing(db: Database, campaign_id: int) -> None:
    hear(db, 1)
    with db.transaction() as session:
        settle.proved(session, [1], now=NOW + timedelta(days=1))
    assert hand_overs(db)[0].heard_at == NOW


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.UNCLEAR, Verdict.NOT_CONNECTED])
def test_an_event_that_is_faster_than_the_answer_is_proof_whatever_it_says(
    db: Database, verdict: Verdict
) -> None:
    campaign_id = make_frozen(db, 7)
    taken = take_one(db)
    hear(db, taken.held.hand_over_id)
    assert count(db, campaign_id).sent == 3
    answer(db, taken, Outcome(verdict=verdict, status=202, message_id="m-9"))
    assert (count(db, campaign_id).sent, count(db, campaign_id).pending) == (3, 4)
    kept = hand_overs(db)[0]
    assert (kept.outcome, kept.status, kept.message_id) == ("accepted", 202, "m-9")
    with db.reading() as session:
        campaign = session.get_one(Campaign, campaign_id)
    assert campaign.first_hand_over_at == taken.held.claimed_at
    check_measured(db)


def test_an_event_of_a_lost_worker_s_call_proves_it(db: Database) -> None:
    campaign_id = make_frozen(db, 7)
    taken = take_one(db)
    hear(db, taken.held.hand_over_id)
    with db.transaction() as session:
        session.execute(update(Batch).values(lease_until=NOW - timedelta(days=365)))
    with db.transaction() as session:
        assert settle.sweep(session) == []
    assert count(db, campaign_id).sent == 3
    assert hand_overs(db)[0].ended_at is not None


# Promotional: a person decides


def test_promotional_mail_is_never_sent_again_by_itself(db: Database, campaign_id: int) -> None:
    hear(db, 2, 3)
    let_settle(db)
    assert go_again(db) == {}
    assert (count(db, campaign_id).unknown, take(db)) == (3, None)


def test_what_is_unknown_is_listed_with_the_vendors_word(db: Database, campaign_id: int) -> None:
    ended = hand_overs(db)[0].ended_at
    with db.reading() as session:
        (one,) = unknown.listed(session, campaign_id)
        campaign = session.get_one(Campaign, campaign_id)
        assert unknown.waiting(session) == [
            Waiting(campaign_id, campaign.name, None, MessageClass.PROMOTIONAL, 1, 3, one.since)
        ]
    assert (one.people, one.since, one.status) == (3, ended, 503)
    assert one.reason == "The vendor failed (503)."
    assert not one.is_second


def test_resent_people_are_asked_about_again_and_the_copies_are_counted(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    with db.transaction() as session:
        gone = session.scalars(select(Subscription).order_by(Subscription.recipient_id)).first()
        session.delete(gone)
    assert resend(db, campaign_id, sender) == Decided(1, 3)
    assert state_of(db, campaign_id) is CampaignState.SENDING
    found = count(db, campaign_id)
    assert (found.unknown, found.pending) == (0, 3)
    assert copies(db, campaign_id) == Copies(0, 0), "nobody was written to again yet"
    again = take_one(db)
    assert [person.delivery_id & 0xFF for person in again.people] == [2, 3]
    answer(db, again)
    found = count(db, campaign_id)
    assert (found.sent, found.skipped) == (6, {"not_subscribed": 1})
    assert copies(db, campaign_id) == Copies(possible=2, certain=0)
    kept = hand_overs(db)
    assert (kept[0].decision, kept[3].after_id) == (Decision.RESENT, kept[0].id)
    assert noted(db, campaign_id) == ["campaign.unknown_resent"]
    check_measured(db)


def test_an_event_of_the_first_call_makes_a_second_copy_certain(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    resend(db, campaign_id, sender)
    answer(db, take_one(db))
    hear(db, 1)
    assert copies(db, campaign_id) == Copies(possible=0, certain=3)
    assert count(db, campaign_id).sent == 7


def test_an_event_of_the_second_call_alone_leaves_the_copies_possible(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    resend(db, campaign_id, sender)
    answer(db, take_one(db))
    hear(db, 4)
    assert copies(db, campaign_id) == Copies(possible=3, certain=0)


def test_a_second_call_that_is_refused_is_no_copy(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    resend(db, campaign_id, sender)
    answer(db, take_one(db), Outcome(verdict=Verdict.REFUSED_ADDRESS, refused=(0, 1, 2)))
    assert copies(db, campaign_id) == Copies(0, 0)


@pytest.mark.parametrize("how", ["event", "answer"])
def test_a_proof_that_comes_before_the_second_call_makes_it_needless(
    db: Database, sender: Actor, how: str
) -> None:
    """Also where the batch has been cut meanwhile, and a part of it has gone."""
    campaign_id = make_frozen(db, people=30)
    with db.transaction() as session:
        session.execute(update(Batch).where(Batch.id > 1).values(state=BatchState.SENT))
        session.execute(update(Batch).where(Batch.id == 1).values(last_id=Batch.first_id + 29))
        session.execute(update(Batch).where(Batch.id == 1).values(n=30))
        session.execute(update(Batch).where(Batch.id > 1).values(n=0))
    first = take_one(db)
    answer(db, first, UNCLEAR)
    resend(db, campaign_id, sender)
    probe = take_one(db)
    assert len(probe.people) == 10
    answer(db, probe)
    if how == "event":
        hear(db, first.held.hand_over_id)
    else:
        answer(db, first, ACCEPTED)
    found = count(db, campaign_id)
    assert (found.sent, found.pending) == (30, 0)
    assert copies(db, campaign_id) == Copies(possible=0, certain=10)
    assert take(db) is None


def test_a_second_call_of_which_nothing_is_known_is_settled_by_the_first_ones_proof(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    resend(db, campaign_id, sender)
    second = take_one(db)
    answer(db, second, UNCLEAR)
    assert count(db, campaign_id).unknown == 3
    with db.reading() as session:
        assert unknown.listed(session, campaign_id)[0].is_second
    hear(db, 1)
    assert count(db, campaign_id).unknown == 0
    assert copies(db, campaign_id) == Copies(possible=3, certain=0)


@pytest.mark.parametrize("ends", ["unclear", "lost"])
def test_the_first_ones_proof_counts_also_while_the_second_call_runs(
    db: Database, campaign_id: int, sender: Actor, ends: str
) -> None:
    resend(db, campaign_id, sender)
    second = take_one(db)
    hear(db, 1)
    if ends == "unclear":
        answer(db, second, UNCLEAR)
    else:
        with db.transaction() as session:
            session.execute(update(Batch).values(lease_until=NOW - timedelta(days=365)))
        with db.transaction() as session:
            settle.sweep(session)
    assert (count(db, campaign_id).unknown, count(db, campaign_id).sent) == (0, 7)


def test_accepted_by_a_person_is_sent_and_nobody_is_written_to_again(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    with db.transaction() as session:
        assert unknown.accept(session, campaign_id, sender, now=NOW) == Decided(1, 3)
    found = count(db, campaign_id)
    assert (found.sent, found.unknown) == (7, 0)
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    assert take(db) is None
    kept = hand_overs(db)[0]
    assert (kept.outcome, kept.decision) == ("unclear", Decision.ACCEPTED)
    assert kept.decided_at is not None
    assert noted(db, campaign_id) == ["campaign.unknown_accepted"]


@pytest.mark.parametrize("decide", [unknown.resend, unknown.accept])
def test_two_people_decide_once(
    db: Database, campaign_id: int, sender: Actor, decide: object
) -> None:
    assert callable(decide)
    with db.transaction() as session:
        decide(session, campaign_id, sender, now=NOW)
    with db.transaction() as session, pytest.raises(Conflict, match="unknown any more"):
        decide(session, campaign_id, sender, now=NOW)
    assert len(noted(db, campaign_id)) == 1


def test_only_what_was_seen_is_decided_about(db: Database, campaign_id: int, sender: Actor) -> None:
    with db.transaction() as session, pytest.raises(Conflict):
        unknown.resend(session, campaign_id, sender, now=NOW, up_to=0)
    with db.transaction() as session:
        assert unknown.resend(session, campaign_id, sender, now=NOW, up_to=1) == Decided(1, 3)


@pytest.mark.parametrize("decide", [unknown.resend, unknown.accept])
def test_a_decision_needs_the_role_and_a_campaign(
    db: Database, campaign_id: int, sender: Actor, decide: object
) -> None:
    assert callable(decide)
    with db.transaction() as session:
        writer = Actor(make_staff(session, Role.DRAFT).id, "page")
    with db.transaction() as session, pytest.raises(NotAllowed):
        decide(session, campaign_id, writer, now=NOW)
    for wrong in (0, 99, 1 << 40):
        with db.transaction() as session, pytest.raises(NotFound):
            decide(session, wrong, sender, now=NOW)
    assert count(db, campaign_id).unknown == 3


def test_of_a_stopped_campaign_nothing_is_sent_again(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    with db.transaction() as session:
        session.get_one(Campaign, campaign_id).state = CampaignState.CANCELLED
    with db.transaction() as session, pytest.raises(Conflict, match="stopped for good"):
        unknown.resend(session, campaign_id, sender, now=NOW)
    with db.transaction() as session:
        unknown.accept(session, campaign_id, sender, now=NOW)
    assert count(db, campaign_id).sent == 7
    assert state_of(db, campaign_id) is CampaignState.CANCELLED


def test_a_stop_after_a_resend_leaves_what_is_proved_later_as_sent(
    db: Database, campaign_id: int, sender: Actor
) -> None:
    resend(db, campaign_id, sender)
    with db.transaction(Gate.TAKING) as session:
        session.get_one(Campaign, campaign_id).state = CampaignState.CANCELLED
        session.flush()
        cancel_pending(session, campaign_id)
    assert count(db, campaign_id).skipped == {"cancelled": 3}
    hear(db, 1)
    assert (count(db, campaign_id).sent, count(db, campaign_id).skipped) == (7, {})


# Administrative: once more by itself


def test_a_notice_goes_once_more_when_later_calls_were_heard_of(
    db: Database, notice_id: int
) -> None:
    hear(db, 3)
    let_settle(db)
    assert go_again(db) == {notice_id: 3}
    assert state_of(db, notice_id) is CampaignState.SENDING
    assert noted(db, notice_id) == ["campaign.sent_again"]
    answer(db, take_one(db))
    kept = hand_overs(db)
    assert (kept[0].decision, kept[3].after_id) == (Decision.AGAIN, kept[0].id)
    assert copies(db, notice_id) == Copies(possible=3, certain=0)
    hear(db, 1)
    assert copies(db, notice_id) == Copies(possible=0, certain=3)


def test_a_notice_waits_for_the_settle_time(db: Database, notice_id: int) -> None:
    hear(db, 2, 3)
    assert go_again(db) == {}
    assert count(db, notice_id).unknown == 3


def test_a_notice_waits_while_nothing_shows_that_the_webhook_works(
    db: Database, notice_id: int
) -> None:
    let_settle(db)
    assert go_again(db) == {}


def test_an_event_of_an_earlier_call_doesn_t_show_that_the_webhook_works(db: Database) -> None:
    notice_id = make_frozen(db, 6, MessageClass.ADMINISTRATIVE)
    send_all(db, [ACCEPTED, UNCLEAR])
    hear(db, 1)
    let_settle(db)
    assert go_again(db) == {}
    assert count(db, notice_id).unknown == 3


def test_a_notice_that_is_unknown_again_waits_for_a_person(
    db: Database, notice_id: int, sender: Actor
) -> None:
    hear(db, 3)
    let_settle(db)
    go_again(db)
    answer(db, take_one(db), UNCLEAR)
    make_frozen(db, 7)
    send_all(db)
    hear(db, 6)
    let_settle(db)
    assert go_again(db) == {}
    assert count(db, notice_id).unknown == 3
    assert resend(db, notice_id, sender) == Decided(1, 3)
    answer(db, take_one(db))
    assert copies(db, notice_id) == Copies(possible=6, certain=0)


def test_of_a_stopped_notice_nothing_goes_again(db: Database, notice_id: int) -> None:
    hear(db, 3)
    let_settle(db)
    with db.transaction() as session:
        session.get_one(Campaign, notice_id).state = CampaignState.CANCELLED
    assert go_again(db) == {}


def test_a_single_message_goes_once_more_too(db: Database, sender: Actor) -> None:
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        people = [make_recipient(session) for _ in range(2)]
        for person in people:
            url = {"preferences_url": "https://mail.example.com/p/x"}
            single.queue(session, "fresh_link", person.id, url, f"{person.id}", now=NOW)
    first, second = take_one(db), take_one(db)
    answer(db, first, UNCLEAR)
    answer(db, second)
    hear(db, second.held.hand_over_id)
    let_settle(db)
    standing = first.held.campaign_id
    with db.reading() as session:
        assert unknown.waiting(session)[0].template == "fresh_link"
    assert go_again(db) == {standing: 1}
    again = take_one(db)
    assert isinstance(again, Claim)
    assert [one.delivery_id for one in again.people] == [one.delivery_id for one in first.people]


# Answers that come late, beside what was decided or proved meanwhile

REFUSALS = [Verdict.LATER, Verdict.NOT_CONNECTED, Verdict.REFUSED_ADDRESS, Verdict.TOO_LARGE]


def refuse(db: Database, taken: Claim, verdict: Verdict | None) -> None:
    """Let the vendor refuse a call; None: it never began."""
    with db.transaction() as session:
        if verdict is None:
            outcome.give_back(session, taken, "It began too late.")
            return
        refused = Outcome(verdict=verdict, refused=(0,), reason="Refused.")
        outcome.record(session, taken, refused)
    with db.transaction() as session:
        pace.start(session)
        calls.forget(session)


def lose(db: Database) -> Claim:
    """Claim a batch, and lose its worker."""
    taken = take_one(db)
    with db.transaction() as session:
        session.execute(
            update(Batch)
            .where(Batch.state == BatchState.SENDING)
            .values(lease_until=NOW - timedelta(days=365))
        )
    with db.transaction() as session:
        assert settle.sweep(session) == [taken.held.batch_id]
    return taken


def accept(db: Database, campaign_id: int, sender: Actor) -> Decided:
    with db.transaction() as session:
        return unknown.accept(session, campaign_id, sender, now=NOW)


@pytest.mark.parametrize("verdict", [*REFUSALS, None])
def test_who_was_proved_to_have_it_gets_no_third_call_when_the_second_is_refused(
    db: Database, campaign_id: int, sender: Actor, verdict: Verdict | None
) -> None:
    resend(db, campaign_id, sender)
    second = take_one(db)
    hear(db, 1)
    refuse(db, second, verdict)
    found = count(db, campaign_id)
    assert (found.sent, found.failed, found.pending) == (7, {}, 0)
    assert take(db) is None
    check_measured(db)
    with db.reading() as session:
        assert session.get_one(Batch, second.held.batch_id).hand_over_id == 1


def test_opens_of_a_call_that_may_have_arrived_are_told_apart_though_a_second_was_refused(
    db: Database, sender: Actor
) -> None:
    campaign_id = make_frozen(db, 3, region="US")

    def measured() -> int:
        with db.reading() as session:
            return len(session.scalars(select(Measured.delivery_id)).all())

    answer(db, take_one(db), UNCLEAR)
    assert measured() == 3
    resend(db, campaign_id, sender)
    refuse(db, take_one(db), Verdict.NOT_CONNECTED)
    assert measured() == 3
    hear(db, 1)
    assert (count(db, campaign_id).sent, measured()) == (3, 3)
    check_measured(db)


def test_a_call_whose_earlier_one_was_refused_late_takes_its_measuring_back(
    db: Database, sender: Actor
) -> None:
    campaign_id = make_frozen(db, 3, region="US")
    first = lose(db)
    resend(db, campaign_id, sender)
    second = take_one(db)
    refuse(db, first, Verdict.NOT_CONNECTED)
    refuse(db, second, Verdict.NOT_CONNECTED)
    with db.reading() as session:
        assert session.scalars(select(Measured.delivery_id)).all() == []
    check_measured(db)


@pytest.mark.parametrize("verdict", [*REFUSALS, None])
def test_who_was_taken_as_sent_and_certainly_has_nothing_is_pending_again(
    db: Database, sender: Actor, verdict: Verdict | None
) -> None:
    """The campaign had finished by the decision: it is paused, and a person decides again."""
    campaign_id = make_frozen(db, 3)
    lost = lose(db)
    assert accept(db, campaign_id, sender) == Decided(1, 3)
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    refuse(db, lost, verdict)
    failed = int(verdict is Verdict.REFUSED_ADDRESS)
    found = count(db, campaign_id)
    assert (found.sent, found.pending, sum(found.failed.values())) == (0, 3 - failed, failed)
    with db.reading() as session:
        campaign = session.get_one(Campaign, campaign_id)
    assert (campaign.state, campaign.finished_at) == (CampaignState.PAUSED, None)
    assert (campaign.paused_from, campaign.paused_reason) == (
        CampaignState.SENDING,
        outcome.NOT_TAKEN,
    )
    assert noted(db, campaign_id)[-1] == "campaign.paused"
    with db.transaction() as session:
        settle.end_campaigns(session, now=NOW)
    assert state_of(db, campaign_id) is CampaignState.PAUSED
    with db.transaction(Gate.TAKING) as session:
        states.resume(session, campaign_id, sender, now=NOW)
    send_all(db)
    assert count(db, campaign_id).sent == 3 - failed
    assert state_of(db, campaign_id) is CampaignState.FINISHED


def test_of_a_campaign_that_goes_on_it_goes_on_with_them(db: Database, sender: Actor) -> None:
    campaign_id = make_frozen(db, 7)
    lost = lose(db)
    accept(db, campaign_id, sender)
    refuse(db, lost, Verdict.NOT_CONNECTED)
    assert count(db, campaign_id).pending == 7
    assert state_of(db, campaign_id) is CampaignState.SENDING


def test_of_a_stopped_campaign_they_stay_without_it(db: Database, sender: Actor) -> None:
    campaign_id = make_frozen(db, 7)
    lost = lose(db)
    accept(db, campaign_id, sender)
    with db.transaction(Gate.TAKING) as session:
        states.cancel(session, campaign_id, sender, now=NOW)
    refuse(db, lost, Verdict.NOT_CONNECTED)
    found = count(db, campaign_id)
    assert (found.sent, found.skipped) == (0, {"cancelled": 7})


def test_what_may_have_come_by_an_earlier_call_stays_taken_as_sent(
    db: Database, sender: Actor
) -> None:
    campaign_id = make_frozen(db, 3)
    answer(db, take_one(db), UNCLEAR)
    resend(db, campaign_id, sender)
    second = lose(db)
    accept(db, campaign_id, sender)
    refuse(db, second, Verdict.NOT_CONNECTED)
    assert count(db, campaign_id).sent == 3
    assert state_of(db, campaign_id) is CampaignState.FINISHED
