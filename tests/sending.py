"""A newsletter on its way: people, a campaign and a worker's steps, to test the send ledger."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import freeze, outcome, settle
from mailprefs.deliveries.claim import Claim, Terms, claim
from mailprefs.deliveries.contents import Contents
from mailprefs.deliveries.counts import Counts, counts
from mailprefs.deliveries.pace import Wait
from mailprefs.policy import MessageClass
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.opens import Measured, MeasuredTotal
from mailprefs.schema.people import Recipient, Topic
from mailprefs.vendor.message import Outcome, Verdict
from tests import factories

NOW = datetime.fromisoformat("2026-11-22T09:30:00+00:00")
TERMS = Terms(owner="worker", vendor="fake", batch_size=3, lease=60)
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, status=202, message_id="m-1")


def make_people(session: Session, topic: Topic, n: int, **columns: object) -> list[Recipient]:
    """Store *n* people who subscribed to *topic*."""
    return factories.make_subscribers(session, topic, n, hasher=factories.HASHER, **columns)


def make_due(session: Session, topic: Topic, **columns: object) -> int:
    """Store a campaign of *topic* with a content, that is due now; give its id."""
    administrative = topic.message_class is MessageClass.ADMINISTRATIVE
    values: dict[str, object] = {
        "state": CampaignState.SCHEDULED,
        "due_at": NOW,
        "first_hand_over_at": None,
        "started_at": None,
        "purpose": "account" if administrative else None,
    } | columns
    campaign = factories.make_campaign(session, topic, **values)
    factories.make_composed(session, campaign)
    return campaign.id


def freeze_all(
    db: Database, *, batch_size: int = TERMS.batch_size, slice_size: int = 1_000
) -> None:
    """Let every campaign that is due be frozen to the end."""
    with db.transaction() as session:
        freeze.begin_due(session, now=NOW)
    while True:
        with db.reading() as session:
            waiting = freeze.freezing(session)
        if not waiting:
            return
        with db.transaction() as session:
            freeze.step(session, waiting[0], batch_size=batch_size, now=NOW, slice_size=slice_size)


def make_frozen(
    db: Database,
    people: int,
    message_class: MessageClass = MessageClass.PROMOTIONAL,
    **columns: object,
) -> int:
    """Store a policy, a topic, so many *people* and a campaign to them, frozen; give its id."""
    with db.transaction() as session:
        factories.make_policy(session)
        topic = factories.make_topic(session, message_class=message_class)
        make_people(session, topic, people, **columns)
        campaign_id = make_due(session, topic)
    freeze_all(db)
    return campaign_id


def take(db: Database, terms: Terms = TERMS, *, now: datetime = NOW) -> Claim | Wait | None:
    """Claim the next batch."""
    with db.transaction(Gate.USING) as session:
        return claim(session, terms, Contents(), now=now)


def take_one(db: Database, terms: Terms = TERMS) -> Claim:
    """Claim the next batch, which there is."""
    taken = take(db, terms)
    assert isinstance(taken, Claim)
    return taken


def answer(db: Database, claimed: Claim, result: Outcome = ACCEPTED) -> None:
    """Write down what the request came to."""
    with db.transaction() as session:
        outcome.record(session, claimed, result)


def send_all(
    db: Database, answers: Iterable[Outcome] = (), terms: Terms = TERMS
) -> list[tuple[int, list[int]]]:
    """Claim and hand over until nothing is left; give each accepted campaign and its deliveries."""
    script = iter(answers)
    accepted = []
    while (claimed := take(db, terms)) is not None:
        if isinstance(claimed, Wait):
            assert claimed.seconds == 0, "the vendor's pace holds everything up"
            continue
        result = next(script, ACCEPTED)
        answer(db, claimed, result)
        if result.verdict is Verdict.ACCEPTED:
            ids = [person.delivery_id for person in claimed.people]
            accepted.append((claimed.held.campaign_id, ids))
    with db.transaction() as session:
        settle.end_campaigns(session, now=NOW)
    return accepted


def count(db: Database, campaign_id: int) -> Counts:
    """Count where everybody of a campaign is, and check that nobody is lost or twice."""
    with db.reading() as session:
        found = counts(session, campaign_id)
    assert found.adds_up, found
    return found


def state_of(db: Database, campaign_id: int) -> CampaignState:
    """Give a campaign's state."""
    with db.reading() as session:
        return session.get_one(Campaign, campaign_id).state


def check_measured(db: Database) -> None:
    """Check that ``measured_totals`` says exactly what stands in ``measured``."""
    with db.reading() as session:
        rows = session.execute(select(Measured.delivery_id, Measured.bits))
        told = Counter((delivery_id >> 32, bits) for delivery_id, bits in rows)
        totals = session.execute(
            select(MeasuredTotal.campaign_id, MeasuredTotal.bits, func.sum(MeasuredTotal.n))
            .where(MeasuredTotal.n != 0)
            .group_by(MeasuredTotal.campaign_id, MeasuredTotal.bits)
        )
        assert {(campaign, bits): n for campaign, bits, n in totals} == dict(told)
