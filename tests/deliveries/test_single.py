"""Single messages: one person, one message, once, ahead of everything else."""

import threading

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.deliveries import single
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.policy import AddressOrigin, MessageClass, Source, SuppressionReason
from mailprefs.schema.campaigns import Campaign, CampaignState, Content
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import Batch, Delivery, HandOver, SingleValues
from mailprefs.schema.people import Recipient, Sender, Topic
from mailprefs.vendor.message import Outcome, Verdict
from tests.factories import (
    make_composed,
    make_content,
    make_policy,
    make_recipient,
    make_topic,
    subscribe,
)
from tests.sending import NOW, answer, count, freeze_all, make_due, send_all, state_of, take_one

URL = "https://mail.example.com/staff/alarms"


@pytest.fixture
def recipient_id(db: Database) -> int:
    """Give a person, with an administrative topic and a policy around."""
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "legal", MessageClass.ADMINISTRATIVE)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        return make_recipient(session).id


def queue(db: Database, recipient_id: int, key: str = "a key", **values: str) -> int:
    with db.transaction() as session:
        return single.queue(session, "fresh_link", recipient_id, values, key, now=NOW)


def content_of(session: Session, delivery_id: int) -> Content:
    """Give what a single message was made of."""
    batch = session.scalars(select(Batch).where(Batch.first_id == delivery_id)).one()
    return session.get_one(Content, batch.content_id)


def test_a_message_is_a_delivery_of_its_kinds_standing_campaign(
    db: Database, recipient_id: int
) -> None:
    made = queue(db, recipient_id, plan="pro")
    with db.reading() as session:
        campaign = session.get_one(Campaign, made >> 32)
        topic = session.get_one(Topic, campaign.topic_id)
    assert (campaign.standing, campaign.template) == (True, "fresh_link")
    assert topic.slug == "account"
    assert campaign.message_class is MessageClass.ADMINISTRATIVE
    taken = take_one(db)
    (person,) = taken.people
    assert (person.delivery_id, person.recipient_id) == (made, recipient_id)
    assert person.attributes == {"plan": "pro"}
    answer(db, taken)
    assert count(db, campaign.id).sent == 1


def test_the_hand_over_names_the_values_that_went_along(db: Database, recipient_id: int) -> None:
    made = queue(db, recipient_id, plan="pro", confirm_url="https://x.example/c", unasked="secret")
    with db.transaction() as session:
        campaign = session.get_one(Campaign, made >> 32)
        campaign.revision = 100
        composed = make_composed(session, campaign, "Your plan is {{ plan }}.")
        slots = [*composed.tags["slots"], ["confirm_url", True, "", "", ""]]
        campaign.revision = 101
        content = make_content(session, campaign, tags=composed.tags | {"slots": slots})
        session.execute(update(Batch).values(content_id=content.id))
    take_one(db)
    with db.reading() as session:
        kept = session.query(HandOver).one()
    assert kept.fields == "address,first_name,last_name,confirm_url,plan"


def test_the_same_key_again_is_the_same_message(db: Database, recipient_id: int) -> None:
    first = queue(db, recipient_id)
    assert queue(db, recipient_id) == first
    other = queue(db, recipient_id, "another key")
    assert other == first + 1
    assert len(send_all(db)) == 2
    assert count(db, first >> 32).sent == 2


def test_two_requests_with_one_key_at_once_make_one_message(
    db: Database, recipient_id: int
) -> None:
    made: list[int] = []
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        made.append(queue(db, recipient_id))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 4 and len(set(made)) == 1
    with db.reading() as session:
        assert session.query(Delivery).count() == 1
        assert session.query(Batch).count() == 1


def test_it_overtakes_every_campaign(db: Database, recipient_id: int) -> None:
    with db.transaction() as session:
        legal = make_topic(session, "notices", MessageClass.ADMINISTRATIVE)
        make_due(session, legal)
    freeze_all(db)
    made = queue(db, recipient_id)
    assert take_one(db).held.first_id == made


def test_a_campaign_of_single_messages_never_finishes(db: Database, recipient_id: int) -> None:
    made = queue(db, recipient_id)
    send_all(db)
    assert state_of(db, made >> 32) is CampaignState.SENDING


def test_an_address_that_must_not_be_mailed_gets_no_single_message_either(
    db: Database, recipient_id: int
) -> None:
    made = queue(db, recipient_id)
    with db.transaction() as session:
        person = session.get_one(Recipient, recipient_id)
        session.add(
            Suppression(
                address_hash=person.address_hash,
                address_key_id=1,
                scope=SuppressionReason.HARD_BOUNCE.scope,
                reason=SuppressionReason.HARD_BOUNCE,
                source=Source.VENDOR,
                created_at=NOW,
            )
        )
    assert send_all(db) == []
    assert count(db, made >> 32).skipped == {"suppressed": 1}


def test_one_refused_message_does_not_hold_up_the_others(db: Database, recipient_id: int) -> None:
    made = queue(db, recipient_id, "one")
    queue(db, recipient_id, "two")
    refused = Outcome(verdict=Verdict.REFUSED_MESSAGE, status=400, reason="It is bad.")
    assert len(send_all(db, [refused])) == 1
    found = count(db, made >> 32)
    assert (found.sent, found.failed) == (1, {"refused_message": 1})
    assert state_of(db, made >> 32) is CampaignState.SENDING


def test_new_sender_details_make_a_new_content_and_leave_the_old_one(
    db: Database, recipient_id: int
) -> None:
    made = queue(db, recipient_id, "one")
    queue(db, recipient_id, "two")
    with db.transaction() as session:
        session.execute(update(Sender).values(postal_address="Example AG, Bern"))
    queue(db, recipient_id, "three")
    with db.reading() as session:
        revisions = session.scalars(select(Content.revision).order_by(Content.id)).all()
        used = session.scalars(select(Batch.content_id).order_by(Batch.id)).all()
    assert revisions == [1, 2]
    assert used[0] == used[1] != used[2]
    assert made


@pytest.mark.parametrize(
    ("own", "spoken", "subject"),
    [
        ("de-AT", "de", "Ihr Link zu Ihren E-Mail-Einstellungen"),
        ("ja", "ja", "メール設定へのリンク"),
        ("nl", "en", "Your link to your e-mail settings"),
        (None, "en", "Your link to your e-mail settings"),
    ],
)
def test_a_message_is_in_the_persons_language(
    db: Database, recipient_id: int, own: str | None, spoken: str, subject: str
) -> None:
    with db.transaction() as session:
        session.get_one(Recipient, recipient_id).language = own
    made = queue(db, recipient_id)
    with db.reading() as session:
        content = content_of(session, made)
        assert (content.language, content.subject) == (spoken, subject)


def test_people_of_several_languages_share_the_contents_of_theirs(
    db: Database, recipient_id: int
) -> None:
    made: dict[str, int] = {}
    for turn in range(2):
        for tag in ("fr", "en", "fr", "ar"):
            with db.transaction() as session:
                session.get_one(Recipient, recipient_id).language = tag
            number = queue(db, recipient_id, f"{tag} {turn} {len(made)}")
            with db.reading() as session:
                content = content_of(session, number)
                assert content.language == tag
                assert made.setdefault(tag, content.id) == content.id


def test_a_mail_to_operators_is_in_english_whatever_they_speak(
    db: Database, recipient_id: int
) -> None:
    with db.transaction() as session:
        session.get_one(Recipient, recipient_id).language = "de"
        made = single.queue(session, "alarm", recipient_id, {"alarms_url": URL}, "a", now=NOW)
        assert content_of(session, made).language == "en"


def test_values_are_kept_beside_the_delivery(db: Database, recipient_id: int) -> None:
    made = queue(db, recipient_id, first="1")
    queue(db, recipient_id, "none")
    with db.reading() as session:
        kept = session.query(SingleValues).one()
    assert (kept.delivery_id, kept.values) == (made, {"first": "1"})


def test_an_unconfirmed_address_gets_no_fresh_link(db: Database, recipient_id: int) -> None:
    with db.transaction() as session:
        person = make_recipient(session, address_origin=AddressOrigin.UNCONFIRMED)
        stranger = person.id
    made = queue(db, stranger)
    assert send_all(db) == []
    assert count(db, made >> 32).skipped == {"unconfirmed": 1}
    assert recipient_id


def test_what_cannot_be_queued_is_refused_with_a_sentence(db: Database, recipient_id: int) -> None:
    with pytest.raises(NotFound, match="no recipient"):
        queue(db, recipient_id + 99)
    for key in ("", "x" * 65):
        with pytest.raises(BadInput, match="idempotency key"):
            queue(db, recipient_id, key)
    with pytest.raises(NotFound), db.transaction() as session:
        single.queue(session, "no_such_mail", recipient_id, {}, "a key", now=NOW)


def test_without_an_administrative_topic_nothing_is_queued(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        person = make_recipient(session)
        subscribe(session, person, topic)
        stranger = person.id
    with pytest.raises(Conflict, match="administrative topic"):
        queue(db, stranger)
