from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.errors import NotFound
from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.policy import MessageClass
from mailprefs.reports.campaigns import report
from mailprefs.reports.cells import Shown
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import Loads, Open
from mailprefs.useragents import OpenKind
from tests.factories import stored
from tests.reports.counting import (
    BEGUN,
    NOW,
    OPENED,
    SILENT,
    campaign,
    measured,
    released,
    rolled_up,
    told,
)


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
    assert released(db, number)
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
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=20))
    opens = told(db, number).as_json()["opens"]
    assert opens["measured"] == 0
    assert opens["reported"]["rate"] is None
    assert opens["estimated"]["not_shown_because"] == [
        {
            "code": "nothing_measured",
            "sentence": "No delivered message of this campaign may be measured.",
        }
    ]


def test_of_nineteen_people_it_is_not_told_that_none_may_be_measured(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=19))
    opens = told(db, number).as_json()["opens"]
    assert opens["measured"] is None
    (why,) = opens["estimated"]["not_shown_because"]
    assert why["code"] == "fewer_than_k"


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
        measured(session, number, {SILENT: 700, OPENED: 300})
    assert released(db, number, now=BEGUN + timedelta(hours=30))
    opens = told(db, number, now=BEGUN + timedelta(days=9)).as_json()["opens"]
    assert opens["confirmed"]["rate"] == 0.3
    assert opens["estimated"]["rate"] is None
    assert [why["code"] for why in opens["estimated"]["not_shown_because"]] == [
        "younger_than_48_hours"
    ]


def test_analysts_get_rounded_counts_and_rates_made_of_them(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 701, OPENED: 302})
    released(db, number)
    found = told(db, number, rounded=True).as_json()
    assert found["rounded_to"] == 5
    assert found["opens"]["confirmed"] == {"shown": "exact", "n": 300, "of": 1005, "rate": 0.299}
    assert found["opens"]["inputs"]["H"] == 300


def test_analysts_get_loads_in_fives_also_where_nothing_else_is_told(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=60))
        session.add(Loads(campaign_id=number, day=BEGUN.date(), kind=1, n=33))
    assert released(db, number)
    exact, fives = told(db, number).opens, told(db, number, rounded=True).opens
    assert exact and exact.loads == 33
    assert fives and fives.loads == 35


def test_rounding_never_shows_that_everybody_opened(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 3, OPENED: 19})
    released(db, number)
    exact, fives = told(db, number).opens, told(db, number, rounded=True).opens
    assert exact and exact.confirmed.n == 19
    # 20 of 20 in fives would say that all of them did.
    assert fives and fives.confirmed.shown is Shown.OVER
    assert fives.confirmed.n is None


@pytest.mark.parametrize("opened", [0, 2, 23, 25])
def test_nobody_and_everybody_are_told_as_a_bound(db: Database, opened: int) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 25 - opened, OPENED: opened})
    released(db, number)
    found = told(db, number).opens
    assert found and found.confirmed.n is None
    assert found.inputs is None
    assert found.confirmed.rate == pytest.approx(0.12 if opened < 3 else 0.88)


def test_where_few_allow_it_every_rate_says_of_whom_it_is(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        stored(session, MailboxTotal(campaign_id=number, event="delivered", n=5_200))
        measured(session, number, {SILENT: 700, OPENED: 300})
    released(db, number)
    opens = told(db, number).as_json()["opens"]
    assert opens["label"] == "of the 19.2 % who allow measurement"
    assert [why["code"] for why in opens["estimated"]["not_shown_because"]] == [
        "few_allow_measurement"
    ]


def opened(session: Session, delivery_id: int, *, ruleset: int) -> None:
    """Store one open, as counted by a table of rules."""
    row = Open(
        delivery_id=delivery_id,
        kind=1,
        reason=10,
        ruleset=ruleset,
        policy_version_id=1,
        first_seen_at=BEGUN,
        client=6,
    )
    session.add(row)


def test_opens_counted_by_two_tables_of_rules_give_no_estimate(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 700, OPENED: 300})
        for ordinal in range(1, 301):
            opened(session, number << 32 | ordinal, ruleset=1 if ordinal < 290 else 2)
    released(db, number)
    opens = told(db, number).as_json()["opens"]
    assert opens["confirmed"]["n"] == 300
    assert [why["code"] for why in opens["estimated"]["not_shown_because"]] == ["ruleset_changed"]


def test_before_the_first_release_a_report_says_when_it_comes(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 700, OPENED: 300})
    opens = told(db, number).as_json()["opens"]
    assert opens["measured"] is None
    assert opens["confirmed"]["shown"] == "withheld"
    (why,) = opens["estimated"]["not_shown_because"]
    assert why["code"] == "not_released"
    assert "a day after the first message" in why["sentence"]


def test_days_and_their_rest_make_the_total(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 900, OPENED: 100})
        hours = {"2026-03-02T10": 50, "2026-03-02T23": 20, "2026-03-03T00": 28, "2026-03-04T07": 2}
        rolled_up(session, number, "hour", hours)
        rolled_up(session, number, "hour", {"2026-03-03T08": 2}, OpenKind.PROXIED)
        rolled_up(session, number, "hour", {"2026-03-03T09": 77}, OpenKind.SCANNER)
    released(db, number)
    days = told(db, number).as_json()["opens"]["tables"]["day"]
    # Two opens on the fourth are too few to tell; nor does it lie alone in the rest.
    assert [(one["value"], one["opens"]) for one in days["cells"]] == [("2026-03-02", 70)]
    assert days["rest"]["opens"] == 32
    assert days["rest"]["values"] == ["2026-03-03", "2026-03-04", "2026-03-05"]
    assert days["total"] == 102
    assert "hour" not in told(db, number).as_json()["opens"]["tables"]


def test_large_campaigns_are_told_by_the_hour(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 9_000, OPENED: 1_000})
        hours = {f"2026-03-02T{hour:02}": 40 for hour in range(24)}
        rolled_up(session, number, "hour", hours | {"2026-03-03T01": 40})
    released(db, number, now=BEGUN + timedelta(days=1))
    tables = told(db, number).as_json()["opens"]["tables"]
    assert {one["opens"] for one in tables["hour"]["cells"]} == {40}
    assert len(tables["hour"]["cells"]) >= 24
    assert tables["hour"]["cells"][0]["label"] == "2026-03-02 00:00"
    assert sum(one["opens"] for one in tables["day"]["cells"]) == 1_000


def test_small_countries_are_counted_with_the_unknown(db: Database) -> None:
    with db.transaction() as session:
        number = campaign(session)
        measured(session, number, {SILENT: 900, OPENED: 100})
        rolled_up(session, number, "hour", {"2026-03-02T10": 100})
        rolled_up(session, number, "country", {"DE": 40, "AT": 20, "IS": 19})
        rolled_up(session, number, "client", {"2": 50, "1": 30, "0": 20})
    released(db, number)
    tables = told(db, number).as_json()["opens"]["tables"]
    assert [(one["value"], one["opens"]) for one in tables["country"]["cells"]] == [
        ("DE", 40),
        ("AT", 20),
    ]
    assert tables["country"]["rest"]["opens"] == 40
    assert "IS" not in str(tables)
    assert [(one["label"], one["rate"]) for one in tables["client"]["cells"]] == [
        ("Gmail", 0.05),
        ("Apple Mail", 0.03),
    ]
    assert tables["client"]["rest"]["opens"] == 20


def test_an_unknown_campaign_is_not_reported(db: Database) -> None:
    with db.reading() as session, pytest.raises(NotFound, match="no campaign 404"):
        report(session, 404, now=NOW)
