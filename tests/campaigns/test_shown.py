"""How a campaign stands: the same object for page, command line and API, and it adds up."""

from datetime import timedelta

from sqlalchemy import delete

from mailprefs.campaigns import schedule, shown, states
from mailprefs.db.database import Gate
from mailprefs.deliveries import pace
from mailprefs.policy import MessageClass, SubscriptionState
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.vendor.message import Outcome, Verdict
from tests import factories, sending
from tests.campaigns.conftest import NOTICE, NOW, House

# The names that people's scripts rely on, in the order in which they are documented.
PROMISED = [
    "id",
    "state",
    "message_class",
    "chosen",
    "kept_out",
    "frozen",
    "sent",
    "skipped",
    "failed",
    "unknown",
    "pending",
    "mailbox",
]
BESIDE_THEM = {
    *("name", "topic", "due_at", "zone", "approved", "stalled", "stalled_since", "paused_reason"),
    *("stopped", "stopped_since", "waits_until", "settles_at"),
    *("breaker", "second_copies"),
}


def test_the_object_has_exactly_the_promised_names(house: House) -> None:
    number = house.draft()
    with house.db.reading() as session:
        told = shown.overview(session, number, now=NOW).as_json()
    assert [name for name in told if name in PROMISED] == PROMISED
    assert set(told) - set(PROMISED) == BESIDE_THEM
    assert {name: told[name] for name in PROMISED} == {
        "id": number,
        "state": "draft",
        "message_class": "promotional",
        "chosen": 0,
        "kept_out": {},
        "frozen": 0,
        "sent": 0,
        "skipped": {},
        "failed": {},
        "unknown": 0,
        "pending": 0,
        "mailbox": {},
    }


def test_everybody_chosen_is_in_exactly_one_place(house: House) -> None:
    with house.db.transaction() as session:
        topic = factories.make_topic(session)
        everybody = sending.make_people(session, topic, 10)
        left = factories.make_recipient(session)
        factories.subscribe(session, left, topic, SubscriptionState.UNSUBSCRIBED)
        number = sending.make_due(session, topic)
    sending.freeze_all(house.db)
    with house.db.transaction(Gate.TAKING) as session:
        gone = everybody[0].id
        session.execute(delete(Subscription).where(Subscription.recipient_id == gone))
        session.execute(delete(Recipient).where(Recipient.id == gone))
    refused = Outcome(verdict=Verdict.REFUSED_ADDRESS, status=400, refused=(1,))
    for answer in (refused, Outcome(verdict=Verdict.UNCLEAR), sending.ACCEPTED):
        sending.answer(house.db, sending.take_one(house.db), answer)
    with house.db.transaction() as session:
        session.add(MailboxTotal(campaign_id=number, event="delivered", n=2))
    with house.db.reading() as session:
        one = shown.overview(session, number, now=NOW)
    told = one.as_json()
    assert told["chosen"] == 11
    assert told["kept_out"] == {"unsubscribed": 1}
    assert told["frozen"] == 10
    assert (told["skipped"], told["failed"]) == ({"erased": 1}, {"refused_address": 1})
    assert told["mailbox"] == {"delivered": 2}
    assert told["sent"] + told["unknown"] + told["pending"] == 8
    assert one.done == told["sent"] + 2


def test_sending_without_progress_is_stalled_and_says_why(house: House) -> None:
    with house.db.transaction() as session:
        topic = factories.make_topic(session)
        sending.make_people(session, topic, 2)
        number = sending.make_due(session, topic)
    sending.freeze_all(house.db)
    soon, late = sending.NOW + timedelta(minutes=1), sending.NOW + timedelta(minutes=3)
    with house.db.reading() as session:
        assert shown.overview(session, number, now=soon).label == "sending"
        stalled = shown.overview(session, number, now=late)
    assert (stalled.label, stalled.state) == ("stalled", CampaignState.SENDING)
    assert stalled.as_json()["state"] == "stalled"
    assert "mailprefs run" in str(stalled.as_json()["stalled"])
    with house.db.transaction() as session:
        pace.turn(session)
        pace.stop(session, "The key was refused.")
    with house.db.reading() as session:
        assert "The key was refused." in str(
            shown.overview(session, number, now=late).as_json()["stalled"]
        )


def test_a_schedule_shows_the_instant_and_its_zone(house: House) -> None:
    number = house.draft(NOTICE)
    due = schedule.instant("2027-03-28T09:00", "Europe/Berlin")
    with house.db.transaction() as session:
        states.approve(session, number, house.bob, now=NOW)
        states.send(session, number, house.ann, now=NOW, due_at=due, zone="Europe/Berlin")
    with house.db.reading() as session:
        told = shown.overview(session, number, now=NOW).as_json()
    assert (told["due_at"], told["zone"]) == ("2027-03-28T07:00:00+00:00", "Europe/Berlin")
    assert (told["approved"], told["state"]) == (True, "scheduled")


def test_the_list_has_the_newest_first_and_no_standing_campaigns(house: House) -> None:
    first, second = house.draft(), house.draft(NOTICE)
    with house.db.transaction() as session:
        legal = factories.make_topic(session, None, MessageClass.ADMINISTRATIVE)
        factories.make_campaign(
            session, legal, standing=True, template="fresh_link", purpose="account"
        )
    with house.db.reading() as session:
        listed = shown.listed(session, now=NOW)
        assert [one.id for one in listed] == [second, first]
        assert [one.topic for one in listed] == ["legal", "news"]
        assert [one.id for one in shown.listed(session, now=NOW, limit=1)] == [second]
        assert session.query(Campaign).count() == 3


def test_the_lines_for_people_hold_every_number(house: House) -> None:
    with house.db.transaction() as session:
        topic = factories.make_topic(session)
        campaign = factories.make_campaign(session, topic)
        people = sending.make_people(session, topic, 3)
        factories.make_sent(session, campaign, people)
        campaign.chosen = 3
        session.add(MailboxTotal(campaign_id=campaign.id, event="bounced", n=1))
    with house.db.reading() as session:
        one = shown.overview(session, campaign.id, now=NOW)
    assert list(one.lines()) == [
        ("chosen", 3),
        ("frozen", 3),
        ("  sent", 3),
        ("  unknown", 0),
        ("  pending", 0),
        ("mailbox: bounced", 1),
    ]
