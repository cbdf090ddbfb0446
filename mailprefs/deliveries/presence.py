"""Which processes are at work: each says so every few seconds, outside every other transaction.

By the database's clock, so that hosts whose clocks differ agree. A process that ends says so; one
that was killed is not seen any more, and its row is cleaned away by the others.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.sending import Presence

EVERY: Final = 5.0
"""Seconds between two signs of life."""
ALIVE: Final = timedelta(seconds=20)
"""Whoever was seen within is alive; a sign may be late while the database is busy."""
_FORGOTTEN: Final = timedelta(hours=1)


class Seen(NamedTuple):
    """How many processes are at work, and when the last one of all was seen."""

    alive: int
    last: datetime | None


def seen(session: Session, owner: str) -> None:
    """Write down that *owner* is at work, and forget who hasn't been for long."""
    at = dialects.database_time(session)
    row = dialects.insert(session, Presence).values(owner=owner, started_at=at, seen_at=at)
    session.execute(row.on_conflict_do_update(index_elements=["owner"], set_={"seen_at": at}))
    session.execute(delete(Presence).where(Presence.seen_at < at - _FORGOTTEN))


def left(session: Session, owner: str) -> None:
    """Write down that *owner* has ended."""
    session.execute(delete(Presence).where(Presence.owner == owner))


def show(session: Session) -> Seen:
    """Tell who is at work; reading only."""
    at = dialects.database_time(session)
    rows = session.execute(
        select(func.count().filter(Presence.seen_at > at - ALIVE), func.max(Presence.seen_at))
    ).one()
    return Seen(*rows)
