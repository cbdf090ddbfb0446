"""The preference page: what is ticked, what is unticked, and what is shown."""

import pytest

from mailprefs import preferences, subscriptions, suppressions
from mailprefs.db.database import Database, Gate
from mailprefs.policy import (
    Choice,
    Scope,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences import Applied, Preferences
from mailprefs.schema.people import Recipient
from mailprefs.subscriptions import Standing
from tests.factories import make_topic
from tests.preferences.people import (
    DAY,
    NOW,
    ONE_CLICK,
    PAGE,
    World,
    counted,
    entries,
    newcomer,
    refusals,
    said,
    settle,
    states,
)

MAIL = "promotional_email"


def tick(db: Database, recipient_id: int, wanted: dict[int, bool]) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.set_topics(session, recipient_id, wanted, PAGE, now=NOW)


def leave(db: Database, recipient_id: int) -> None:
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, recipient_id, ONE_CLICK, now=NOW)


def suppress(db: Database, world: World, reason: str) -> None:
    with db.transaction(Gate.TAKING) as session:
        ann = session.get_one(Recipient, world.ann)
        suppressions.add(
            session, ann.address_hash, 1, SuppressionReason(reason), Source.IMPORT, now=NOW
        )


def shown(db: Database, recipient_id: int) -> Preferences:
    with db.reading() as session:
        return preferences.current(session, recipient_id)


def test_unticking_one_topic_ends_that_one(db: Database) -> None:
    world = settle(db)
    tick(db, world.ann, {world.news: False, world.offers: True})
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}
    assert said(db, world.ann) == [(MAIL, world.news, "subscribed", "unsubscribed")]


def test_unticking_everything_is_no_refusal_of_what_comes_later(db: Database) -> None:
    world = settle(db)
    tick(db, world.ann, {world.news: False, world.offers: False})
    assert set(states(db, world.ann).values()) == {"unsubscribed"}
    assert refusals(db, world.ann) == []


def test_unticking_everything_does_not_lift_an_earlier_refusal(db: Database) -> None:
    world = settle(db)
    leave(db, world.ann)
    assert tick(db, world.ann, {world.news: False, world.offers: False}) == Applied(is_known=True)
    assert tick(db, world.ann, {}) == Applied(is_known=True)
    assert refusals(db, world.ann) == [("unsubscribed", "promotional", None)]


def test_a_topic_that_the_page_did_not_show_stays_as_it_is(db: Database) -> None:
    world = settle(db)
    tick(db, world.ann, {world.news: False})
    assert states(db, world.ann)[world.offers] == "subscribed"


def test_a_tick_after_a_refusal_is_a_yes_to_the_ticked_topics_alone(db: Database) -> None:
    world = settle(db)
    leave(db, world.ann)
    tick(db, world.ann, {world.news: True, world.offers: False})
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "unsubscribed"}
    assert refusals(db, world.ann) == []
    assert said(db, world.ann)[3:] == [
        (MAIL, world.news, "unsubscribed", "subscribed"),
        (MAIL, None, "withdrawn", "granted"),
    ]


def test_a_refusal_that_an_import_brought_takes_no_unticked_topic_back_with_it(
    db: Database,
) -> None:
    """Its rows still say subscribed: lifting the refusal alone would bring both topics back."""
    world = settle(db)
    suppress(db, world, "unsubscribed")
    tick(db, world.ann, {world.news: True})
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "unsubscribed"}
    assert refusals(db, world.ann) == []


def test_a_newcomer_ticks_a_topic(db: Database) -> None:
    world = settle(db)
    bob = newcomer(db)
    tick(db, bob, {world.news: True, world.offers: False})
    assert states(db, bob) == {world.news: "subscribed"}
    assert said(db, bob) == [(MAIL, world.news, None, "subscribed")]


def test_a_tick_confirms_what_was_pending(db: Database) -> None:
    world = settle(db)
    bob = newcomer(db)
    with db.transaction() as session:
        standing = Standing(SubscriptionState.PENDING, Source.PAGE, NOW, world.policy)
        subscriptions.set_state(session, bob, world.news, standing)
    tick(db, bob, {world.news: True})
    assert states(db, bob) == {world.news: "subscribed"}


@pytest.mark.parametrize("tick_it", [True, False])
def test_administrative_and_unknown_topics_cannot_be_set(db: Database, *, tick_it: bool) -> None:
    world = settle(db)
    assert tick(db, world.ann, {world.account: tick_it, 99: tick_it}) == Applied(is_known=True)
    assert entries(db, world.ann) == []


@pytest.mark.parametrize("reason", ["complained", "hard_bounce", "invalid"])
def test_a_tick_lifts_neither_a_complaint_nor_a_bounce(db: Database, reason: str) -> None:
    world = settle(db)
    suppress(db, world, reason)
    leave(db, world.ann)
    tick(db, world.ann, {world.news: True})
    assert [one[0] for one in refusals(db, world.ann)] == [reason]
    assert not any(topic.is_on for topic in shown(db, world.ann).topics)


def test_saving_the_page_leaves_alone_what_was_off_and_stays_off(db: Database) -> None:
    """Whoever hasn't confirmed yet, or is held back by a complaint, has unticked nothing."""
    world = settle(db)
    with db.transaction() as session:
        standing = Standing(SubscriptionState.PENDING, Source.PAGE, NOW, world.policy)
        subscriptions.set_state(session, world.ann, world.news, standing)
    tick(db, world.ann, {world.news: False, world.offers: True})
    assert states(db, world.ann) == {world.news: "pending", world.offers: "subscribed"}
    suppress(db, world, "complained")
    tick(db, world.ann, {world.news: False, world.offers: False})
    assert states(db, world.ann) == {world.news: "pending", world.offers: "subscribed"}
    assert entries(db, world.ann) == []


def test_the_same_page_sent_twice_changes_nothing_the_second_time(db: Database) -> None:
    world = settle(db)
    wanted = {world.news: False, world.offers: True}
    tick(db, world.ann, wanted)
    before = said(db, world.ann)
    assert not tick(db, world.ann, wanted).has_changed
    assert said(db, world.ann) == before


def test_topics_are_never_changed_by_the_tracking_choice_nor_the_other_way_round(
    db: Database,
) -> None:
    """All four combinations are reachable, each by its own control."""
    world = settle(db)
    for subscribed in (False, True):
        for granted in (False, True):
            tick(db, world.ann, {world.news: subscribed})
            with db.transaction(Gate.TAKING) as session:
                preferences.set_tracking(session, world.ann, PAGE, granted=granted, now=NOW)
            page = shown(db, world.ann)
            assert page.topics[0].is_on is subscribed
            assert (page.tracking is Choice.GRANTED) is granted


def test_an_undo_on_the_page_takes_back_the_whole_last_page(db: Database) -> None:
    world = settle(db)
    with db.transaction() as session:
        sport = make_topic(session, "sport").id
    tick(db, world.ann, {sport: True, world.offers: False})
    tick(db, world.ann, {sport: False, world.offers: True, world.news: False})
    for has_changed in (True, False):
        with db.transaction(Gate.TAKING) as session:
            undone = preferences.undo(session, world.ann, PAGE, now=NOW, window=DAY)
        assert undone.has_changed is has_changed
        assert states(db, world.ann) == {
            world.news: "subscribed",
            world.offers: "unsubscribed",
            sport: "subscribed",
        }


def test_the_page_shows_where_a_person_stands_and_why(db: Database) -> None:
    world = settle(db)
    page = shown(db, world.ann)
    assert page.is_known
    assert page.masked_address == "a***@e***.com"
    news, offers = page.topics
    assert (news.id, news.slug, news.name) == (world.news, "news", "News")
    assert (news.state, news.source, news.is_on) == ("subscribed", "import", True)
    assert offers.is_on
    (account,) = page.notices
    assert (account.id, account.state, account.is_on) == (world.account, None, True)
    assert (page.promotional, page.tracking) == (Choice.UNKNOWN, Choice.UNKNOWN)
    assert page.held_back == ()
    assert (page.left_at, page.ended) == (None, frozenset())


def test_the_page_after_leaving_says_what_ended_and_what_still_comes(db: Database) -> None:
    world = settle(db)
    leave(db, world.ann)
    page = shown(db, world.ann)
    assert [topic.is_on for topic in page.topics] == [False, False]
    assert [topic.is_on for topic in page.notices] == [True]
    assert page.promotional is Choice.WITHDRAWN
    assert page.left_at == NOW
    assert page.ended == {world.news, world.offers}
    tick(db, world.ann, {world.news: True})
    assert shown(db, world.ann).ended == {world.offers}


@pytest.mark.parametrize(
    ("reason", "scope", "notices_come"),
    [("complained", "promotional", True), ("hard_bounce", "all", False)],
)
def test_what_holds_mail_back_is_shown(
    db: Database, reason: str, scope: str, *, notices_come: bool
) -> None:
    world = settle(db)
    suppress(db, world, reason)
    page = shown(db, world.ann)
    assert [tuple(one) for one in page.held_back] == [(reason, Scope(scope), NOW)]
    assert not any(topic.is_on for topic in page.topics)
    assert [topic.is_on for topic in page.notices] == [notices_come]


def test_nothing_is_told_of_somebody_unknown(db: Database) -> None:
    settle(db)
    assert shown(db, 999) == Preferences(is_known=False, masked_address="***")


def test_looking_changes_nothing(db: Database) -> None:
    world = settle(db)
    leave(db, world.ann)
    before = (said(db, world.ann), states(db, world.ann), refusals(db, world.ann))
    for _ in range(3):
        shown(db, world.ann)
    assert before == (said(db, world.ann), states(db, world.ann), refusals(db, world.ann))
    assert counted(db, world.sent_news) == (0, 0)
