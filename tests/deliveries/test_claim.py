"""The claim: one batch, one worker, and only people who may still get the message."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs.db.database import Database, Gate
from mailprefs.deliveries.claim import Claim, claim
from mailprefs.deliveries.contents import Contents
from mailprefs.deliveries.pace import Wait
from mailprefs.policy import (
    Choice,
    MessageClass,
    Source,
    SubscriptionState,
    SuppressionReason,
    TrackingBasis,
    TrackingMode,
)
from mailprefs.rates import Limits, Rate
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver
from mailprefs.schema.opens import Measured
from mailprefs.schema.people import Recipient, Subscription
from tests.factories import (
    BEGINNING,
    make_composed,
    make_policy,
    make_recipient,
    make_topic,
    subscribe,
)
from tests.sending import (
    NOW,
    TERMS,
    answer,
    check_measured,
    count,
    freeze_all,
    make_due,
    make_people,
    send_all,
    state_of,
    take,
    take_one,
)


def make_newsletter(db: Database, people: int, *, tracking: str = "individual") -> int:
    """Store a frozen newsletter to so many people; give the campaign's id."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session, tracking=TrackingMode(tracking))
        make_people(session, topic, people)
        campaign_id = make_due(session, topic)
    freeze_all(db)
    return campaign_id


def leave(db: Database, recipient_id: int) -> None:
    """Let a person leave, as a choice does: under the gate."""
    with db.transaction(Gate.TAKING) as session:
        session.execute(
            update(Subscription)
            .where(Subscription.recipient_id == recipient_id)
            .values(state=SubscriptionState.UNSUBSCRIBED)
        )


def test_everybody_is_handed_over_once_and_the_campaign_finishes(db: Database) -> None:
    campaign_id = make_newsletter(db, 7)
    sent = send_all(db)
    handed_over = [delivery_id & 0xFFFFFFFF for _, ids in sent for delivery_id in ids]
    assert handed_over == [1, 2, 3, 4, 5, 6, 7]
    assert count(db, campaign_id).sent == 7
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    assert take(db) is None


def test_who_left_between_freeze_and_claim_is_skipped_with_the_reason(db: Database) -> None:
    campaign_id = make_newsletter(db, 5)
    with db.reading() as session:
        people = list(session.scalars(select(Recipient).order_by(Recipient.id)))
    leave(db, people[0].id)
    with db.transaction(Gate.TAKING) as session:
        session.add(
            Suppression(
                address_hash=people[1].address_hash,
                address_key_id=1,
                scope=SuppressionReason.HARD_BOUNCE.scope,
                reason=SuppressionReason.HARD_BOUNCE,
                source=Source.VENDOR,
                created_at=NOW,
            )
        )
    with db.transaction(Gate.TAKING) as session:
        session.execute(
            update(Delivery).where(Delivery.recipient_id == people[3].id).values(recipient_id=None)
        )
    sent = send_all(db)
    assert [delivery_id & 0xFFFFFFFF for _, ids in sent for delivery_id in ids] == [3, 5]
    found = count(db, campaign_id)
    assert found.sent == 2
    assert found.skipped == {"unsubscribed": 1, "suppressed": 1, "erased": 1}


def test_a_batch_in_which_nobody_is_left_does_not_end_the_campaign_early(db: Database) -> None:
    """An empty claim read as the end is how campaigns stop at a third of their people."""
    campaign_id = make_newsletter(db, 9)
    with db.reading() as session:
        ids = session.scalars(select(Recipient.id).order_by(Recipient.id)).all()
    for recipient_id in ids[:6]:
        leave(db, recipient_id)
    assert take(db) == Wait(0.0)
    assert state_of(db, campaign_id) is CampaignState.SENDING
    sent = send_all(db)
    assert [delivery_id & 0xFFFFFFFF for _, ids in sent for delivery_id in ids] == [7, 8, 9]
    found = count(db, campaign_id)
    assert (found.sent, found.skipped) == (3, {"unsubscribed": 6})
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    with db.reading() as session:
        assert session.query(HandOver).count() == 1


def test_a_campaign_whose_people_all_left_finishes_without_a_request(db: Database) -> None:
    campaign_id = make_newsletter(db, 4)
    with db.reading() as session:
        ids = session.scalars(select(Recipient.id)).all()
    for recipient_id in ids:
        leave(db, recipient_id)
    assert send_all(db) == []
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    assert count(db, campaign_id).skipped == {"unsubscribed": 4}


def test_the_hand_over_says_who_which_fields_and_how_each_is_measured(db: Database) -> None:
    """One request carries people of all three modes, and each of them by the rule."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session, unasked_tracking=TrackingMode.AGGREGATE)
        stands: list[tuple[Choice, str | None]] = [
            (Choice.UNKNOWN, "US"),
            (Choice.UNKNOWN, "DE"),
            (Choice.GRANTED, "FR"),
            (Choice.REFUSED, "US"),
            (Choice.UNKNOWN, None),
            (Choice.OBJECTED, "GB"),
        ]
        for choice, region in stands:
            person = make_recipient(session, open_tracking=choice, region=region)
            subscribe(session, person, topic)
        campaign_id = make_due(session, topic)
        make_composed(session, session.get_one(Campaign, campaign_id), language="xx")
    freeze_all(db, batch_size=6)
    taken = take_one(db)
    assert [person.mode.value[0] for person in taken.people] == list("iaioio")
    with db.reading() as session:
        kept = session.query(HandOver).one()
        measured = session.scalars(select(Measured.delivery_id).order_by(Measured.delivery_id))
        assert [one & 0xFFFFFFFF for one in measured] == [1, 3, 5]
    assert (kept.modes, kept.n, kept.owner, kept.vendor) == ("iaioio", 6, "worker", "fake")
    assert kept.fields == "address,first_name,last_name"
    assert taken.attempt == f"{kept.id:x}"
    check_measured(db)


def test_where_the_region_is_unknown_the_setting_decides(db: Database) -> None:
    make_newsletter(db, 1)
    taken = take_one(db, replace(TERMS, unknown_region_basis=TrackingBasis.CONSENT))
    assert [person.mode for person in taken.people] == [TrackingMode.OFF]


def test_a_topic_that_measures_nobody_measures_nobody(db: Database) -> None:
    make_newsletter(db, 2, tracking="off")
    assert {person.mode for person in take_one(db).people} == {TrackingMode.OFF}
    check_measured(db)


def test_administrative_mail_is_never_measured(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        legal = make_topic(session, "legal", MessageClass.ADMINISTRATIVE)
        make_recipient(session, open_tracking=Choice.GRANTED)
        make_due(session, legal)
    freeze_all(db)
    assert [person.mode for person in take_one(db).people] == [TrackingMode.OFF]
    with db.reading() as session:
        assert session.query(Measured).count() == 0


def test_mail_that_apples_proxy_loads_is_marked_from_the_start_for_sixty_days(
    db: Database,
) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        for days in (59, 61, None):
            seen = None if days is None else (NOW - timedelta(days=days)).date()
            subscribe(session, make_recipient(session, apple_seen_on=seen), topic)
        make_due(session, topic)
    freeze_all(db)
    take_one(db)
    with db.reading() as session:
        bits = session.scalars(select(Measured.bits).order_by(Measured.delivery_id)).all()
    assert bits == [2, 0, 0]
    check_measured(db)


def test_merge_values_go_along_and_people_without_a_needed_one_are_skipped(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        for attributes in ({"plan": "pro"}, {}, {"plan": 7, "other": "x"}):
            person = make_recipient(session, attributes=attributes, first_name="Ada")
            subscribe(session, person, topic)
        campaign_id = make_due(session, topic)
        campaign = session.get_one(Campaign, campaign_id)
        campaign.revision = 2
        session.flush()
        make_composed(session, campaign, "Your plan is {{ plan }}.")
    freeze_all(db)
    taken = take_one(db)
    assert [dict(person.attributes) for person in taken.people] == [{"plan": "pro"}, {"plan": "7"}]
    assert taken.people[0].first_name == "Ada"
    answer(db, taken)
    assert count(db, campaign_id).skipped == {"empty_field": 1}
    with db.reading() as session:
        kept = session.query(HandOver).one()
    assert (kept.fields, kept.modes) == ("address,first_name,last_name,plan", "i-i")


def test_staging_hands_over_only_whom_it_may_mail(db: Database) -> None:
    campaign_id = make_newsletter(db, 3)
    with db.reading() as session:
        first = session.scalars(select(Recipient.address).order_by(Recipient.id)).first()
    taken = take_one(db, replace(TERMS, may_mail=lambda address: address == first))
    assert [person.address for person in taken.people] == [first]
    assert count(db, campaign_id).skipped == {"not_on_allow_list": 2}


def test_administrative_mail_overtakes_promotional_mail(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        legal = make_topic(session, "legal", MessageClass.ADMINISTRATIVE)
        make_people(session, topic, 4)
        newsletter = make_due(session, topic)
        freeze_order = [newsletter]
    freeze_all(db)
    with db.transaction() as session:
        freeze_order.append(make_due(session, legal))
    freeze_all(db)
    order = [campaign_id for campaign_id, _ in send_all(db)]
    assert order == [freeze_order[1]] * 2 + [newsletter] * 2


@pytest.mark.parametrize(
    "state", [CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FREEZING]
)
def test_nothing_of_a_campaign_that_is_not_sending_is_claimed(
    db: Database, state: CampaignState
) -> None:
    campaign_id = make_newsletter(db, 3)
    with db.transaction(Gate.TAKING) as session:
        session.get_one(Campaign, campaign_id).state = state
    assert take(db) is None


def test_two_workers_never_hold_the_same_batch(db: Database) -> None:
    campaign_id = make_newsletter(db, 30)
    held: list[int] = []
    start = threading.Barrier(4)

    def work(name: str) -> None:
        start.wait()
        while isinstance(taken := take(db, replace(TERMS, owner=name)), Claim):
            held.append(taken.held.batch_id)
            answer(db, taken)

    threads = [threading.Thread(target=work, args=(f"worker {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(held) == sorted(set(held))
    assert len(held) == 10
    assert count(db, campaign_id).sent == 30


def test_a_batch_size_changed_on_the_way_leaves_nobody_out(db: Database) -> None:
    """Frozen in threes; then the limit makes smaller claims; then it is taken away again."""
    campaign_id = make_newsletter(db, 8)
    with db.transaction() as session:
        person = session.scalars(select(Recipient.id).order_by(Recipient.id)).all()[1]
    leave(db, person)
    taken = take_one(db, replace(TERMS, limits=Limits(everything=Rate(2.0))))
    assert [one.delivery_id & 0xFFFFFFFF for one in taken.people] == [1]
    answer(db, taken)
    assert count(db, campaign_id).pending == 6
    sent = send_all(db)
    handed_over = sorted(delivery_id & 0xFFFFFFFF for _, ids in sent for delivery_id in ids)
    assert handed_over == [3, 4, 5, 6, 7, 8]
    found = count(db, campaign_id)
    assert (found.sent, found.skipped) == (7, {"unsubscribed": 1})


def test_the_last_check_sees_what_was_committed_before_the_gate(db: Database) -> None:
    """The claim has begun, an opt-out commits first: its answer was 2xx, so nobody mails them."""
    make_newsletter(db, 3)
    with db.reading() as session:
        first = session.scalars(select(Recipient.id).order_by(Recipient.id)).first()
    assert first is not None
    taken: list[Claim | Wait | None] = []
    with db.transaction(Gate.TAKING) as session:
        worker = threading.Thread(target=lambda: taken.append(take(db)))
        worker.start()
        time.sleep(0.2)
        session.execute(
            update(Subscription)
            .where(Subscription.recipient_id == first)
            .values(state=SubscriptionState.UNSUBSCRIBED)
        )
    worker.join(10)
    assert isinstance(taken[0], Claim)
    assert [one.delivery_id & 0xFFFFFFFF for one in taken[0].people] == [2, 3]


def test_an_opt_out_waits_until_a_claim_has_committed(db: Database) -> None:
    make_newsletter(db, 3)
    order: list[str] = []

    def opt_out() -> None:
        with db.transaction(Gate.TAKING):
            order.append("left")

    with db.transaction(Gate.USING) as session:
        assert isinstance(claim(session, TERMS, Contents(), now=NOW), Claim)
        person = threading.Thread(target=opt_out)
        person.start()
        time.sleep(0.2)
        order.append("claimed")
    person.join(10)
    assert order == ["claimed", "left"]


def test_a_claim_that_is_rolled_back_leaves_the_batch_for_others(db: Database) -> None:
    make_newsletter(db, 3)

    def crash(session: Session) -> None:
        claim(session, TERMS, Contents(), now=NOW)
        raise InterruptedError

    with pytest.raises(InterruptedError), db.transaction(Gate.USING) as session:
        crash(session)
    with db.reading() as session:
        assert session.scalars(select(Batch.state)).all() == [BatchState.PENDING]
    assert isinstance(take(db), Claim)


def test_a_claim_prints_no_address(db: Database) -> None:
    make_newsletter(db, 1)
    assert "@" not in repr(take_one(db))


def test_nothing_is_claimed_where_nothing_is(db: Database) -> None:
    assert take(db) is None
    assert BEGINNING < NOW
