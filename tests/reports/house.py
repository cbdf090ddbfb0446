"""Campaigns with lively numbers, for tests that look at pages."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.reports import releases
from mailprefs.reports.campaigns import find
from mailprefs.reports.cells import USUAL
from mailprefs.schema.people import Topic
from mailprefs.useragents import OpenKind
from tests.factories import make_campaign, make_topic
from tests.reports.counting import (
    APPLE_LOADED,
    APPLE_OPENED,
    APPLE_SILENT,
    OPENED,
    SILENT,
    measured,
    rolled_up,
)

DAYS = (0.46, 0.21, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01)


def furnish(db: Database, now: datetime) -> list[int]:
    """Store five campaigns of which reports can tell something, or can't; give their ids."""
    with db.transaction() as session:
        news, tips = make_topic(session, "newsletter"), make_topic(session, "garden-tips")
        numbers = [
            lively(session, news, "The first frost", (12_400, 0.31, now - timedelta(days=9))),
            lively(session, news, "Seeds for spring", (4_200, 0.24, now - timedelta(days=40))),
            lively(session, tips, "Pruning roses", (1_900, 0.36, now - timedelta(days=5))),
            lively(session, tips, "A note to a few", (14, 0.3, now - timedelta(days=6))),
            make_campaign(
                session,
                make_topic(session, "terms", MessageClass.ADMINISTRATIVE),
                name="Our terms change",
                purpose=LegalPurpose.LEGAL_NOTICE,
                reason="The terms promise to tell everybody.",
                first_hand_over_at=now - timedelta(days=2),
            ).id,
        ]
    with db.transaction() as session:
        for number in numbers:
            releases.refresh(session, find(session, number), now=now, rule=USUAL)
    return numbers


def lively(session: Session, topic: Topic, name: str, opened: tuple[int, float, datetime]) -> int:
    """Store a campaign to many people, of whom a share *opened* since a time; give its id."""
    people, rate, begun = opened
    made = make_campaign(session, topic, name=name, first_hand_over_at=begun)
    apple, others = people * 2 // 5, people - people * 2 // 5
    openers, known = round(others * rate), round(apple * rate * 0.1)
    bits = {
        SILENT: others - openers,
        OPENED: openers,
        APPLE_SILENT: apple // 10,
        APPLE_LOADED: apple - apple // 10 - known,
        APPLE_OPENED: known,
    }
    measured(session, made.id, bits)
    opens = openers + known
    for number, share in enumerate(DAYS):
        day = (begun + timedelta(days=number)).date().isoformat()
        for hour, part in ((9, 0.4), (13, 0.35), (20, 0.25)):
            n = {f"{day}T{hour:02}": round(opens * share * part)}
            rolled_up(session, made.id, "hour", n, OpenKind.DIRECT)
    countries = {"DE": 0.34, "AT": 0.16, "CH": 0.11, "NL": 0.05, "FR": 0.03, "IS": 0.001}
    rolled_up(session, made.id, "country", {k: round(opens * v) for k, v in countries.items()})
    clients = {"2": 0.38, "3": 0.21, "1": 0.17, "5": 0.08, "6": 0.06, "7": 0.05, "0": 0.04}
    rolled_up(session, made.id, "client", {k: round(opens * v) for k, v in clients.items()})
    return made.id
