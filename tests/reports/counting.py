"""Campaigns whose opens have been counted, for tests of what is told of them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.reports import releases
from mailprefs.reports.campaigns import Report, find, report
from mailprefs.reports.cells import USUAL, Rule
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import MeasuredTotal, OpenRollup
from mailprefs.useragents import OpenKind
from tests.factories import make_topic, stored

BEGUN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = BEGUN + timedelta(days=3)
SILENT, OPENED = DELIVERED, DELIVERED | HUMAN | FETCHED
APPLE_SILENT, APPLE_LOADED = DELIVERED | APPLE, DELIVERED | APPLE | FETCHED
APPLE_OPENED = DELIVERED | APPLE | HUMAN | FETCHED


def campaign(
    session: Session, message_class: MessageClass = MessageClass.PROMOTIONAL, **columns: object
) -> int:
    """Store a campaign that was sent three days ago; give its id."""
    if "topic_id" not in columns:
        columns["topic_id"] = make_topic(session, message_class=message_class).id
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
    return stored(session, Campaign(message_class=message_class, **values)).id


def measured(session: Session, campaign_id: int, totals: dict[int, int]) -> None:
    """Set how many measured messages have which bits; at least the delivered ones were."""
    for bits, n in totals.items():
        session.merge(MeasuredTotal(campaign_id=campaign_id, bits=bits, n=n))
    delivered = sum(n for bits, n in totals.items() if bits & DELIVERED)
    row = session.get(MailboxTotal, (campaign_id, "delivered"))
    if row is None:
        session.add(MailboxTotal(campaign_id=campaign_id, event="delivered", n=delivered))
    else:
        row.n = max(row.n, delivered)
    session.flush()


def rolled_up(
    session: Session,
    campaign_id: int,
    dimension: str,
    counts: dict[str, int],
    kind: OpenKind = OpenKind.DIRECT,
) -> None:
    """Set a campaign's rollup along one dimension."""
    for value, n in counts.items():
        row = OpenRollup(
            campaign_id=campaign_id, dimension=dimension, value=value, kind=int(kind), n=n
        )
        session.merge(row)
    session.flush()


def released(
    db: Database, campaign_id: int, *, now: datetime = NOW, rule: Rule = USUAL, asked: bool = False
) -> bool:
    """Let the service look at a campaign's numbers; tell whether it made them anew."""
    with db.transaction() as session:
        found = find(session, campaign_id)
        return releases.refresh(session, found, now=now, rule=rule, asked=asked)


def told(db: Database, campaign_id: int, *, now: datetime = NOW, rounded: bool = False) -> Report:
    """Give the report as it is told."""
    with db.reading() as session:
        return report(session, campaign_id, now=now, rounded=rounded)
