"""The freeze: everybody chosen becomes a delivery or is counted with a reason, once."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.deliveries import freeze
from mailprefs.deliveries.cancel import cancel_pending
from mailprefs.errors import Conflict
from mailprefs.policy import AddressOrigin, MessageClass, SubscriptionState
from mailprefs.schema.campaigns import Campaign, CampaignState, Content
from mailprefs.schema.deliveries import Batch, Delivery
from tests.factories import (
    BEGINNING,
    make_composed,
    make_policy,
    make_recipient,
    make_topic,
    subscribe,
)
from tests.sending import NOW, count, freeze_all, make_due, make_people, state_of, take


def deliveries(session: Session, campaign_id: int) -> list[tuple[int, int | None]]:
    rows = session.execute(
        select(Delivery.id, Delivery.recipient_id)
        .where(Delivery.campaign_id == campaign_id)
        .order_by(Delivery.id)
    )
    return [(delivery_id & 0xFFFFFFFF, recipient_id) for delivery_id, recipient_id in rows]


def batches(session: Session, campaign_id: int) -> list[tuple[int, int]]:
    rows = session.execute(
        select(Batch.first_id, Batch.last_id)
        .where(Batch.campaign_id == campaign_id)
        .order_by(Batch.first_id)
    )
    return [(first & 0xFFFFFFFF, last & 0xFFFFFFFF) for first, last in rows]


def test_everybody_chosen_is_frozen_or_kept_out_with_a_reason(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        people = make_people(session, topic, 7)
        left = make_recipient(session)
        subscribe(session, left, topic, SubscriptionState.UNSUBSCRIBED)
        unconfirmed = make_recipient(session, address_origin=AddressOrigin.UNCONFIRMED)
        subscribe(session, unconfirmed, topic)
        ids = [person.id for person in people]
        campaign_id = make_due(session, topic)
    freeze_all(db, slice_size=2)
    found = count(db, campaign_id)
    assert (found.chosen, found.frozen, found.pending) == (9, 7, 7)
    assert found.kept_out == {"unsubscribed": 1, "unconfirmed": 1}
    assert state_of(db, campaign_id) is CampaignState.SENDING
    with db.reading() as session:
        assert deliveries(session, campaign_id) == list(enumerate(ids, start=1))


def test_batches_are_cut_across_the_ends_of_slices(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 10)
        campaign_id = make_due(session, topic)
    freeze_all(db, batch_size=4, slice_size=3)
    with db.reading() as session:
        assert batches(session, campaign_id) == [(1, 4), (5, 8), (9, 10)]


def test_each_delivery_carries_the_policy_in_force_when_it_was_frozen(db: Database) -> None:
    with db.transaction() as session:
        old = make_policy(session, effective_from=BEGINNING)
        make_policy(session, effective_from=NOW + timedelta(days=1))
        topic = make_topic(session)
        make_people(session, topic, 1)
        make_due(session, topic)
    freeze_all(db)
    with db.reading() as session:
        assert session.scalars(select(Delivery.policy_version_id)).all() == [old]


def test_nothing_is_claimable_before_the_freeze_is_done(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 5)
        campaign_id = make_due(session, topic)
        freeze.begin_due(session, now=NOW)
    is_done = False
    while not is_done:
        assert take(db) is None
        with db.transaction() as session:
            step = freeze.step(session, campaign_id, batch_size=2, now=NOW, slice_size=2)
            assert step is not None
        assert count(db, campaign_id).pending == step.frozen
        is_done = step.is_done
    assert take(db) is not None


@pytest.mark.parametrize("steps", range(6))
def test_a_freeze_that_is_cut_off_anywhere_ends_the_same(db: Database, steps: int) -> None:
    """A crash rolls the slice in hand back; whoever comes next goes on from the last commit."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        ids = [person.id for person in make_people(session, topic, 5)]
        campaign_id = make_due(session, topic)
        freeze.begin_due(session, now=NOW)

    def crash() -> None:
        with db.transaction() as session:
            freeze.step(session, campaign_id, batch_size=2, now=NOW, slice_size=2)
            raise InterruptedError

    for _ in range(steps):
        with db.transaction() as session:
            freeze.step(session, campaign_id, batch_size=2, now=NOW, slice_size=2)
    with pytest.raises(InterruptedError):
        crash()
    freeze_all(db, batch_size=2, slice_size=2)
    assert count(db, campaign_id).frozen == 5
    with db.reading() as session:
        assert deliveries(session, campaign_id) == list(enumerate(ids, start=1))
        assert batches(session, campaign_id) == [(1, 2), (3, 4), (5, 5)]


def test_whoever_comes_after_the_freeze_began_is_not_in_it(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 2)
        campaign_id = make_due(session, topic)
        freeze.begin_due(session, now=NOW)
        make_people(session, topic, 3)
    freeze_all(db)
    assert count(db, campaign_id).frozen == 2


def test_a_campaign_that_is_not_due_stays_scheduled(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 1)
        campaign_id = make_due(session, topic, due_at=NOW + timedelta(seconds=1))
    freeze_all(db)
    assert state_of(db, campaign_id) is CampaignState.SCHEDULED


def test_a_campaign_to_nobody_finishes_at_once(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        left = make_recipient(session)
        subscribe(session, left, topic, SubscriptionState.UNSUBSCRIBED)
        campaign_id = make_due(session, topic)
    freeze_all(db)
    assert state_of(db, campaign_id) is CampaignState.FINISHED
    found = count(db, campaign_id)
    assert (found.chosen, found.frozen, found.kept_out) == (1, 0, {"unsubscribed": 1})


def test_an_administrative_campaign_is_frozen_for_everybody_confirmed(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        legal = make_topic(session, "legal", MessageClass.ADMINISTRATIVE)
        for _ in range(3):
            make_recipient(session)
        make_recipient(session, address_origin=AddressOrigin.UNCONFIRMED)
        campaign_id = make_due(session, legal)
    freeze_all(db)
    found = count(db, campaign_id)
    assert (found.chosen, found.frozen, found.kept_out) == (4, 3, {"unconfirmed": 1})


def test_people_get_the_content_of_their_language_in_batches_of_one_content(
    db: Database,
) -> None:
    languages = ["de", None, "fr-CA", "de-AT", "en", "fr", "it", "DE", "de-at"]
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        for language in languages:
            subscribe(session, make_recipient(session, language=language), topic)
        campaign_id = make_due(session, topic)
        campaign = session.get_one(Campaign, campaign_id)
        for language in ("de", "fr", "de-AT"):
            make_composed(session, campaign, language=language)
    freeze_all(db, batch_size=2, slice_size=4)
    found = count(db, campaign_id)
    assert (found.frozen, found.pending) == (9, 9)
    told: Counter[str] = Counter()
    with db.reading() as session:
        contents = {content.id: content.language for content in _contents(session, campaign_id)}
        for batch in session.scalars(select(Batch).order_by(Batch.id)):
            ids = set(
                session.scalars(
                    select(Delivery.id).where(Delivery.id.between(batch.first_id, batch.last_id))
                )
            )
            assert len(ids) == batch.n <= 2
            told[contents[batch.content_id]] += batch.n
    assert told == {"en": 3, "de": 2, "fr": 2, "de-AT": 2}


def _contents(session: Session, campaign_id: int) -> list[Content]:
    return list(session.scalars(select(Content).where(Content.campaign_id == campaign_id)))


def test_without_a_policy_in_force_nothing_is_frozen(db: Database) -> None:
    with db.transaction() as session:
        future = make_policy(session, effective_from=NOW + timedelta(days=1))
        topic = make_topic(session)
        subscribe(session, make_recipient(session), topic, policy_version_id=future)
        campaign_id = make_due(session, topic)
        freeze.begin_due(session, now=NOW)
    with pytest.raises(Conflict, match="policy"), db.transaction() as session:
        freeze.step(session, campaign_id, batch_size=2, now=NOW)


def test_a_freeze_that_is_cancelled_leaves_nobody_unaccounted_for(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, 5)
        campaign_id = make_due(session, topic)
        freeze.begin_due(session, now=NOW)
        freeze.step(session, campaign_id, batch_size=2, now=NOW, slice_size=3)
    with db.transaction() as session:
        session.get_one(Campaign, campaign_id).state = CampaignState.CANCELLED
        session.flush()
        cancel_pending(session, campaign_id)
    freeze_all(db)
    found = count(db, campaign_id)
    assert (found.frozen, found.skipped, found.pending) == (3, {"cancelled": 3}, 0)
    assert take(db) is None
