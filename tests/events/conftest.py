"""A campaign that was handed over to three readers of a newsletter."""

from dataclasses import dataclass

import pytest

from mailprefs.db.database import Database
from mailprefs.policy import MessageClass, SuppressionReason
from mailprefs.schema.choices import Suppression
from mailprefs.schema.people import Recipient
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
    subscribe,
)
from tests.sending import NOW


@dataclass(frozen=True)
class Mailed:
    """Who got which deliveries: one list of delivery ids a campaign, in the people's order."""

    db: Database
    people: tuple[int, ...]
    hashes: tuple[bytes, ...]
    topic_ids: tuple[int, ...]
    sent: tuple[list[int], ...]

    def reasons(self, who: int = 0) -> set[SuppressionReason]:
        """Give why a person's address is suppressed."""
        return {one.reason for one in self.suppressed(who)}

    def suppressed(self, who: int = 0) -> list[Suppression]:
        """Give what stands against a person's address."""
        with self.db.reading() as session:
            found = session.query(Suppression).filter_by(address_hash=self.hashes[who])
            return found.order_by(Suppression.reason).all()


@pytest.fixture
def mailed(db: Database) -> Mailed:
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, message_class=MessageClass.ADMINISTRATIVE)
    return mail(db)


def mail(db: Database) -> Mailed:
    """Store three readers of two new topics, and six campaigns that they got."""
    with db.transaction() as session:
        first, second = make_topic(session), make_topic(session)
        people: list[Recipient] = [make_recipient(session) for _ in range(3)]
        for person in people:
            subscribe(session, person, first)
            subscribe(session, person, second)
        campaigns = [make_campaign(session, first, first_hand_over_at=NOW) for _ in range(6)]
        return Mailed(
            db=db,
            people=tuple(one.id for one in people),
            hashes=tuple(one.address_hash for one in people),
            topic_ids=(first.id, second.id),
            sent=tuple(make_sent(session, one, people) for one in campaigns),
        )
