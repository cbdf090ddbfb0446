"""What all workers obey before a claim: the common wait and the stop.

One row, read in the claim's own transaction. All instants are the database's. How many recipients
may go is said in ``limits``.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Table, func, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.deliveries import VendorPace

_TABLE: Final[Table] = VendorPace.metadata.tables[VendorPace.__tablename__]
_COLUMNS: Final = (
    _TABLE.c.wait_until,
    _TABLE.c.waits,
    _TABLE.c.stopped_at,
    _TABLE.c.stopped_reason,
)
# Kept, because making a statement takes longer than running it.
_READ: Final = select(*_COLUMNS)
_READ_TIMED: Final = _READ.add_columns(func.clock_timestamp(type_=UtcDateTime))
_LOCK_TIMED: Final = _READ_TIMED.with_for_update()
_ROW: Final = 1
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_WAIT: Final = 300.0
"""Seconds that the growing wait ends at; the vendor itself may ask for longer."""
_MOST_DOUBLINGS: Final = 16
_SPREAD: Final = 0.25
_LONGEST_REASON: Final = 1_000


class Turn(NamedTuple):
    """A claim may be made, at which instant.

    *waits* is how many answers in a row asked to wait; an accepted request sets it back.
    """

    at: datetime
    waits: int


class Wait(NamedTuple):
    """No claim for that many seconds; *reason* is a sentence where everything is stopped."""

    seconds: float
    reason: str | None = None


class Pace(NamedTuple):
    """How the sending stands, to be shown: not before when, and why nothing moves."""

    wait_until: datetime | None
    waits: int
    stopped_at: datetime | None
    stopped_reason: str | None


class _Row(NamedTuple):
    """The one row, and the database's time when it was read."""

    wait_until: datetime | None
    waits: int
    stopped_at: datetime | None
    stopped_reason: str | None
    at: datetime


def turn(session: Session) -> Turn | Wait:
    """Ask whether a claim may be made now, as far as the vendor is concerned."""
    row = _row(session, lock=False)
    if row.stopped_at is not None:
        return Wait(LONGEST_WAIT, row.stopped_reason)
    if row.wait_until is not None and row.wait_until > row.at:
        return Wait((row.wait_until - row.at).total_seconds())
    return Turn(row.at, row.waits)


def wait_for_all(session: Session, *, seconds: float | None = None) -> float:
    """Make all workers wait: *seconds* as the vendor asked, else growing; give for how long."""
    row = _row(session, lock=True)
    # Spread over some time, so that hosts don't all come back in the same instant.
    spread = 1 + _SPREAD * secrets.randbelow(1_000) / 1_000
    # Bounded before it grows: days of refusals would make a number that no float holds.
    growing = min(2.0 ** min(row.waits, _MOST_DOUBLINGS), LONGEST_WAIT)
    delay = (growing if seconds is None else max(seconds, 0.1)) * spread
    until = row.at + timedelta(seconds=delay)
    if row.wait_until is None or row.wait_until < until:
        _change(session, wait_until=until, waits=row.waits + 1)
    return delay


def went_well(session: Session) -> None:
    """Forget the waits in a row: the vendor accepted a request that was claimed after them."""
    _change(session, waits=0)


def stop(session: Session, reason: str) -> bool:
    """Stop all sending until somebody starts it again; *reason* is a sentence for staff.

    Gives whether it was not stopped before.
    """
    row = _row(session, lock=True)
    if row.stopped_at is None:
        _change(session, stopped_at=row.at, stopped_reason=reason[:_LONGEST_REASON])
    return row.stopped_at is None


def start(session: Session) -> None:
    """Let the workers go on after a stop or a wait."""
    _row(session, lock=True)
    _change(session, stopped_at=None, stopped_reason=None, wait_until=None, waits=0)


def show(session: Session) -> Pace:
    """Tell how the sending stands."""
    row = session.execute(select(*_COLUMNS)).one_or_none()
    return Pace(*row) if row else Pace(None, 0, None, None)


def _row(session: Session, *, lock: bool) -> _Row:
    """Give the one row, which the first call makes, and the time."""
    row = _read(session, lock=lock)
    if row is None:
        first = dialects.insert(session, VendorPace)
        first = first.values(id=_ROW, next_turn_at=_BEGINNING, waits=0)
        session.execute(first.on_conflict_do_nothing())
        row = _read(session, lock=lock)
    if row is None:
        msg = "the row of vendor_pace vanished"
        raise RuntimeError(msg)
    return row


def _read(session: Session, *, lock: bool) -> _Row | None:
    if dialects.is_sqlite(session):
        row = session.connection().execute(_READ).one_or_none()
        return _Row(*row, at=datetime.now(UTC)) if row else None
    query = _LOCK_TIMED if lock else _READ_TIMED
    timed = session.connection().execute(query).one_or_none()
    return _Row(*timed) if timed else None


def _change(session: Session, **values: object) -> None:
    session.execute(update(_TABLE).where(_TABLE.c.id == _ROW).values(**values))
