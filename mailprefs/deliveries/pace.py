"""What all workers obey before a claim: the common wait and the stop.

One row, read in the claim's own transaction. All instants are the database's. How many recipients
may go is said in ``limits``.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Table, case, func, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.deliveries import VendorPace

_TABLE: Final[Table] = VendorPace.metadata.tables[VendorPace.__tablename__]
_COLUMNS: Final = (
    _TABLE.c.wait_until,
    _TABLE.c.waits,
    _TABLE.c.stopped_at,
    _TABLE.c.stopped_reason,
    _TABLE.c.unclear,
    _TABLE.c.next_turn_at,
)
_TIMED: Final = select(*_COLUMNS, func.clock_timestamp(type_=UtcDateTime))
_READ: Final = Kept(select(*_COLUMNS))
_READ_TIMED: Final = Kept(_TIMED)
_LOCK_TIMED: Final = Kept(_TIMED.with_for_update())
_ROW: Final = 1
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The next call's turn while the vendor has refused nothing: calls are not paced."""
LONGEST_WAIT: Final = 300.0
"""Seconds that the growing wait ends at; the vendor itself may ask for longer."""
_MOST_DOUBLINGS: Final = 16
_SPREAD: Final = 0.25
_LONGEST_REASON: Final = 1_000


class Turn(NamedTuple):
    """A claim may be made, at which instant.

    *waits* is how many answers in a row asked to wait; an accepted request sets it back. *unclear*
    is how many were unclear: if any, the breaker has to be asked, too; and ``calls`` where calls
    are paced.
    """

    at: datetime
    waits: int
    unclear: int
    is_paced: bool


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
    unclear: int
    next_turn_at: datetime


class _Row(NamedTuple):
    """The one row, and the database's time when it was read."""

    wait_until: datetime | None
    waits: int
    stopped_at: datetime | None
    stopped_reason: str | None
    unclear: int
    next_turn_at: datetime
    at: datetime


def turn(session: Session) -> Turn | Wait:
    """Ask whether a claim may be made now, as far as the vendor is concerned."""
    row = _row(session, lock=False)
    if row.stopped_at is not None:
        return Wait(LONGEST_WAIT, row.stopped_reason)
    if row.wait_until is not None and row.wait_until > row.at:
        return Wait((row.wait_until - row.at).total_seconds())
    return Turn(row.at, row.waits, row.unclear, row.next_turn_at > BEGINNING)


def wait_for_all(
    session: Session, *, seconds: float | None = None, waits: int | None = None
) -> float:
    """Make all workers wait: *seconds* as the vendor asked, else growing; give for how long.

    *waits* is how many there had been when the call was claimed: several that were refused at once
    make one wait, and not one that grows with each of them.
    """
    row = _row(session, lock=True)
    waits = row.waits if waits is None else waits
    # Spread over some time, so that hosts don't all come back in the same instant.
    spread = 1 + _SPREAD * secrets.randbelow(1_000) / 1_000
    # Bounded before it grows: days of refusals would make a number that no float holds.
    growing = min(2.0 ** min(waits, _MOST_DOUBLINGS), LONGEST_WAIT)
    delay = (growing if seconds is None else max(seconds, 0.1)) * spread
    until = row.at + timedelta(seconds=delay)
    if row.wait_until is None or row.wait_until < until:
        _change(session, wait_until=until, waits=max(row.waits, waits + 1))
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
    """Let the workers go on after a stop or a wait; where the breaker is open, probe at once."""
    _row(session, lock=True)
    probe_at = case((_TABLE.c.probing_id.is_(None), None), else_=_TABLE.c.probe_at)
    going = {"stopped_at": None, "stopped_reason": None, "wait_until": None, "waits": 0}
    _change(session, **going, probe_at=probe_at)


def show(session: Session) -> Pace:
    """Tell how the sending stands."""
    row = session.execute(select(*_COLUMNS)).one_or_none()
    return Pace(*row) if row else Pace(None, 0, None, None, 0, BEGINNING)


def _row(session: Session, *, lock: bool) -> _Row:
    """Give the one row, which the first call makes, and the time."""
    row = _read(session, lock=lock)
    if row is None:
        first = dialects.insert(session, VendorPace)
        first = first.values(id=_ROW, next_turn_at=BEGINNING, waits=0)
        session.execute(first.on_conflict_do_nothing())
        row = _read(session, lock=lock)
    if row is None:
        msg = "the row of vendor_pace vanished"
        raise RuntimeError(msg)
    return row


def _read(session: Session, *, lock: bool) -> _Row | None:
    if dialects.is_sqlite(session):
        row = _READ.row(session)
        return _Row._make((*row, datetime.now(UTC))) if row else None
    timed = (_LOCK_TIMED if lock else _READ_TIMED).row(session)
    return _Row(*timed) if timed else None


def _change(session: Session, **values: object) -> None:
    session.execute(update(_TABLE).where(_TABLE.c.id == _ROW).values(**values))
