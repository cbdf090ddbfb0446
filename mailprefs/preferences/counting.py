"""How many people a message made leave: one for each delivery, taken back by an undo."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.events import MailboxFact, MailboxTotal

EVENT: Final = "unsubscribed"
"""The mailbox fact of a message that made its reader leave."""


def count(session: Session, delivery_id: int, now: datetime) -> None:
    """Note that this message made its reader leave; once, by whichever route."""
    fact = {"delivery_id": delivery_id, "event": EVENT, "occurred_at": now}
    insert = dialects.insert(session, MailboxFact).values(fact)
    if dialects.changed(session, insert.on_conflict_do_nothing()):
        total = dialects.insert(session, MailboxTotal).values(
            campaign_id=_campaign(delivery_id), event=EVENT, n=1
        )
        session.execute(
            total.on_conflict_do_update(
                index_elements=["campaign_id", "event"], set_={"n": MailboxTotal.n + 1}
            )
        )


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
