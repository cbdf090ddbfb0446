"""The checks before a send: one test each, with how many people it concerns."""

from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session

from mailprefs import audit, subscriptions, suppressions
from mailprefs.campaigns import drafts, review, states
from mailprefs.campaigns.review import NEVER_OVERRIDDEN, Check, Review
from mailprefs.errors import BadInput, CheckFailed, NotAllowed, NotFound
from mailprefs.policy import MessageClass, Skip, Source, SubscriptionState, SuppressionReason
from mailprefs.schema.campaigns import CampaignState
from mailprefs.schema.choices import Suppression
from mailprefs.schema.people import Attribute, Recipient, Sender, Topic
from mailprefs.settings import Environment, Settings
from tests import factories, sending
from tests.campaigns.conftest import COMPANY, NEWSLETTER, NOTICE, NOW, House

UNBREAKABLE = "An override that would send this: nobody may."


def people(session: Session, house: House, n: int = 3, **columns: object) -> list[Recipient]:
    """Store people who subscribed to the newsletter."""
    topic = session.get_one(Topic, house.news_id)
    return sending.make_people(session, topic, n, **columns)


def look(house: House, settings: Settings, number: int) -> Review:
    with house.db.reading() as session:
        return review.review(session, number, settings, now=NOW)


def codes(done: Review) -> dict[str, Check]:
    return {check.code: check for check in done.checks}


def sender_of(session: Session, message_class: MessageClass) -> Sender:
    return subscriptions.senders(session, message_class)[0]


def test_a_good_newsletter_and_a_good_notice_may_go(house: House, settings: Settings) -> None:
    letter, notice = house.draft(), house.draft(NOTICE)
    with house.db.transaction() as session:
        people(session, house, 3)
        factories.make_recipient(session)
        states.approve(session, notice, house.bob, now=NOW)
    done, told = look(house, settings, letter), look(house, settings, notice)
    assert (done.checks, done.chosen, done.eligible) == ((), 3, 3)
    assert (told.checks, told.chosen, told.eligible) == ((), 4, 4)
    assert done.as_json() == {
        "id": letter,
        "message_class": "promotional",
        "chosen": 3,
        "eligible": 3,
        "kept_out": {},
        "ready": True,
        "checks": [],
    }


def test_it_says_who_is_kept_out_and_why(house: House, settings: Settings) -> None:
    number, notice = house.draft(), house.draft(NOTICE)
    with house.db.transaction() as session:
        topic = session.get_one(Topic, house.news_id)
        people(session, house, 2)
        left, bounced = people(session, house, 2)
        waiting = factories.make_recipient(session)
        factories.subscribe(session, waiting, topic, SubscriptionState.PENDING)
        for person, reason in (
            (left, SuppressionReason.UNSUBSCRIBED),
            (bounced, SuppressionReason.HARD_BOUNCE),
        ):
            factories.stored(
                session,
                Suppression(
                    address_hash=person.address_hash,
                    address_key_id=person.address_key_id,
                    scope=reason.scope,
                    reason=reason,
                    source="import",
                    created_at=NOW,
                ),
            )
    done = look(house, settings, number)
    assert (done.chosen, done.eligible) == (5, 2)
    assert done.kept_out == {Skip.NOT_SUBSCRIBED: 1, Skip.SUPPRESSED: 1, Skip.UNSUBSCRIBED: 1}
    told = look(house, settings, notice)
    assert (told.chosen, told.eligible, told.kept_out) == (5, 4, {Skip.SUPPRESSED: 1})


# --- fields that some people don't have -----------------------------------------------------------


@pytest.mark.parametrize("field", ["first_name", "last_name"])
def test_a_name_without_fallback_stops_it_and_says_for_how_many(
    house: House, settings: Settings, field: str
) -> None:
    number = house.draft(subject=f"For {{{{ {field} }}}}")
    with house.db.transaction() as session:
        people(session, house, 2, **{field: "Ada"})
        people(session, house, 1, **{field: None})
        people(session, house, 1, **{field: ""})
        people(session, house, 1, **{field: " \u00a0\t"})
        left = factories.make_recipient(session)
        topic = session.get_one(Topic, house.news_id)
        factories.subscribe(session, left, topic, SubscriptionState.UNSUBSCRIBED)
    done = look(house, settings, number)
    (check,) = done.checks
    assert (check.code, check.blocks, check.people) == ("field_without_fallback", True, 3)
    assert field in check.sentence


def test_an_attribute_without_fallback_stops_it_and_says_for_how_many(
    house: House, settings: Settings
) -> None:
    with house.db.transaction() as session:
        factories.stored(session, Attribute(name="plan", label="Plan", created_at=NOW))
        for plan in ("gold", 0, 7, False, True):
            people(session, house, 1, attributes={"plan": plan})
        for attributes in ({}, {"plan": None}, {"plan": ""}, {"plan": "  "}, {"other": "gold"}):
            people(session, house, 1, attributes=attributes)
    number = house.draft(body="Your plan: {{ plan }}\n")
    (check,) = look(house, settings, number).checks
    assert (check.code, check.people) == ("field_without_fallback", 5)


def test_what_the_review_counts_is_what_the_last_check_leaves_out(
    house: House, settings: Settings
) -> None:
    with house.db.transaction() as session:
        factories.stored(session, Attribute(name="plan", label="Plan", created_at=NOW))
        plans: tuple[object, ...] = ("gold", 0, False, None, "", " \t", "\u00a0", [])
        for plan in plans:
            people(session, house, 1, attributes={"plan": plan})
    number = house.draft(body="Your plan: {{ plan }}\n")
    (check,) = look(house, settings, number).checks
    with house.db.transaction() as session:
        states.send(session, number, house.ann, now=sending.NOW, due_at=sending.NOW)
    sending.freeze_all(house.db)
    sending.send_all(house.db)
    assert sending.count(house.db, number).skipped == {"empty_field": check.people}


def test_a_field_that_everybody_has_needs_no_fallback(house: House, settings: Settings) -> None:
    number = house.draft(body="{{ first_name }}, your address is {{ email }}.\n")
    with house.db.transaction() as session:
        people(session, house, 3, first_name="Ada")
    assert look(house, settings, number).checks == ()


# --- what the content shows -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "blocks"),
    [
        ({"subject": "Hello *|FNAME|*"}, "unresolved_tag", True),
        ({"body": "Hello %%name%%\n"}, "unresolved_tag", True),
        ({"body": "![](https://mail.example.com/a.png)\n"}, "picture_without_alt", True),
        ({"body": "![A](https://tracker.example.net/a.png)\n"}, "foreign_picture", True),
        ({"body": "[Read](http://127.0.0.1:8400/x)\n"}, "local_address", True),
        ({"body": "[Read](http://www.example.com/x)\n"}, "insecure_address", True),
        ({"body": "word " * 18_800}, "too_large", True),
        ({"body": "word " * 16_800}, "large", False),
    ],
)
def test_what_the_content_shows_concerns_everybody(
    house: House, settings: Settings, changes: dict[str, Any], code: str, *, blocks: bool
) -> None:
    number = house.draft(**changes)
    with house.db.transaction() as session:
        people(session, house, 3)
    done = look(house, settings, number)
    check = codes(done)[code]
    assert (check.blocks, check.people) == (blocks, 3)
    assert check.overridable is blocks
    assert bool(done.blocks) is blocks


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"subject": "Spring sale"}, "promotion_in_subject"),
        ({"body": "Get 20 % off today.\n"}, "promotion_in_body"),
        ({"body": "[Read](https://example.com/?utm_source=x)\n"}, "campaign_tagged_link"),
    ],
)
def test_promotion_in_a_notice_is_pointed_out(
    house: House, settings: Settings, changes: dict[str, Any], code: str
) -> None:
    number = house.draft(NOTICE, **changes)
    with house.db.transaction() as session:
        people(session, house, 1)
    found = codes(look(house, settings, number))
    assert not found[code].blocks
    assert code not in codes(look(house, settings, house.draft(**changes)))


def test_it_says_how_many_have_an_address_that_the_vendor_does_not_carry(
    house: House, settings: Settings
) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        topic = session.get_one(Topic, house.news_id)
        people(session, house, 2)
        for address in ("jürgen@example.com", "zoë@example.org", "info@bücher.example"):
            person = factories.make_recipient(session, address)
            factories.subscribe(session, person, topic, SubscriptionState.SUBSCRIBED)
        left = factories.make_recipient(session, "élise@example.org")
        factories.subscribe(session, left, topic, SubscriptionState.UNSUBSCRIBED)
    (check,) = look(house, settings, number).checks
    assert (check.code, check.blocks, check.people) == ("unreachable_address", False, 2)


def test_a_notice_that_nobody_approved_is_stopped_by_the_checks_as_by_the_send(
    house: House, settings: Settings
) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        people(session, house, 1)
    done = look(house, settings, number)
    assert (codes(done)["approval"].blocks, codes(done)["approval"].overridable) == (True, False)
    assert not done.as_json()["ready"]
    told = f"mailprefs campaign approve {number} --as ADDRESS"
    with house.db.transaction() as session, pytest.raises(NotAllowed, match=told):
        review.require(
            session, done, house.ann, overrides=["approval"], reason=UNBREAKABLE, now=NOW
        )
    with house.db.transaction() as session:
        states.approve(session, number, house.bob, now=NOW)
    assert look(house, settings, number).checks == ()


def test_what_complaints_hold_back_from_a_notice_is_told_before_it_is_sent(
    house: House, settings: Settings
) -> None:
    number, news = house.draft(NOTICE), house.draft(NEWSLETTER)
    with house.db.transaction() as session:
        for person in people(session, house, 3)[:2]:
            suppressions.add(
                session,
                person.address_hash,
                person.address_key_id,
                SuppressionReason.COMPLAINED,
                Source.VENDOR,
                now=NOW,
            )
        states.approve(session, number, house.bob, now=NOW)
    (check,) = look(house, settings, number).checks
    assert (check.code, check.blocks, check.people) == ("held_back_by_vendor", False, 2)
    assert "marked a message as spam" in check.sentence
    assert "held_back_by_vendor" not in codes(look(house, settings, news))


# --- sender and installation ----------------------------------------------------------------------


@pytest.mark.parametrize("written", [NEWSLETTER, NOTICE], ids=["newsletter", "notice"])
def test_a_sender_without_postal_address_sends_nothing(
    house: House, settings: Settings, written: drafts.Draft
) -> None:
    with house.db.transaction() as session:
        people(session, house, 2)
        for sender in subscriptions.senders(session):
            sender.postal_address = ""
    number = house.draft(written)
    if written is NOTICE:
        with house.db.transaction() as session:
            states.approve(session, number, house.bob, now=NOW)
    found = codes(look(house, settings, number))
    assert set(found) == {"missing_postal_address"}
    assert "mailprefs sender set" in found["missing_postal_address"].sentence
    refuse(house, settings, number, "missing_postal_address")


def test_a_sender_that_changed_after_the_writing_asks_for_another_look(
    house: House, settings: Settings
) -> None:
    """The message still shows the old address; saved again, it shows the new one and may go."""
    number = house.draft()
    with house.db.transaction() as session:
        people(session, house, 2)
        sender = sender_of(session, MessageClass.PROMOTIONAL)
        changes = {"postal_address": "Example GmbH, Neuer Weg 2, 10115 Berlin, Germany"}
        subscriptions.change_sender(session, sender.id, changes, house.ann, now=NOW)
    assert set(codes(look(house, settings, number))) == {"outdated"}
    refuse(house, settings, number, "outdated")
    with house.db.transaction() as session:
        campaign = states.find(session, number)
        again = drafts.as_stored(session, campaign)
        drafts.edit(session, number, again, house.ann, company=COMPANY, now=NOW)
        assert "Neuer Weg 2" in drafts.content(session, campaign).text
    assert look(house, settings, number).checks == ()


def test_a_source_that_breaks_a_rule_by_now_is_not_sent(house: House, settings: Settings) -> None:
    with house.db.transaction() as session:
        people(session, house, 1, attributes={"plan": "gold"})
        plan = factories.stored(session, Attribute(name="plan", label="Plan", created_at=NOW))
    number = house.draft(body="{{ plan }}\n")
    with house.db.transaction() as session:
        session.delete(session.merge(plan))
    found = codes(look(house, settings, number))
    assert "plan" in found["broken_source"].sentence
    refuse(house, settings, number, "broken_source")


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8400",
        "http://mail.example.com",
        "https://localhost",
        "https://10.0.0.7",
        "http://[::1]:8400",
        "https://mailprefs",
    ],
)
def test_links_that_lead_nowhere_or_in_the_clear_stop_production(
    house: House, settings: Settings, base_url: str
) -> None:
    with house.db.transaction() as session:
        people(session, house, 2)
        sender_of(session, MessageClass.PROMOTIONAL).base_url = base_url
    number = house.draft()
    found = codes(look(house, settings, number))
    assert found["base_url"].people == 2
    refuse(house, settings, number, "base_url")
    at_home = settings.model_copy(update={"environment": Environment.SANDBOX})
    assert "base_url" not in codes(look(house, at_home, number))


@pytest.mark.parametrize("message_class", list(MessageClass))
def test_a_from_address_that_is_nobodys_own_stops_production(
    house: House, settings: Settings, message_class: MessageClass
) -> None:
    with house.db.transaction() as session:
        people(session, house, 1)
        sender_of(session, message_class).from_address = "news@mailprefs.example"
    newsletter, notice = house.draft(), house.draft(NOTICE)
    is_news = message_class is MessageClass.PROMOTIONAL
    hit, other = (newsletter, notice) if is_news else (notice, newsletter)
    assert "from_address" in codes(look(house, settings, hit))
    assert "from_address" not in codes(look(house, settings, other))
    refuse(house, settings, hit, "from_address")


def test_without_a_vendor_key_nothing_goes(house: House, settings: Settings) -> None:
    keyless = settings.model_copy(update={"sendgrid_api_key": SecretStr("")})
    with house.db.transaction() as session:
        people(session, house, 1)
    number = house.draft()
    assert set(codes(look(house, keyless, number))) == {"vendor_key"}
    refuse(house, keyless, number, "vendor_key")


# --- the audience ---------------------------------------------------------------------------------


def test_a_campaign_to_nobody_is_stopped(house: House, settings: Settings) -> None:
    number = house.draft()
    assert set(codes(look(house, settings, number))) == {"audience_empty"}
    refuse(house, settings, number, "audience_empty")


@pytest.mark.parametrize(("now", "is_stopped"), [(6, False), (7, True)])
def test_over_three_times_the_last_audience_is_stopped(
    house: House, settings: Settings, now: int, *, is_stopped: bool
) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        people(session, house, now)
        topic = session.get_one(Topic, house.news_id)
        other = factories.make_topic(session)
        for of, frozen, state, days in (
            (topic, 1, CampaignState.FINISHED, 1),
            (topic, 2, CampaignState.FINISHED, 9),
            (topic, 1, CampaignState.FINISHED, 3),
            (topic, 500, CampaignState.CANCELLED, 10),
            (other, 1, CampaignState.FINISHED, 10),
        ):
            began = factories.BEGINNING.replace(day=days)
            factories.make_campaign(
                session, of, frozen=frozen, chosen=frozen, state=state, started_at=began
            )
    found = codes(look(house, settings, number))
    assert set(found) == ({"audience_growth"} if is_stopped else set())
    if is_stopped:
        assert "3.5 times" in found["audience_growth"].sentence
        assert found["audience_growth"].overridable


# --- overrides ------------------------------------------------------------------------------------


def refuse(house: House, settings: Settings, number: int, code: str) -> None:
    """Check that nothing, not even an override, lets a campaign pass this check."""
    done = look(house, settings, number)
    check = codes(done)[code]
    assert check.blocks and not check.overridable
    every = [one.code for one in done.checks]
    with house.db.transaction() as session:
        with pytest.raises(CheckFailed, match=code):
            review.require(session, done, house.ann, overrides=every, reason=UNBREAKABLE, now=NOW)
        assert "campaign.checks_overridden" not in [
            note.action for note in audit.of(session, ("campaign", number))
        ]


def test_an_override_needs_a_sentence_and_is_audited(house: House, settings: Settings) -> None:
    number = house.draft(body="Hello %%name%%\n")
    with house.db.transaction() as session:
        people(session, house, 1)
    done = look(house, settings, number)
    reason = "The percent signs are meant as they stand."
    with house.db.transaction() as session:
        with pytest.raises(CheckFailed, match="unresolved_tag: The body has %%name%%"):
            review.require(session, done, house.ann, now=NOW)
        with pytest.raises(CheckFailed):
            review.require(session, done, house.ann, overrides=["large"], reason=reason, now=NOW)
        for empty in (None, "", "   ok     "):
            with pytest.raises(BadInput, match="needs its reason"):
                review.require(
                    session, done, house.ann, overrides=["unresolved_tag"], reason=empty, now=NOW
                )
        review.require(
            session, done, house.ann, overrides=["unresolved_tag"], reason=reason, now=NOW
        )
        note = audit.of(session, ("campaign", number))[-1]
    assert (note.action, note.staff_id, note.reason, note.details) == (
        "campaign.checks_overridden",
        house.ann.staff_id,
        reason,
        {"checks": ["unresolved_tag"]},
    )


def test_an_override_that_was_not_needed_leaves_no_trace(house: House, settings: Settings) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        people(session, house, 1)
    done = look(house, settings, number)
    with house.db.transaction() as session:
        review.require(session, done, house.ann, overrides=["too_large"], now=NOW)
        assert len(audit.of(session, ("campaign", number))) == 1


def test_what_protects_people_can_never_be_overridden() -> None:
    """The unsubscribe link and where it leads, the class, and the address."""
    assert {
        "missing_unsubscribe",
        "missing_preferences",
        "missing_reason",
        "missing_postal_address",
        "from_address",
        "base_url",
    } <= NEVER_OVERRIDDEN


def test_the_gravest_come_first(house: House, settings: Settings) -> None:
    number = house.draft(body="%%x%% " + "word " * 16_800)
    with house.db.transaction() as session:
        people(session, house, 1)
    assert [one.blocks for one in look(house, settings, number).checks] == [True, False]


def test_an_unknown_campaign_is_said_so(house: House, settings: Settings) -> None:
    with house.db.reading() as session, pytest.raises(NotFound, match="no campaign 7"):
        review.review(session, 7, settings, now=NOW)
