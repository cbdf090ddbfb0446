"""How many calls a second the vendor takes: learned from its refusals, and kept by all workers.

The vendor says nothing of its limit but 429. The common wait (``pace``) makes everybody wait then;
what comes after it is paced, one call after the other by all workers together, at a share of what
was accepted in the second before the refusal. A later refusal makes it slower still. The pace stays
as it is for ``QUIET``, then grows little by little, and is forgotten when nothing was refused for
long: a vendor that takes more now is found out with one refusal at most each time. Only where there
has been a refusal does any of this cost a statement. All instants are the database's.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.deliveries import pace
from mailprefs.deliveries.pace import Wait
from mailprefs.schema.deliveries import HandOver, VendorPace
from mailprefs.schema.sending import CallPace
from mailprefs.vendor.message import Verdict

SHARE: Final = 0.8
"""Of what the vendor was seen to take: calls don't reach it as evenly as they are begun."""
SLOWEST: Final = 0.5
"""Calls a second, below which nothing is learned: the common wait does the rest."""
QUIET: Final = timedelta(minutes=15)
_GROWTH_A_MINUTE: Final = 1.05
_FORGOTTEN: Final = 8.0
_SECOND: Final = timedelta(seconds=1)
_LOOKED_AT: Final = 5_000
_ROW: Final = 1
_PACE: Final[Table] = VendorPace.metadata.tables[VendorPace.__tablename__]
_CALLS: Final[Table] = CallPace.metadata.tables[CallPace.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_READ: Final = select(_CALLS.c.refused_at, _CALLS.c.rate, _CALLS.c.ceiling)


class Calls(NamedTuple):
    """At how many calls a second we go, and which refusal has taught it."""

    a_second: float
    refused_at: datetime


class _Row(NamedTuple):
    refused_at: datetime
    rate: float | None
    ceiling: float | None


def turn(session: Session, at: datetime) -> Wait | None:
    """Use the next turn to call up, if it has come; else ``Wait`` for it.

    The caller has locked the pace (``lock``).
    """
    row = _read(session)
    rate = _learned(session, row) if row else None
    if row is None or rate is None or _grown(rate, row.refused_at, at) > _FORGOTTEN * rate:
        forget(session)
        return None
    after = timedelta(seconds=1 / _grown(rate, row.refused_at, at))
    is_ours = _PACE.c.next_turn_at <= at
    if dialects.changed(session, update(_PACE).where(is_ours).values(next_turn_at=at + after)):
        return None
    next_at: datetime = session.execute(select(_PACE.c.next_turn_at)).scalar_one()
    return Wait((next_at - at).total_seconds())


def lock(session: Session) -> None:
    """Lock the pace to the end of the transaction; its own row stands behind the common one."""
    session.execute(select(_PACE.c.id).with_for_update())


def forget(session: Session) -> None:
    """Go as fast as we can again: nothing is known of what the vendor takes."""
    session.execute(update(_PACE).values(next_turn_at=pace.BEGINNING))
    session.execute(delete(_CALLS))


def refused(session: Session, claimed_at: datetime) -> None:
    """Take note that the vendor refused a call, claimed at that instant, as one too many.

    Refusals of calls that were claimed before the last one was known teach nothing new.
    """
    lock(session)
    row = _read(session)
    if row is not None and claimed_at <= row.refused_at:
        return
    at = dialects.database_time(session)
    ceiling = row.ceiling if row else None
    if row is not None and row.rate is not None:
        ceiling = max(SLOWEST, SHARE * _grown(row.rate, row.refused_at, at))
    values = {"refused_at": at, "rate": None, "ceiling": ceiling}
    written = dialects.insert(session, CallPace).values(id=_ROW, **values)
    session.execute(written.on_conflict_do_update(index_elements=["id"], set_=values))
    session.execute(update(_PACE).values(next_turn_at=at))


def show(session: Session) -> Calls | None:
    """Tell at how many calls a second we go; None while nothing has taught us to slow down."""
    row = session.execute(_READ).one_or_none()
    if row is None or row.rate is None:
        return None
    grown = _grown(row.rate, row.refused_at, datetime.now(UTC))
    return Calls(grown, row.refused_at) if grown <= _FORGOTTEN * row.rate else None


def _learned(session: Session, row: _Row) -> float | None:
    """Give the rate; at the first claim after a refusal, work it out, as all answers are here.

    None where nothing had been accepted just before: such a refusal says nothing of how many calls
    the vendor takes, and the common wait is the answer to it.
    """
    if row.rate is not None:
        return row.rate
    lately = (
        select(_HAND_OVERS.c.claimed_at, _HAND_OVERS.c.outcome)
        .order_by(_HAND_OVERS.c.id.desc())
        .limit(_LOOKED_AT)
        .subquery()
    )
    seen: int = session.execute(
        select(func.count())
        .select_from(lately)
        .where(lately.c.outcome == Verdict.ACCEPTED.value)
        .where(lately.c.claimed_at.between(row.refused_at - _SECOND, row.refused_at))
    ).scalar_one()
    if not seen and row.ceiling is None:
        return None
    known = SHARE * seen
    rate: float = max(SLOWEST, known if row.ceiling is None else min(known, row.ceiling))
    session.execute(update(_CALLS).values(rate=rate))
    return rate


def _grown(rate: float, refused_at: datetime, at: datetime) -> float:
    """Give what a rate has grown to since its refusal; far beyond use, it stops growing."""
    minutes = max(timedelta(), at - refused_at - QUIET) / timedelta(minutes=1)
    growth: float = _GROWTH_A_MINUTE ** min(minutes, 100.0)
    return rate * min(growth, 2 * _FORGOTTEN)


def _read(session: Session) -> _Row | None:
    row = session.execute(_READ).one_or_none()
    return _Row(*row) if row else None
