"""The breaker: when nobody knows what became of calls, no more are made than it takes to find out.

An *unclear* answer (no answer in time, a broken connection, a 5xx) may have been an acceptance, so
each one costs a batch that is never sent again by itself. From the first one on, calls are made one
at a time and to a few people only, until one is accepted; others that are under way finish. After
``OPENS_AFTER`` unclear answers in a row, of whatever class and worker, the breaker is *open*: the
next such call, a *probe*, waits, longer each time. An accepted probe closes it.

So an outage of whatever length costs at most the batches that were in flight when it began, and the
probes. All of it is in the one row of ``vendor_pace``: a claim that finds an unclear answer there
locks the row and goes by what it then reads. While all is well that costs no statement.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from mailprefs import audit, times
from mailprefs.db import dialects
from mailprefs.deliveries.pace import Wait
from mailprefs.schema.deliveries import VendorPace

OPENS_AFTER: Final = 3
"""Unclear answers in a row after which nothing but probes is claimed."""
PROBE_SIZE: Final = 10
"""People of a probe, at most: that many are unknown if it is unclear, too."""
FIRST: Final = 5.0
"""Seconds from the opening to the first probe, unless a setting says otherwise."""
LONGEST: Final = 300.0
"""Seconds between two probes at most, before they are spread."""
_MOST_DOUBLINGS: Final = 16
_SPREAD: Final = 0.25
_SUBJECT: Final = ("vendor", "breaker")
_TABLE: Final[Table] = VendorPace.metadata.tables[VendorPace.__tablename__]
_COLUMNS: Final = (
    _TABLE.c.unclear,
    _TABLE.c.opened_at,
    _TABLE.c.probe_at,
    _TABLE.c.probing_id,
    _TABLE.c.probes,
)


class Breaker(NamedTuple):
    """How the breaker stands.

    *unclear* answers came in a row; *open_since* is None while it is closed. No probe begins before
    *next_probe* (None: at once); where *is_probing* tells that one is under way, that is the time
    at which it is given up. *probes* were made since the breaker opened. *is_due* tells that an
    open one lets the next claim through as a probe, if only there is something to claim.
    """

    open_since: datetime | None
    unclear: int
    next_probe: datetime | None
    is_probing: bool
    probes: int
    is_due: bool = False

    @property
    def sentence(self) -> str | None:
        """Say that the breaker is open, since when, and what happens next; None if it isn't."""
        if self.open_since is None:
            return None
        then = "one of these calls is under way"
        if self.is_due:
            then = "the next message tries it"
        elif not self.is_probing and self.next_probe is not None:
            then = f"the next try is at {times.written(self.next_probe, seconds=True)}"
        return (
            f"The vendor has answered nothing clear since {times.written(self.open_since)} "
            f"({self.unclear:,} calls in a row), so sending waits and is tried with at most "
            f"{PROBE_SIZE} people at a time; {then}."
        )


class _Row(NamedTuple):
    unclear: int
    opened_at: datetime | None
    probe_at: datetime | None
    probing_id: int | None
    probes: int


def show(session: Session) -> Breaker:
    """Tell how the breaker stands."""
    row = session.execute(select(*_COLUMNS)).one_or_none()
    known = _Row(*row) if row else _Row(0, None, None, None, 0)
    is_due = known.opened_at is not None and known.probe_at is None
    if known.opened_at is not None and known.probe_at is not None:
        # So, too, where a probe is past its lease: its worker is lost, and it is given up.
        is_due = known.probe_at <= dialects.database_time(session)
    return Breaker(
        known.opened_at,
        known.unclear,
        known.probe_at,
        known.probing_id is not None,
        known.probes,
        is_due,
    )


def room(session: Session, at: datetime) -> int | Wait | None:
    """Ask how many people a claim at *at* may have after an unclear answer; None: any number.

    The row stays locked to the end of the transaction, so that there is one probe at a time.
    """
    row = _locked(session)
    if not row.unclear:
        return None
    if row.probe_at is not None and row.probe_at > at:
        return Wait((row.probe_at - at).total_seconds())
    return PROBE_SIZE


def began(session: Session, hand_over_id: int, *, until: datetime) -> None:
    """Write down that a probe was claimed; *until* then it is waited for, and no other begins."""
    _change(session, probing_id=hand_over_id, probe_at=until, probes=_TABLE.c.probes + 1)


def unclear(session: Session, hand_over_id: int, *, first_after: float) -> None:
    """Count an unclear answer to a call; the third in a row opens the breaker.

    *first_after* is after how many seconds the first probe is made.
    """
    row = _locked(session)
    at = dialects.database_time(session)
    values: dict[str, object] = {"unclear": row.unclear + 1}
    opens = row.opened_at is None and row.unclear + 1 >= OPENS_AFTER
    if opens:
        values |= {"opened_at": at, "probes": 0}
        audit.record(session, audit.SYSTEM, "sending.breaker_opened", _SUBJECT, now=at)
    is_probe = row.probing_id == hand_over_id
    if is_probe:
        values |= {"probing_id": None, "probe_at": None}
    if opens and (is_probe or row.probing_id is None):
        values["probe_at"] = at + _after(0, first_after)
    elif is_probe and row.opened_at is not None:
        values["probe_at"] = at + _after(row.probes, first_after)
    _change(session, **values)


def undecided(session: Session, hand_over_id: int, *, first_after: float) -> None:
    """Let another probe be made: this one was refused, which tells nothing for sure."""
    row = _locked(session)
    if row.probing_id == hand_over_id:
        later = None
        if row.opened_at is not None:
            later = dialects.database_time(session) + _after(0, first_after)
        _change(session, probing_id=None, probe_at=later)


def close(session: Session) -> None:
    """Let everything go on: a probe was accepted."""
    row = _locked(session)
    if row.opened_at is not None:
        audit.record(
            session,
            audit.SYSTEM,
            "sending.breaker_closed",
            _SUBJECT,
            now=dialects.database_time(session),
            details={"open_since": row.opened_at.isoformat(), "probes": row.probes},
        )
    _change(session, unclear=0, opened_at=None, probe_at=None, probing_id=None, probes=0)


def _after(doublings: int, first_after: float) -> timedelta:
    """Give how long to wait for the next probe, spread so that hosts don't fall into step."""
    growing = min(first_after * 2.0 ** min(doublings, _MOST_DOUBLINGS), LONGEST)
    return timedelta(seconds=growing * (1 + _SPREAD * secrets.randbelow(1_000) / 1_000))


def _locked(session: Session) -> _Row:
    """Give the row, which the claim before every answer has made, locked."""
    return _Row(*session.execute(select(*_COLUMNS).with_for_update()).one())


def _change(session: Session, **values: object) -> None:
    session.execute(update(_TABLE).values(**values))
