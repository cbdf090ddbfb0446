"""Senders and topics: one class each, for ever; and where people stand."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from mailprefs import audit, subscriptions
from mailprefs.audit import Actor
from mailprefs.db.database import Database
from mailprefs.errors import BadAddress, BadInput, Conflict, NotFound
from mailprefs.policy import MessageClass, Source, SubscriptionState, TrackingMode
from mailprefs.schema.campaigns import CampaignState
from mailprefs.schema.people import Sender, Topic
from mailprefs.subscriptions import NewSender, NewTopic, Standing
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sender,
    make_staff,
    make_topic,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CONSOLE = Actor(None, "console")
NEWS = NewSender(
    name="Example News",
    from_address="News@Mail.Example.com",
    reply_to="hello@example.com",
    postal_address="Example GmbH, Musterweg 1, 10115 Berlin",
    base_url="https://mail.example.com/",
)


def changed(field: str, value: str) -> NewSender:
    return NEWS._replace(**{field: value})  # type: ignore[arg-type]  # a text field by name


def test_what_is_not_said_to_be_administrative_is_promotional(db: Database) -> None:
    with db.transaction() as session:
        sender = subscriptions.add_sender(session, NEWS, CONSOLE, now=NOW)
        topic = subscriptions.add_topic(session, NewTopic("news", "News"), CONSOLE, now=NOW)
    assert sender.message_class is MessageClass.PROMOTIONAL
    assert topic.message_class is MessageClass.PROMOTIONAL
    assert topic.sender_id == sender.id
    assert (sender.from_address, sender.base_url) == (
        "News@mail.example.com",
        "https://mail.example.com",
    )


def test_an_administrative_topic_is_never_measured(db: Database) -> None:
    with db.transaction() as session:
        make_sender(session, MessageClass.ADMINISTRATIVE)
        new = NewTopic("account", "Account", message_class=MessageClass.ADMINISTRATIVE)
        topic = subscriptions.add_topic(session, new, CONSOLE, now=NOW)
    assert (topic.tracking, topic.unasked_tracking) == (TrackingMode.OFF, TrackingMode.OFF)


def test_a_topic_takes_the_sender_asked_for_else_the_oldest_of_its_class(db: Database) -> None:
    with db.transaction() as session:
        make_sender(session, MessageClass.ADMINISTRATIVE)
        oldest, other = make_sender(session), make_sender(session)
        by_default = subscriptions.add_topic(session, NewTopic("a", "A"), CONSOLE, now=NOW)
        asked_for = subscriptions.add_topic(
            session, NewTopic("b", "B", sender_id=other.id), CONSOLE, now=NOW
        )
    assert (by_default.sender_id, asked_for.sender_id) == (oldest.id, other.id)


def test_a_topic_never_gets_the_other_classs_sender(db: Database) -> None:
    with db.transaction() as session:
        notices = make_sender(session, MessageClass.ADMINISTRATIVE)
        new = NewTopic("news", "News", sender_id=notices.id)
        with pytest.raises(Conflict, match="no promotional sender"):
            subscriptions.add_topic(session, new, CONSOLE, now=NOW)


def test_the_database_itself_refuses_a_topic_of_another_class_than_its_sender(db: Database) -> None:
    with db.transaction() as session:
        notices = make_sender(session, MessageClass.ADMINISTRATIVE).id
    with pytest.raises(IntegrityError), db.transaction() as session:
        make_topic(session, "news", sender_id=notices)


def test_the_classes_never_share_a_from_address(db: Database) -> None:
    with db.transaction() as session:
        subscriptions.add_sender(session, NEWS, CONSOLE, now=NOW)
        subscriptions.add_sender(session, NEWS._replace(name="Second brand"), CONSOLE, now=NOW)
        notices = NEWS._replace(message_class=MessageClass.ADMINISTRATIVE)
        with pytest.raises(Conflict, match="already sends promotional mail"):
            subscriptions.add_sender(session, notices, CONSOLE, now=NOW)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", " ", "needs a name"),
        ("base_url", "mail.example.com", "https://"),
        ("base_url", "https://mail.example.com/?a=1", "can't stand in a message"),
        ("base_url", "ftp://mail.example.com", "https://"),
    ],
)
def test_a_sender_that_mail_cannot_carry_is_refused(
    db: Database, field: str, value: str, told: str
) -> None:
    with db.transaction() as session, pytest.raises(BadInput, match=told):
        subscriptions.add_sender(session, changed(field, value), CONSOLE, now=NOW)


@pytest.mark.parametrize("field", ["from_address", "reply_to"])
def test_a_senders_addresses_are_checked(db: Database, field: str) -> None:
    with db.transaction() as session, pytest.raises(BadAddress):
        subscriptions.add_sender(session, changed(field, "news"), CONSOLE, now=NOW)


def test_a_sender_may_wait_for_its_postal_address(db: Database) -> None:
    """Nothing is sent before it is there: the review stands in the way."""
    with db.transaction() as session:
        new = changed("postal_address", " ")
        assert subscriptions.add_sender(session, new, CONSOLE, now=NOW).postal_address == ""


def test_a_sender_is_changed_field_by_field_and_that_is_audited(db: Database) -> None:
    with db.transaction() as session:
        sender = subscriptions.add_sender(session, NEWS, CONSOLE, now=NOW)
        changes = {"from_address": "Letters@Mail.Example.com", "name": NEWS.name}
        subscriptions.change_sender(session, sender.id, changes, CONSOLE, now=NOW)
        subscriptions.change_sender(session, sender.id, {"name": NEWS.name}, CONSOLE, now=NOW)
        notes = audit.of(session, ("sender", sender.id))
        session.expire(sender)
        assert sender.from_address == "Letters@mail.example.com"
        assert (sender.name, sender.postal_address) == (NEWS.name, NEWS.postal_address)
    assert [(note.action, note.details) for note in notes[1:]] == [
        ("sender.changed", {"fields": ["from_address"]})
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "needs a name"),
        ({"from_address": "news"}, "address"),
        ({"base_url": "mail.example.com"}, "https://"),
        ({"message_class": "administrative"}, "message class can't be changed"),
        ({"from_address": "notices@mail.example.com"}, "already sends administrative mail"),
    ],
)
def test_a_change_that_a_sender_cannot_bear_changes_nothing(
    db: Database, changes: dict[str, str], told: str
) -> None:
    with db.transaction() as session:
        make_sender(session, MessageClass.ADMINISTRATIVE, from_address="notices@mail.example.com")
        sender = subscriptions.add_sender(session, NEWS, CONSOLE, now=NOW)
    with pytest.raises((BadInput, Conflict), match=told), db.transaction() as session:
        subscriptions.change_sender(session, sender.id, changes, CONSOLE, now=NOW)
    with db.reading() as session:
        kept = subscriptions.senders(session, MessageClass.PROMOTIONAL)[0]
    assert (kept.name, kept.from_address) == (NEWS.name, "News@mail.example.com")


UNDER_WAY = ("scheduled", "freezing", "sending", "paused", "held")


@pytest.mark.parametrize("state", CampaignState)
@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"from_address": "other@mail.example.com"},
        {"reply_to": "other@example.com"},
        {"postal_address": "2 Elsewhere"},
        {"base_url": "https://other.example.com"},
        {"ip_pool": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_sender_stays_as_it_was_checked_while_a_campaign_is_under_way(
    db: Database, state: CampaignState, change: dict[str, str]
) -> None:
    with db.transaction() as session:
        sender = subscriptions.add_sender(session, NEWS, CONSOLE, now=NOW)
        topic = make_topic(session, sender_id=sender.id)
        campaign = make_campaign(session, topic, state=state)
        another = make_campaign(session, make_topic(session), state=CampaignState.SENDING)
        assert another.id != campaign.id
    refused = state.value in UNDER_WAY and "ip_pool" not in change
    outcome = (
        pytest.raises(Conflict, match=f"Campaign {campaign.id} is {state.value}")
        if refused
        else nullcontext()
    )
    with outcome, db.transaction() as session:
        subscriptions.change_sender(session, sender.id, change, CONSOLE, now=NOW)
    with db.reading() as session:
        kept = session.get_one(Sender, sender.id)
        (field,) = change
        assert (getattr(kept, field) == change[field]) is not refused


def test_single_messages_do_not_keep_their_sender_from_changing(db: Database) -> None:
    """Their campaigns stand for ever, and each message is made anew of the sender as it is."""
    with db.transaction() as session:
        notices = make_sender(session, MessageClass.ADMINISTRATIVE)
        topic = make_topic(session, None, MessageClass.ADMINISTRATIVE, sender_id=notices.id)
        make_campaign(session, topic, standing=True, template="fresh_link", purpose="account")
        changed = {"name": "Other"}
        subscriptions.change_sender(session, notices.id, changed, CONSOLE, now=NOW)
        assert notices.name == "Other"


def test_a_sender_that_is_not_there_is_said_so(db: Database) -> None:
    with db.transaction() as session, pytest.raises(NotFound, match="no sender 99"):
        subscriptions.change_sender(session, 99, {"name": "x"}, CONSOLE, now=NOW)


@pytest.mark.parametrize("slug", ["", "News", "a b", "-a", "a-", "ä", "a" * 65, "a\n"])
def test_a_short_name_that_cannot_stand_in_a_command_is_refused(db: Database, slug: str) -> None:
    with db.transaction() as session, pytest.raises(BadInput, match="short name"):
        subscriptions.add_topic(session, NewTopic(slug, "News"), CONSOLE, now=NOW)


def test_whoever_was_never_asked_is_not_measured_by_name(db: Database) -> None:
    with db.transaction() as session:
        make_sender(session)
        new = NewTopic("news", "News", unasked_tracking=TrackingMode.INDIVIDUAL)
        with pytest.raises(BadInput, match="never asked"):
            subscriptions.add_topic(session, new, CONSOLE, now=NOW)


def test_a_taken_short_name_is_said_so(db: Database) -> None:
    with db.transaction() as session:
        make_topic(session, "news")
        with pytest.raises(Conflict, match="already is a topic news"):
            subscriptions.add_topic(session, NewTopic("news", "News"), CONSOLE, now=NOW)


def test_a_topic_is_found_by_its_short_name_or_the_known_ones_are_listed(db: Database) -> None:
    with db.transaction() as session:
        news = make_topic(session, "news")
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        assert subscriptions.topic(session, "news") is news
        with pytest.raises(NotFound, match="Topics: news, account"):
            subscriptions.topic(session, "sport")


def test_topics_are_listed_by_class(db: Database) -> None:
    with db.transaction() as session:
        make_topic(session, "news")
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        every = [one.slug for one in subscriptions.topics(session)]
        promotional = subscriptions.topics(session, MessageClass.PROMOTIONAL)
    assert every == ["news", "account"]
    assert [one.slug for one in promotional] == ["news"]


def test_adding_is_audited_without_an_address(db: Database) -> None:
    with db.transaction() as session:
        actor = Actor(make_staff(session).id, "page")
        sender = subscriptions.add_sender(session, NEWS, actor, now=NOW)
        topic = subscriptions.add_topic(session, NewTopic("news", "News"), actor, now=NOW)
        notes = [audit.of(session, ("sender", sender.id)), audit.of(session, ("topic", topic.id))]
    assert [[note.action for note in subject] for subject in notes] == [
        ["sender.added"],
        ["topic.added"],
    ]
    assert {note.staff_id for subject in notes for note in subject} == {actor.staff_id}
    assert "@" not in str([note.details for subject in notes for note in subject])


def test_where_a_person_stands_is_one_row_a_topic(db: Database) -> None:
    with db.transaction() as session:
        policy = make_policy(session)
        ann, bob = make_recipient(session), make_recipient(session)
        news: Topic = make_topic(session)
        first = Standing(SubscriptionState.SUBSCRIBED, Source.IMPORT, NOW, policy)
        later = Standing(
            SubscriptionState.UNSUBSCRIBED, Source.PREFERENCES, NOW + timedelta(days=1), policy
        )
        for person in (ann, bob):
            subscriptions.set_state(session, person.id, news.id, first)
        subscriptions.set_state(session, ann.id, news.id, later)
        assert subscriptions.standings(session, ann.id) == {news.id: later}
        assert subscriptions.standings(session, bob.id) == {news.id: first}
        assert subscriptions.standings(session, 99) == {}
