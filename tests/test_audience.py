"""Who may get what: one rule, the same for counting, freezing and the last check."""

from datetime import timedelta

from sqlalchemy.orm import Session

from mailprefs import audience
from mailprefs.audience import WEEK, Audience
from mailprefs.db.database import Database
from mailprefs.policy import (
    AddressOrigin,
    Frequency,
    MessageClass,
    Skip,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import LastPromotion
from mailprefs.schema.people import Recipient, Topic
from tests.factories import BEGINNING, HASHER, make_recipient, make_topic, stored, subscribe

NOW = BEGINNING + timedelta(days=100)
PROMOTIONAL, ADMINISTRATIVE = MessageClass.PROMOTIONAL, MessageClass.ADMINISTRATIVE


def suppress(session: Session, person: Recipient, reason: SuppressionReason) -> None:
    stored(
        session,
        Suppression(
            address_hash=person.address_hash,
            address_key_id=person.address_key_id,
            scope=reason.scope,
            reason=reason,
            source=Source.STAFF,
            created_at=BEGINNING,
        ),
    )


def make_everybody(session: Session, topic: Topic) -> dict[str, int]:
    """Store one person for each way to stand with a promotional topic; give their ids by name."""
    people: dict[str, Recipient] = {}

    def add(
        name: str, state: SubscriptionState | None = SubscriptionState.SUBSCRIBED, **columns: object
    ) -> Recipient:
        people[name] = make_recipient(session, f"{name}@example.org", hasher=HASHER, **columns)
        if state is not None:
            subscribe(session, people[name], topic, state)
        return people[name]

    add("reader")
    add("confirmed", address_origin=AddressOrigin.CONFIRMED)
    add("stranger", None)
    add("left", SubscriptionState.UNSUBSCRIBED)
    add("pending", SubscriptionState.PENDING)
    add("unconfirmed", address_origin=AddressOrigin.UNCONFIRMED)
    add("pausing", paused_until=NOW + timedelta(seconds=1))
    add("paused.before", paused_until=NOW)
    reached = NOW - WEEK + timedelta(seconds=1)
    for name, at in (("weekly", None), ("weekly.now", reached), ("weekly.before", NOW - WEEK)):
        person = add(name, frequency=Frequency.WEEKLY)
        if at is not None:
            stored(session, LastPromotion(recipient_id=person.id, campaign_id=7, at=at))
    suppress(session, add("left.all"), SuppressionReason.UNSUBSCRIBED)
    suppress(session, add("complained"), SuppressionReason.COMPLAINED)
    suppress(session, add("bounced"), SuppressionReason.HARD_BOUNCE)
    return {name: person.id for name, person in people.items()}


def eligible(session: Session, whom: Audience) -> set[int]:
    return set(session.scalars(audience.eligible(whom, NOW)))


def test_promotional_mail_reaches_subscribers_whom_nothing_holds_back(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        people = make_everybody(session, topic)
        whom = Audience(topic.id, PROMOTIONAL)
        reached = {"reader", "confirmed", "paused.before", "weekly", "weekly.before"}
        assert eligible(session, whom) == {people[name] for name in reached}


def test_a_subscription_to_another_topic_is_none_to_this_one(db: Database) -> None:
    with db.transaction() as session:
        topic, other = make_topic(session), make_topic(session)
        person = make_recipient(session)
        subscribe(session, person, other)
        assert eligible(session, Audience(topic.id, PROMOTIONAL)) == set()
        assert eligible(session, Audience(other.id, PROMOTIONAL)) == {person.id}


def test_administrative_mail_needs_no_subscription_and_survives_a_promotional_no(
    db: Database,
) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        legal = make_topic(session, "legal", ADMINISTRATIVE)
        people = make_everybody(session, topic)
        reached = eligible(session, Audience(legal.id, ADMINISTRATIVE))
        assert reached == set(people.values()) - {people["unconfirmed"], people["bounced"]}


def test_everybody_chosen_is_reached_or_kept_out_for_one_reason(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        make_everybody(session, topic)
        found = audience.forecast(session, Audience(topic.id, PROMOTIONAL), NOW)
        told = dict(session.execute(audience.why_not(Audience(topic.id, PROMOTIONAL), NOW)).all())
    assert found.kept_out == {
        Skip.UNSUBSCRIBED: 2,
        Skip.SUPPRESSED: 2,
        Skip.UNCONFIRMED: 1,
        Skip.NOT_SUBSCRIBED: 1,
        Skip.PAUSING: 1,
        Skip.TOO_FREQUENT: 1,
    }
    assert told == found.kept_out
    # Everybody with a subscription row, in whatever state; the stranger was never asked.
    assert (found.chosen, found.eligible) == (13, 5)


def test_an_administrative_bulk_send_is_meant_for_everybody_we_know(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        legal = make_topic(session, "legal", ADMINISTRATIVE)
        make_everybody(session, topic)
        found = audience.forecast(session, Audience(legal.id, ADMINISTRATIVE), NOW)
    assert found == (14, 12, {Skip.SUPPRESSED: 1, Skip.UNCONFIRMED: 1})


def test_several_suppressions_of_one_address_count_a_person_once(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        person = make_recipient(session)
        subscribe(session, person, topic)
        suppress(session, person, SuppressionReason.COMPLAINED)
        suppress(session, person, SuppressionReason.UNSUBSCRIBED)
        found = audience.forecast(session, Audience(topic.id, PROMOTIONAL), NOW)
    assert found == (1, 0, {Skip.UNSUBSCRIBED: 1})


def test_an_unconfirmed_address_gets_its_confirmation_and_nothing_else(db: Database) -> None:
    with db.transaction() as session:
        account = make_topic(session, "account", ADMINISTRATIVE)
        person = make_recipient(session, address_origin=AddressOrigin.UNCONFIRMED)
        single = Audience(account.id, ADMINISTRATIVE, "fresh_link")
        assert eligible(session, single) == set()
        assert eligible(session, single._replace(template="confirmation")) == {person.id}
        suppress(session, person, SuppressionReason.ERASED)
        assert eligible(session, single._replace(template="confirmation")) == {person.id}
        assert eligible(session, single._replace(template="alarm")) == set()
        suppress(session, person, SuppressionReason.INVALID)
        assert eligible(session, single._replace(template="confirmation")) == set()


def test_who_left_is_kept_out_for_that_however_long_they_pause(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        for state in (SubscriptionState.UNSUBSCRIBED, SubscriptionState.PENDING):
            person = make_recipient(session, paused_until=NOW + WEEK, frequency=Frequency.WEEKLY)
            subscribe(session, person, topic, state)
        found = audience.forecast(session, Audience(topic.id, PROMOTIONAL), NOW)
    assert found.kept_out == {Skip.UNSUBSCRIBED: 1, Skip.NOT_SUBSCRIBED: 1}
