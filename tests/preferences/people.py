"""One person with two newsletters and a notice, to whom a campaign of each newsletter was sent."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailprefs import consent
from mailprefs.consent import Recorded
from mailprefs.db.database import Database
from mailprefs.policy import MessageClass, Source
from mailprefs.preferences import Door
from mailprefs.schema.people import Recipient
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
    subscribe,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
ONE_CLICK = Door(Source.ONE_CLICK, "post_one_click")
PAGE = Door(Source.PREFERENCES, "button")


class World(NamedTuple):
    """Ids of one person (ann) and of what she gets."""

    policy: int
    ann: int
    news: int
    offers: int
    account: int
    sent_news: int
    sent_offers: int

    def one_click(self) -> Door:
        """Give the door of the link in ann's copy of the news."""
        return ONE_CLICK._replace(delivery_id=self.sent_news)


def settle(db: Database) -> World:
    """Store ann, subscribed to news and offers, and what she was sent."""
    with db.transaction() as session:
        policy = make_policy(session)
        news, offers = make_topic(session, "news"), make_topic(session, "offers")
        account = make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        ann = make_recipient(session, "ann@example.com")
        for topic in (news, offers):
            subscribe(session, ann, topic)
        (sent_news,) = make_sent(session, make_campaign(session, news), [ann])
        (sent_offers,) = make_sent(session, make_campaign(session, offers), [ann])
        return World(policy, ann.id, news.id, offers.id, account.id, sent_news, sent_offers)


def newcomer(db: Database) -> int:
    """Store somebody who was never asked about anything; give their number."""
    with db.transaction() as session:
        return make_recipient(session).id


def states(db: Database, recipient_id: int) -> dict[int, str]:
    """Give the stored state of each topic of one person, by SQL of the test's own."""
    with db.reading() as session:
        found = session.execute(
            text("SELECT topic_id, state FROM subscriptions WHERE recipient_id = :id"),
            {"id": recipient_id},
        )
        return {row.topic_id: row.state for row in found}


def refusals(db: Database, recipient_id: int) -> list[tuple[str, str, int | None]]:
    """Give (reason, scope, delivery) of each suppression of one person's address."""
    with db.reading() as session:
        found = session.execute(
            text(
                "SELECT s.reason, s.scope, s.delivery_id FROM suppressions s JOIN recipients r"
                " ON r.address_hash = s.address_hash WHERE r.id = :id ORDER BY s.id"
            ),
            {"id": recipient_id},
        )
        return [(row.reason, row.scope, row.delivery_id) for row in found]


def counted(db: Database, delivery_id: int) -> tuple[int, int]:
    """Give how often a message, and how often its campaign, is counted as having lost a reader."""
    with db.reading() as session:
        facts = session.execute(
            text(
                "SELECT count(*) FROM mailbox_facts"
                " WHERE event = 'unsubscribed' AND delivery_id = :id"
            ),
            {"id": delivery_id},
        ).scalar_one()
        total = session.execute(
            text(
                "SELECT COALESCE(sum(n), 0) FROM mailbox_totals"
                " WHERE event = 'unsubscribed' AND campaign_id = :id"
            ),
            {"id": delivery_id >> 32},
        ).scalar_one()
        return facts, int(total)


def said(db: Database, recipient_id: int) -> list[tuple[str, int | None, str | None, str]]:
    """Give (purpose, topic, old, new) of each ledger entry of one person, in order."""
    return [
        (one.entry.purpose, one.entry.topic_id, one.entry.old, one.entry.new)
        for one in entries(db, recipient_id)
    ]


def entries(db: Database, recipient_id: int) -> list[Recorded]:
    """Give one person's ledger."""
    with db.reading() as session:
        return consent.history(session, recipient_id)


def erase_rows(session: Session, recipient_id: int) -> None:
    """Take a person's rows away, as erasure does."""
    session.execute(text("DELETE FROM subscriptions WHERE recipient_id = :i"), {"i": recipient_id})
    session.delete(session.get_one(Recipient, recipient_id))
