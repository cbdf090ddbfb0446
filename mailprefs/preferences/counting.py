"""How many people a message made leave: one for each delivery, taken back by an undo."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Integer, delete, literal_column, select, type_coerce, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.db.kept import Kept, KeptInsert
from mailprefs.schema.base import BigId
from mailprefs.schema.events import MailboxFact, MailboxTotal

EVENT: Final = "unsubscribed"
"""The mailbox fact of a message that made its reader leave."""


# For each of the many who may leave in one second.
_NOTED: Final = Kept(
    select(type_coerce(MailboxFact.delivery_id, BigId))
    .where(dialects.listed(MailboxFact.delivery_id, "deliveries"))
    .where(MailboxFact.event == EVENT)
)
_FACT: Final = KeptInsert(MailboxFact, ("delivery_id", "event", "occurred_at")).or_nothing()
_TOTAL: Final = KeptInsert(MailboxTotal, ("campaign_id", "event", "n")).or_update(
    ("campaign_id", "event"), {"n": MailboxTotal.n + literal_column("excluded.n", Integer)}
)


def count(session: Session, delivery_ids: Collection[int], now: datetime) -> None:
    """Note that each of these messages made its reader leave; once, by whichever route.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``: only so does
        nobody else note one of them meanwhile.
    """
    require_taking(session)
    asked = {"deliveries": sorted(set(delivery_ids))}
    new = sorted(set(delivery_ids).difference(one for (one,) in _NOTED.rows(session, asked)))
    _FACT.change_each(
        session, [{"delivery_id": one, "event": EVENT, "occurred_at": now} for one in new]
    )
    for campaign_id, n in Counter(map(_campaign, new)).items():
        _TOTAL.change(session, campaign_id=campaign_id, event=EVENT, n=n)


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
