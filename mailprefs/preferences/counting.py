"""How many people a message made leave: one for each delivery, taken back by an undo."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.kept import KeptInsert
from mailprefs.schema.events import MailboxFact, MailboxTotal

EVENT: Final = "unsubscribed"
"""The mailbox fact of a message that made its reader leave."""


# For each of the many who may leave in one second.
_FACT: Final = KeptInsert(MailboxFact, ("delivery_id", "event", "occurred_at")).or_nothing()
_TOTAL: Final = KeptInsert(MailboxTotal, ("campaign_id", "event", "n")).or_update(
    ("campaign_id", "event"), {"n": MailboxTotal.n + 1}
)


def count(session: Session, delivery_id: int, now: datetime) -> None:
    """Note that this message made its reader leave; once, by whichever route."""
    if _FACT.change(session, delivery_id=delivery_id, event=EVENT, occurred_at=now):
        _TOTAL.change(session, campaign_id=_campaign(delivery_id), event=EVENT, n=1)


def uncount(session: Session, delivery_id: int) -> None:
    """Take back that this message made its reader leave, if it is noted."""
    fact = delete(MailboxFact).where(
        MailboxFact.delivery_id == delivery_id, MailboxFact.event == EVENT
    )
    if dialects.changed(session, fact):
        session.execute(
            update(MailboxTotal)
            .where(MailboxTotal.campaign_id == _campaign(delivery_id), MailboxTotal.event == EVENT)
            .values(n=MailboxTotal.n - 1)
        )


def _campaign(delivery_id: int) -> int:
    return delivery_id >> 32
