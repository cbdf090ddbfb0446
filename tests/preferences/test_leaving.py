"""Leaving: everything by one click, once; keeping some of it; taking the click back."""

from datetime import timedelta

import pytest
from sqlalchemy import and_, select

from mailprefs import audit, consent, preferences, suppressions
from mailprefs.audience import Audience, asked, may_get
from mailprefs.audit import CONSOLE
from mailprefs.consent import Shown
from mailprefs.db.database import Database, Gate
from mailprefs.errors import Conflict
from mailprefs.policy import (
    MessageClass,
    Purpose,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences import Applied, Door
from mailprefs.preferences.rebuilding import differences
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.settings import OneClickScope
from tests.factories import make_recipient, make_topic, subscribe
from tests.preferences.people import (
    DAY,
    NOW,
    ONE_CLICK,
    PAGE,
    World,
    counted,
    entries,
    erase_rows,
    newcomer,
    refusals,
    said,
    settle,
    states,
)

MAIL = "promotional_email"


def click(db: Database, world: World, scope: str = "all") -> Applied:
    """Do what the POST of the link in ann's copy of the news does."""
    with db.transaction(Gate.TAKING) as session:
        return preferences.opt_out(
            session,
            world.ann,
            world.news,
            world.one_click(),
            scope=OneClickScope(scope),
            now=NOW,
        )


def take_back(db: Database, world: World, after: timedelta = timedelta(hours=1)) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.undo(session, world.ann, PAGE, now=NOW + after, window=DAY)


def keep(db: Database, world: World, *topics: int) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.keep_topics(
            session, world.ann, topics, PAGE, now=NOW + timedelta(minutes=5)
        )


def gets(db: Database, recipient_id: int, topic_id: int, kind: MessageClass) -> bool:
    """Ask the only rule of who may get what."""
    audience = Audience(topic_id, kind)
    with db.reading() as session:
        query = (
            select(Recipient.id)
            .outerjoin(
                Subscription,
                and_(Subscription.recipient_id == Recipient.id, Subscription.topic_id == topic_id),
            )
            .where(Recipient.id == recipient_id, may_get(audience))
        )
        return session.scalar(query, asked(NOW)) is not None


def test_those_who_leave_at_one_moment_each_leave_once(db: Database) -> None:
    """Some are unknown, and one clicks on two messages and on one of them twice."""
    world = settle(db)
    bob, door = newcomer(db), world.one_click()
    other = door._replace(delivery_id=world.sent_offers)
    clicks = [
        preferences.Click(who, world.news, by, OneClickScope.ALL, NOW)
        for who, by in (
            (world.ann, door),
            (10_000, door),
            (bob, door._replace(delivery_id=None)),
            (world.ann, other),
            (world.ann, door),
            (10_001, door),
        )
    ]
    with db.transaction(Gate.TAKING) as session:
        done = preferences.opt_out_each(session, clicks)

    assert [(one.is_known, one.has_changed) for one in done] == [
        (True, True),
        (False, False),
        (True, True),
        (True, False),
        (True, False),
        (False, False),
    ]
    assert entries(db, world.ann)[-1].seq < entries(db, bob)[0].seq, "in the order they came"
    assert counted(db, world.sent_news) == (1, 1)
    assert counted(db, world.sent_offers)[0] == 0
    with db.reading() as session:
        assert all(preferences.current(session, one).promotional.is_no for one in (world.ann, bob))
        assert not list(differences(session))


def test_one_click_ends_all_promotional_mail_and_no_notice(db: Database) -> None:
    world = settle(db)
    assert gets(db, world.ann, world.news, MessageClass.PROMOTIONAL)
    applied = click(db, world)
    assert applied.has_changed
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "unsubscribed"}
    assert refusals(db, world.ann) == [("unsubscribed", "promotional", world.sent_news)]
    assert not gets(db, world.ann, world.news, MessageClass.PROMOTIONAL)
    assert not gets(db, world.ann, world.offers, MessageClass.PROMOTIONAL)
    assert gets(db, world.ann, world.account, MessageClass.ADMINISTRATIVE)


def test_the_ledger_says_what_ended_and_by_which_message(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        shown = consent.wording(session, Purpose.PROMOTIONAL_EMAIL, "en", "Leave all of it")
        door = world.one_click()._replace(wording=shown, language="en", token_key_id=3)
        preferences.opt_out_all(session, world.ann, door, now=NOW)
    assert said(db, world.ann) == [
        (MAIL, world.news, "subscribed", "unsubscribed"),
        (MAIL, world.offers, "subscribed", "unsubscribed"),
        (MAIL, None, "unknown", "withdrawn"),
    ]
    written = [one.entry for one in entries(db, world.ann)]
    for entry in written:
        assert entry.source is Source.ONE_CLICK
        assert entry.method == "post_one_click"
        assert entry.actor == "self"
        assert entry.delivery_id == world.sent_news
        assert entry.policy_version_id == world.policy
        assert entry.occurred_at == NOW
        assert (entry.wording, entry.language, entry.token_key_id) == (shown, "en", 3)
    assert len({entry.request_id for entry in written}) == 1
    assert isinstance(shown, Shown)


def test_a_second_click_changes_and_writes_nothing(db: Database) -> None:
    world = settle(db)
    click(db, world)
    before = (said(db, world.ann), refusals(db, world.ann), counted(db, world.sent_news))
    again = click(db, world)
    assert again.is_known
    assert not again.has_changed
    with db.transaction(Gate.TAKING) as session:
        by_page = preferences.opt_out_all(session, world.ann, PAGE, now=NOW + DAY)
    assert not by_page.has_changed
    assert before == (said(db, world.ann), refusals(db, world.ann), counted(db, world.sent_news))


def test_the_message_that_made_somebody_leave_is_counted_once_by_any_route(db: Database) -> None:
    """By its header, by its page, by the preference page that it opened: one person."""
    world = settle(db)
    click(db, world)
    assert counted(db, world.sent_news) == (1, 1)
    door = PAGE._replace(delivery_id=world.sent_news)
    with db.transaction(Gate.TAKING) as session:
        preferences.set_topics(session, world.ann, {world.news: True}, door, now=NOW)
        preferences.set_topics(session, world.ann, {world.news: False}, door, now=NOW)
        preferences.opt_out_topic(session, world.ann, world.news, door, now=NOW)
        preferences.opt_out_all(session, world.ann, door, now=NOW)
    assert counted(db, world.sent_news) == (1, 1)


def test_who_has_left_already_is_not_counted_for_another_message(db: Database) -> None:
    world = settle(db)
    click(db, world)
    with db.transaction(Gate.TAKING) as session:
        door = ONE_CLICK._replace(delivery_id=world.sent_offers)
        preferences.opt_out_all(session, world.ann, door, now=NOW)
    assert counted(db, world.sent_offers) == (0, 0)


@pytest.mark.parametrize("delivery_id", [None, 0])
def test_leaving_without_a_message_counts_for_none(db: Database, delivery_id: int | None) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        door = PAGE._replace(delivery_id=delivery_id)
        preferences.opt_out_all(session, world.ann, door, now=NOW)
    assert refusals(db, world.ann) == [("unsubscribed", "promotional", None)]
    assert counted(db, world.sent_news) == (0, 0)
    assert {one.entry.delivery_id for one in entries(db, world.ann)} == {None}


def test_two_people_are_counted_as_two_and_neither_touches_the_other(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        bob = make_recipient(session)
        news = session.get_one(Subscription, (world.ann, world.news)).topic_id
        preferences.set_topics(session, bob.id, {news: True}, PAGE, now=NOW)
        preferences.opt_out_all(
            session, bob.id, ONE_CLICK._replace(delivery_id=world.sent_news + 1), now=NOW
        )
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "subscribed"}
    click(db, world)
    assert counted(db, world.sent_news) == (1, 2)


def test_a_setting_narrows_one_click_to_the_topic(db: Database) -> None:
    world = settle(db)
    click(db, world, "topic")
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}
    assert refusals(db, world.ann) == []
    assert said(db, world.ann) == [(MAIL, world.news, "subscribed", "unsubscribed")]
    assert counted(db, world.sent_news) == (1, 1)


def test_a_click_on_a_topic_that_cannot_be_left_alone_ends_everything(db: Database) -> None:
    """Whatever the link names, whoever clicks unsubscribe is never left with promotions."""
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out(session, world.ann, 99, ONE_CLICK, scope=OneClickScope.TOPIC, now=NOW)
    assert set(states(db, world.ann).values()) == {"unsubscribed"}


@pytest.mark.parametrize("topic", ["account", "unknown"])
def test_an_administrative_or_unknown_topic_is_not_left(db: Database, topic: str) -> None:
    world = settle(db)
    topic_id = world.account if topic == "account" else 99
    with db.transaction(Gate.TAKING) as session:
        applied = preferences.opt_out_topic(session, world.ann, topic_id, PAGE, now=NOW)
    assert applied == Applied(is_known=True)
    assert entries(db, world.ann) == []


def test_whoever_never_confirmed_leaves_too(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        bob, news = make_recipient(session), make_topic(session)
        subscribe(session, bob, news, SubscriptionState.PENDING)
        preferences.opt_out_all(session, bob.id, ONE_CLICK, now=NOW)
    assert states(db, bob.id) == {news.id: "unsubscribed"}
    assert said(db, bob.id) == [
        (MAIL, news.id, "pending", "unsubscribed"),
        (MAIL, None, "unknown", "withdrawn"),
    ]
    assert world.ann != bob.id


def test_whoever_never_agreed_refuses_rather_than_withdraws(db: Database) -> None:
    settle(db)
    bob = newcomer(db)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, bob, ONE_CLICK, now=NOW)
    assert said(db, bob) == [(MAIL, None, "unknown", "refused")]
    assert refusals(db, bob) == [("unsubscribed", "promotional", None)]


def test_a_topic_made_later_finds_the_no_in_force(db: Database) -> None:
    world = settle(db)
    click(db, world)
    with db.transaction() as session:
        later = make_topic(session)
        subscribe(session, session.get_one(Recipient, world.ann), later)
    assert not gets(db, world.ann, later.id, MessageClass.PROMOTIONAL)


@pytest.mark.parametrize("is_erased", [True, False])
def test_whoever_is_unknown_or_erased_is_neutral(db: Database, *, is_erased: bool) -> None:
    world = settle(db)
    who = world.ann if is_erased else 999
    if is_erased:
        with db.transaction() as session:
            erase_rows(session, who)
    with db.transaction(Gate.TAKING) as session:
        answers = [
            preferences.opt_out_all(session, who, ONE_CLICK, now=NOW),
            preferences.opt_out_topic(session, who, world.news, ONE_CLICK, now=NOW),
            preferences.keep_topics(session, who, [world.news], PAGE, now=NOW),
            preferences.undo(session, who, PAGE, now=NOW, window=DAY),
            preferences.set_topics(session, who, {world.news: True}, PAGE, now=NOW),
            preferences.set_tracking(session, who, PAGE, granted=False, now=NOW),
        ]
    assert answers == [Applied(is_known=False)] * 6
    assert entries(db, who) == []
    assert counted(db, world.sent_news) == (0, 0)


def test_nothing_is_half_done_without_a_policy(db: Database) -> None:
    with db.transaction() as session:
        ann = make_recipient(session).id
    with (
        pytest.raises(Conflict, match="mailprefs policy publish"),
        db.transaction(Gate.TAKING) as session,
    ):
        preferences.opt_out_all(session, ann, ONE_CLICK, now=NOW)
    assert entries(db, ann) == []
    assert refusals(db, ann) == []


@pytest.mark.parametrize("gate", [Gate.NONE, Gate.USING])
def test_a_choice_outside_the_gate_is_refused_before_anything_is_written(
    db: Database, gate: Gate
) -> None:
    """Its commit would not hold for a claim in progress; the edge must open it as what it is."""
    world = settle(db)
    with pytest.raises(RuntimeError, match=r"Gate\.TAKING"), db.transaction(gate) as session:
        preferences.opt_out_all(session, world.ann, ONE_CLICK, now=NOW)
    assert entries(db, world.ann) == []


def test_undo_restores_exactly_what_the_click_changed(db: Database) -> None:
    world = settle(db)
    click(db, world)
    assert take_back(db, world).has_changed
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "subscribed"}
    assert refusals(db, world.ann) == []
    assert counted(db, world.sent_news) == (0, 0)
    assert said(db, world.ann)[3:] == [
        (MAIL, world.news, "unsubscribed", "subscribed"),
        (MAIL, world.offers, "unsubscribed", "subscribed"),
        (MAIL, None, "withdrawn", "unknown"),
    ]
    assert {one.entry.method for one in entries(db, world.ann)[3:]} == {"undo"}


def test_undo_leaves_what_had_ended_before(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_topic(session, world.ann, world.offers, PAGE, now=NOW - DAY)
    click(db, world)
    take_back(db, world)
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "unsubscribed"}


def test_a_second_undo_finds_nothing_to_take_back(db: Database) -> None:
    world = settle(db)
    click(db, world)
    take_back(db, world)
    before = said(db, world.ann)
    assert take_back(db, world) == Applied(is_known=True)
    assert said(db, world.ann) == before


@pytest.mark.parametrize(("after", "works"), [(DAY, True), (DAY + timedelta(seconds=1), False)])
def test_undo_works_within_its_window(db: Database, after: timedelta, *, works: bool) -> None:
    world = settle(db)
    click(db, world)
    assert take_back(db, world, after).has_changed is works
    assert (refusals(db, world.ann) == []) is works
    assert counted(db, world.sent_news) == ((0, 0) if works else (1, 1))


def test_undo_does_not_touch_what_was_chosen_since(db: Database) -> None:
    world = settle(db)
    click(db, world)
    keep(db, world, world.news)
    assert take_back(db, world).has_changed
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "subscribed"}
    assert counted(db, world.sent_news) == (0, 0)


def test_undo_takes_back_no_complaint(db: Database) -> None:
    world = settle(db)
    click(db, world)
    with db.transaction(Gate.TAKING) as session:
        ann = session.get_one(Recipient, world.ann)
        reason = SuppressionReason.COMPLAINED
        suppressions.add(session, ann.address_hash, 1, reason, Source.VENDOR, now=NOW)
    take_back(db, world)
    assert refusals(db, world.ann) == [("complained", "promotional", None)]
    assert not gets(db, world.ann, world.news, MessageClass.PROMOTIONAL)


def test_an_old_click_takes_back_no_later_no_that_staff_recorded(db: Database) -> None:
    """Left by a click, came back, then asked on the phone: the old page still offers an undo."""
    world = settle(db)
    click(db, world)
    take_back(db, world)
    asked = Door(Source.STAFF, "asked_by_phone", actor=CONSOLE)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, world.ann, asked, now=NOW + timedelta(hours=2))
    assert not take_back(db, world, timedelta(hours=3)).has_changed
    assert not keep(db, world, world.news, world.offers).has_changed
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "unsubscribed"}
    assert [reason for reason, *_ in refusals(db, world.ann)] == ["unsubscribed"]
    with db.reading() as session:
        assert preferences.current(session, world.ann).ended == frozenset()


def test_a_no_that_staff_repeat_over_a_click_is_not_taken_back_with_it(db: Database) -> None:
    """Left by a click, then asked on the phone, too: the click's undo finds nothing of its own."""
    world = settle(db)
    click(db, world)
    asked = Door(Source.STAFF, "asked_by_phone", actor=CONSOLE)
    with db.transaction(Gate.TAKING) as session:
        repeated = preferences.opt_out_all(session, world.ann, asked, now=NOW)
    assert not repeated.has_changed
    assert said(db, world.ann)[3:] == [
        (MAIL, world.news, "unsubscribed", "unsubscribed"),
        (MAIL, world.offers, "unsubscribed", "unsubscribed"),
        (MAIL, None, "withdrawn", "withdrawn"),
    ]
    assert not take_back(db, world).has_changed
    assert not keep(db, world, world.news, world.offers).has_changed
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "unsubscribed"}
    assert [reason for reason, *_ in refusals(db, world.ann)] == ["unsubscribed"]
    assert counted(db, world.sent_news) == (1, 1)


def test_undo_gives_back_the_rest_where_staff_repeated_the_no_to_one_topic(db: Database) -> None:
    world = settle(db)
    click(db, world)
    no = SubscriptionState.UNSUBSCRIBED
    with db.transaction(Gate.TAKING) as session:
        preferences.set_by_staff(session, world.ann, "news", no, CONSOLE, now=NOW)
    assert take_back(db, world).has_changed
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}


def test_a_no_is_repeated_once_by_staff_and_never_by_the_person(db: Database) -> None:
    world = settle(db)
    asked = Door(Source.STAFF, "asked_by_phone", actor=CONSOLE)
    for door, entries_after in ((ONE_CLICK, 3), (ONE_CLICK, 3), (asked, 6), (asked, 6)):
        with db.transaction(Gate.TAKING) as session:
            preferences.opt_out_all(session, world.ann, door, now=NOW)
        assert len(said(db, world.ann)) == entries_after
    with db.reading() as session:
        assert list(differences(session)) == []
        (note,) = audit.of(session, ("recipient", world.ann))
    assert note.action == "choice.recorded"


def test_leaving_again_after_an_undo_counts_again(db: Database) -> None:
    world = settle(db)
    click(db, world)
    take_back(db, world)
    click(db, world)
    assert counted(db, world.sent_news) == (1, 1)
    assert set(states(db, world.ann).values()) == {"unsubscribed"}


def test_an_undo_of_one_topic_leaves_the_count_of_another_by_the_same_message(
    db: Database,
) -> None:
    world = settle(db)
    door = PAGE._replace(delivery_id=world.sent_news)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_topic(session, world.ann, world.news, door, now=NOW - DAY)
        preferences.opt_out_topic(session, world.ann, world.offers, door, now=NOW)
    take_back(db, world)
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}
    assert counted(db, world.sent_news) == (1, 1)


def test_topics_can_be_kept_after_leaving_everything(db: Database) -> None:
    world = settle(db)
    click(db, world)
    assert keep(db, world, world.offers).has_changed
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}
    assert refusals(db, world.ann) == []
    assert said(db, world.ann)[3:] == [
        (MAIL, world.offers, "unsubscribed", "subscribed"),
        (MAIL, None, "withdrawn", "granted"),
    ]
    assert counted(db, world.sent_news) == (1, 1)


def test_whoever_keeps_everything_has_not_left(db: Database) -> None:
    world = settle(db)
    click(db, world)
    keep(db, world, world.news, world.offers)
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "subscribed"}
    assert counted(db, world.sent_news) == (0, 0)


def test_nothing_can_be_kept_that_the_click_did_not_end(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        sport = make_topic(session, "sport").id
    click(db, world)
    assert keep(db, world, sport, world.account, 99) == Applied(is_known=True)
    assert keep(db, world) == Applied(is_known=True)
    assert refusals(db, world.ann) == [("unsubscribed", "promotional", world.sent_news)]


def test_keeping_a_topic_that_was_never_confirmed_does_not_confirm_it(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        row = session.get_one(Subscription, (world.ann, world.offers))
        row.state = SubscriptionState.PENDING
    click(db, world)
    keep(db, world, world.offers)
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "pending"}


def test_leaving_again_after_an_explicit_return_says_so(db: Database) -> None:
    world = settle(db)
    click(db, world)
    keep(db, world, world.news)
    click(db, world)
    assert said(db, world.ann)[-1] == (MAIL, None, "granted", "withdrawn")
