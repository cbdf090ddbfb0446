"""Work that one process at a time does now and then: whoever takes the turn does it."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.alarms import Turn


def take_turn(session: Session, name: str, *, every: timedelta, now: datetime) -> bool:
    """Take the turn of the work *name*, unless somebody took it within *every*; tell whether.

    A turn dated in the future, by a clock that was wrong, holds nobody up.
    """
    mine = dialects.insert(session, Turn).values(name=name, taken_at=now)
    is_free = or_(Turn.taken_at <= now - every, Turn.taken_at > now + every)
    mine = mine.on_conflict_do_update(
        index_elements=["name"], set_={"taken_at": now}, where=is_free
    )
    return session.execute(mine.returning(Turn.name)).first() is not None


def last_turn(session: Session, name: str) -> datetime | None:
    """Give when somebody last took the turn of the work *name*; None if nobody ever did."""
    return session.execute(select(Turn.taken_at).where(Turn.name == name)).scalar_one_or_none()
