"""What became of deliveries: facts that can only become true, and their sums."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailprefs import opens
from mailprefs.db import dialects
from mailprefs.events.meaning import Fact
from mailprefs.schema.events import MailboxFact, MailboxTotal

Key = tuple[int, str]
"""A delivery, and the word of a fact."""


def add(session: Session, first: Mapping[Key, datetime]) -> list[Key]:
    """Insert the facts that are new, count them, and give them; *first*: when each happened.

    An earlier time corrects one that was there, so the first time stands in whatever order.
    """
    if not first:
        return []
    rows = [
        {"delivery_id": delivery_id, "event": word, "occurred_at": first[delivery_id, word]}
        for delivery_id, word in sorted(first)
    ]
    insert = dialects.insert(session, MailboxFact).on_conflict_do_nothing()
    inserted = session.execute(
        insert.returning(MailboxFact.delivery_id, MailboxFact.event), rows
    ).all()
    new = {(row.delivery_id, row.event) for row in inserted}
    for row in rows:
        if (row["delivery_id"], row["event"]) not in new:
            _correct(session, row)
    found = sorted(new)
    count(session, found)
    delivered = [delivery_id for delivery_id, word in found if word == Fact.DELIVERED]
    opens.delivered(session, delivered)
    return found


def count(session: Session, new: Iterable[Key]) -> None:
    """Add new facts to their campaigns' totals, in the order of the totals' key."""
    sums = Counter((delivery_id >> 32, word) for delivery_id, word in new)
    for (campaign_id, word), n in sorted(sums.items()):
        insert = dialects.insert(session, MailboxTotal).values(
            campaign_id=campaign_id, event=word, n=n
        )
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["campaign_id", "event"], set_={"n": MailboxTotal.n + n}
            )
        )


def _correct(session: Session, row: Mapping[str, Any]) -> None:
    session.execute(
        update(MailboxFact)
        .where(
            MailboxFact.delivery_id == row["delivery_id"],
            MailboxFact.event == row["event"],
            MailboxFact.occurred_at > row["occurred_at"],
        )
        .values(occurred_at=row["occurred_at"])
        .execution_options(synchronize_session=False)
    )
