from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.errors import NotFound
from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.reports.campaigns import Report, opens_of, report
from mailprefs.reports.cells import Shown
from mailprefs.reports.statistic import Seen
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import MeasuredTotal
from tests.factories import make_topic, stored

BEGUN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = BEGUN + timedelta(days=3)
OLD = timedelta(days=3)


def campaign(
    session: Session, message_class: MessageClass = MessageClass.PROMOTIONAL, **columns: object
) -> int:
    topic = make_topic(session, message_class=message_class)
    administrative = message_class is MessageClass.ADMINISTRATIVE
    values: dict[str, object] = {
        "name": "Spring letter",
        "state": CampaignState.FINISHED,
        "standing": False,
        "purpose": LegalPurpose.ACCOUNT if administrative else None,
        "reason": "Because of the account" if administrative else None,
        "revision": 1,
        "report_zone": "Europe/Berlin",
        "created_at": BEGUN,
        "first_hand_over_at": BEGUN,
        "frozen_to": 0,
        "chosen": 0,
        "frozen": 0,
    } | columns
    return stored(session, Campaign(topic_id=topic.id, message_class=message_class, **values)).id


def measured(session: Session, campaign_id: int, totals: dict[int, int]) -> None:
    for bits, n in totals.items():
        stored(session, MeasuredTotal(campaign_id=campaign_id, bits=bits, n=n))


def told(db: Database, campaign_id: int, *, now: datetime = NOW, rounded: bool = False) -> Report:
    with db.reading() as session:
        return report(session, campaign_id, now=now, rounded=rounded)


def test_a_report_adds_up_the_bits_of_delivered_messages_only(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=1_100))
        stored(session, MailboxTotal(campaign_id=number, event="unsubscribed", n=7))
        measured(
            session,
            number,
            {
                # 500 people whose opens can be seen: 150 opened, 20 had it loaded by who knows whom
                DELIVERED: 330,
                DELIVERED | HUMAN | FETCHED: 150,
                DELIVERED | FETCHED: 20,
                # 500 behind Apple's proxy: 100 never loaded, 390 loaded by it, 10 opened elsewhere
                DELIVERED | APPLE: 100,
                DELIVERED | APPLE | FETCHED: 390,
                DELIVERED | APPLE | HUMAN | FETCHED: 10,
                # not delivered, so in no rate, whatever loaded their picture
                0: 40,
                HUMAN | FETCHED: 25,
            },
        )
    found = told(db, number).as_json()
    opens = found["opens"]
    assert opens["inputs"] == {"D": 1000, "M": 500, "N": 500, "H": 150, "C": 10}
    assert opens["reported"] == {"shown": "exact", "n": 570, "of": 1000, "rate": 0.57}
    assert opens["confirmed"] == {"shown": "exact", "n": 160, "of": 1000, "rate": 0.16}
    assert opens["estimated"]["rate"] == 0.3
    assert opens["estimated"]["interval"] == [0.272, 0.329]
    assert opens["estimated"]["not_shown_because"] == []
    assert opens["measured"] == 1000
    assert opens["measured_share"] == 0.909
    assert found["mailbox"]["delivered"] == 1_100
    assert found["mailbox"]["unsubscribed"] == 7
    assert found["zone"] == "Europe/Berlin"
    assert set(opens["definitions"]) == {"base", "reported", "confirmed", "estimated"}


def test_a_campaign_that_nobody_may_be_measured_in_says_so(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
    opens = told(db, number).as_json()["opens"]
    assert opens["measured"] == 0
    assert opens["reported"]["rate"] is None
    assert opens["estimated"]["not_shown_because"] == [
        {
            "code": "nothing_measured",
            "sentence": "No delivered message of this campaign may be measured.",
        }
    ]


def test_administrative_mail_has_no_opens_at_all(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session, MessageClass.ADMINISTRATIVE)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=12))
    found = told(db, number).as_json()
    assert found["opens"] is None
    assert found["mailbox"]["delivered"] == 12


def test_a_number_about_nineteen_people_is_not_told(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {DELIVERED: 9, DELIVERED | HUMAN | FETCHED: 10})
    opens = told(db, number).as_json()["opens"]
    assert opens["measured"] is None
    assert opens["inputs"] is None
    assert opens["confirmed"] == {"shown": "withheld", "n": None, "of": None, "rate": None}
    assert "19" not in str(opens | {"definitions": None})


def test_a_fresh_campaign_shows_what_is_certain_but_no_estimate(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=1_000))
        measured(session, number, {DELIVERED: 700, DELIVERED | HUMAN | FETCHED: 300})
    opens = told(db, number, now=BEGUN + timedelta(hours=1)).as_json()["opens"]
    assert opens["confirmed"]["rate"] == 0.3
    assert opens["estimated"]["rate"] is None
    assert [why["code"] for why in opens["estimated"]["not_shown_because"]] == [
        "younger_than_48_hours"
    ]


def test_analysts_get_rounded_counts_and_rates_made_of_them(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=1_003))
        measured(session, number, {DELIVERED: 701, DELIVERED | HUMAN | FETCHED: 302})
    found = told(db, number, rounded=True).as_json()
    assert found["rounded_to"] == 5
    assert found["opens"]["confirmed"] == {"shown": "exact", "n": 300, "of": 1005, "rate": 0.299}
    assert found["opens"]["inputs"]["H"] == 300


def test_rounding_never_shows_that_everybody_opened() -> None:
    exact = Seen(delivered=22, apple=0, others_opened=19, apple_opened=0, loaded=19)
    found = opens_of(exact, age=OLD, delivered=22, rounded=True)
    assert found.confirmed.shown is Shown.OVER
    assert found.confirmed.n is None


@pytest.mark.parametrize("opened", [0, 2, 23, 25])
def test_nobody_and_everybody_are_told_as_a_bound(opened: int) -> None:
    exact = Seen(delivered=25, apple=0, others_opened=opened, apple_opened=0, loaded=opened)
    found = opens_of(exact, age=OLD, delivered=25)
    assert found.confirmed.n is None
    assert found.inputs is None
    assert found.confirmed.rate == pytest.approx(0.12 if opened < 3 else 0.88)


def test_no_hidden_count_can_be_computed_from_the_shown_ones() -> None:
    exact = Seen(delivered=300, apple=100, others_opened=50, apple_opened=1, loaded=150)
    found = opens_of(exact, age=OLD, delivered=300)
    assert found.inputs == {"D": 300, "M": 100, "N": 200, "H": 50, "C": 0}
    assert found.confirmed.n == 50


def test_an_unknown_campaign_is_not_reported(db: Database) -> None:
    with db.reading() as session, pytest.raises(NotFound, match="no campaign 404"):
        report(session, 404, now=NOW)
