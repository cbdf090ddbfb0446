"""Who may get what: one rule, the same for counting, freezing and the last check."""

from sqlalchemy.orm import Session

from mailprefs import audience
from mailprefs.audience import Audience
from mailprefs.db.database import Database
from mailprefs.policy import (
    AddressOrigin,
    MessageClass,
    Skip,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.schema.choices import Suppression
from mailprefs.schema.people import Recipient, Topic
from tests.factories import BEGINNING, HASHER, make_recipient, make_topic, stored, subscribe

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
    suppress(session, add("left.all"), SuppressionReason.UNSUBSCRIBED)
    suppress(session, add("complained"), SuppressionReason.COMPLAINED)
    suppress(session, add("bounced"), SuppressionReason.HARD_BOUNCE)
    return {name: person.id for name, person in people.items()}


def eligible(session: Session, whom: Audience) -> set[int]:
    return set(session.scalars(audience.eligible(whom)))


def test_promotional_mail_reaches_subscribers_whom_nothing_holds_back(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        people = make_everybody(session, topic)
        whom = Audience(topic.id, PROMOTIONAL)
        assert eligible(session, whom) == {people["reader"], people["confirmed"]}


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
        found = audience.forecast(session, Audience(topic.id, PROMOTIONAL))
        told = dict(session.execute(audience.why_not(Audience(topic.id, PROMOTIONAL))).all())
    assert found.kept_out == {
        Skip.UNSUBSCRIBED: 2,
        Skip.SUPPRESSED: 2,
        Skip.UNCONFIRMED: 1,
        Skip.NOT_SUBSCRIBED: 1,
    }
    assert told == found.kept_out
    # Everybody with a subscription row, in whatever state; the stranger was never asked.
    assert (found.chosen, found.eligible) == (8, 2)


def test_an_administrative_bulk_send_is_meant_for_everybody_we_know(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        legal = make_topic(session, "legal", ADMINISTRATIVE)
        make_everybody(session, topic)
        found = audience.forecast(session, Audience(legal.id, ADMINISTRATIVE))
    assert found == (9, 7, {Skip.SUPPRESSED: 1, Skip.UNCONFIRMED: 1})


def test_several_suppressions_of_one_address_count_a_person_once(db: Database) -> None:
    with db.transaction() as session:
        topic = make_topic(session)
        person = make_recipient(session)
        subscribe(session, person, topic)
        suppress(session, person, SuppressionReason.COMPLAINED)
        suppress(session, person, SuppressionReason.UNSUBSCRIBED)
        found = audience.forecast(session, Audience(topic.id, PROMOTIONAL))
    assert found == (1, 0, {Skip.UNSUBSCRIBED: 1})


def test_an_unconfirmed_address_gets_its_confirmation_and_nothing_else(db: Database) -> None:
    with db.transaction() as session:
        account = make_topic(session, "account", ADMINISTRATIVE)
        person = make_recipient(session, address_origin=AddressOrigin.UNCONFIRMED)
        single = Audience(account.id, ADMINISTRATIVE, "fresh_link")
        assert eligible(session, single) == set()
        assert eligible(session, single._replace(template="confirmation")) == {person.id}
        suppress(session, person, SuppressionReason.INVALID)
        assert eligible(session, single._replace(template="confirmation")) == set()
