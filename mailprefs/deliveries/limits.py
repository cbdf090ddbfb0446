"""How many recipients may go: the limiter, shared by all workers.

A GCRA (a leaky bucket kept as one instant, the *theoretical arrival time*): it counts recipients,
and a rate below the batch size makes smaller claims, so that the rate holds second by second.
All instants are the database's.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from mailprefs.deliveries.pace import Wait
from mailprefs.schema.deliveries import VendorPace

_TABLE: Final[Table] = VendorPace.metadata.tables[VendorPace.__tablename__]


def room(session: Session, at: datetime, *, rate: float, batch_size: int) -> int | Wait | None:
    """Ask how many recipients may go at *at*, at *rate* a second (0: no limit); None: any number.

    With a limit the row stays locked to the end of the transaction, so that ``take`` is exact.
    """
    if not rate:
        return None
    query = select(_TABLE.c.next_turn_at).with_for_update()
    next_turn_at = session.execute(query).scalar_one()
    if next_turn_at > at:
        return Wait((next_turn_at - at).total_seconds())
    return max(1, min(batch_size, int(rate)))


def take(session: Session, at: datetime, recipients: int, *, rate: float) -> None:
    """Write down that *recipients* were claimed at *at*: the next turn is that much later."""
    if rate and recipients:
        later = at + timedelta(seconds=recipients / rate)
        session.execute(update(_TABLE).values(next_turn_at=later))
