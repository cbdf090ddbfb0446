"""What is known of deliveries whose pixel was fetched: one statement for all of it.

A delivery that was handed over with mode individual has a row in ``measured``. Whoever said no by
now, or is erased, is not in the answer and leaves no trace: with the gate held, nobody can say so
until what is made of the answer is committed.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.opens.judging import HandedOver, Known, Request
from mailprefs.opens.periods import Period
from mailprefs.policy import Choice
from mailprefs.schema.deliveries import LOST, BatchState

# One statement, and one document of all rows. SQLite's driver lets other threads have the
# interpreter after each row, and each time may wait for it, with the writer lock held;
# PostgreSQL's reads each value in Python. CROSS JOIN keeps SQLite's order of tables.
_EVERYTHING: Final = """
    SELECT
        (SELECT {rows}({row}(c.id, c.report_zone, c.first_hand_over_at))
            FROM {campaigns} JOIN campaigns c ON c.id = w.value WHERE c.closed_at IS NULL),
        (SELECT {rows}({row}(p.effective_from, p.id)) FROM policy_versions p),
        (SELECT {rows}({row}(
            m.delivery_id, m.bits, r.id, r.apple_seen_on,
            (SELECT coalesce(sum(1 << o.kind), 0) FROM opens o
                WHERE o.delivery_id = m.delivery_id),
            f.occurred_at))
        FROM {deliveries}
        CROSS JOIN measured m
        CROSS JOIN deliveries d
        CROSS JOIN recipients r
        LEFT JOIN silenced_deliveries s ON s.delivery_id = m.delivery_id
        LEFT JOIN mailbox_facts f ON f.delivery_id = m.delivery_id AND f.event = 'delivered'
        WHERE m.delivery_id = w.value AND s.delivery_id IS NULL
            AND d.id = m.delivery_id AND r.id = d.recipient_id
            AND r.open_tracking NOT IN ({noes}))"""
_NOES: Final = ", ".join(f"'{choice.value}'" for choice in Choice if choice.is_no)
_SQLITE: Final = _EVERYTHING.format(
    rows="json_group_array",
    row="json_array",
    campaigns="json_each(?) w",
    deliveries="json_each(?) w",
    noes=_NOES,
)
_POSTGRESQL: Final = _EVERYTHING.format(
    rows="json_agg",
    row="json_build_array",
    campaigns="unnest(%s::integer[]) AS w(value)",
    deliveries="unnest(%s::bigint[]) AS w(value)",
    noes=_NOES,
)

# A lost worker's hand-over is ended by whoever notices: that says nothing of its request.
_BATCH: Final = """
    SELECT DISTINCT b.first_id, b.last_id, b.state,
        h.claimed_at, CASE WHEN h.reason = '{lost}' THEN NULL ELSE h.ended_at END,
        earlier.claimed_at,
        CASE WHEN earlier.reason = '{lost}' THEN NULL ELSE earlier.ended_at END
    FROM {ids}
    JOIN batches b ON b.id = (
        SELECT one.id FROM batches one
        WHERE one.campaign_id = w.value >> 32 AND one.first_id <= w.value
        ORDER BY one.first_id DESC LIMIT 1)
    LEFT JOIN hand_overs h ON h.id = b.hand_over_id
    LEFT JOIN hand_overs earlier ON earlier.id = h.after_id"""
_BATCH_SQLITE: Final = _BATCH.format(ids="json_each(?) w", lost=LOST)
_BATCH_POSTGRESQL: Final = _BATCH.format(ids="unnest(%s::bigint[]) AS w(value)", lost=LOST)
_MOST_BATCHES: Final = 100_000
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)

_Batch = tuple[int, int, HandedOver | None]
"""First and last id of a batch, and when its message went to the vendor."""


class Calls:
    """When deliveries were handed over; remembers what doesn't change any more.

    A sent batch never goes again, so of each campaign that is being opened one look is enough.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._sent: list[_Batch] = []
        self._firsts: list[int] = []

    def of(self, session: Session, ids: Sequence[int]) -> list[HandedOver | None]:
        """Give when each of these deliveries was handed over."""
        batches = [_covering(self._sent, self._firsts, one) for one in ids]
        missing = [one for one, batch in zip(ids, batches, strict=True) if batch is None]
        if missing:
            found = sorted(self._look_up(session, missing), key=itemgetter(0))
            firsts = [batch[0] for batch in found]
            batches = [
                batch or _covering(found, firsts, one)
                for one, batch in zip(ids, batches, strict=True)
            ]
        return [batch[2] if batch else None for batch in batches]

    def _look_up(self, session: Session, ids: Sequence[int]) -> list[_Batch]:
        """Give the batches that deliveries are in; keep those that are sent."""
        found: list[_Batch] = []
        sent: list[_Batch] = []
        for row in _rows(session, _BATCH_SQLITE, _BATCH_POSTGRESQL, ids):
            first_id, last_id, state, begin, end, first_begin, first_end = row
            request = _request(begin, end)
            first = _request(first_begin, first_end)
            batch = (first_id, last_id, HandedOver(request, first) if request else None)
            found.append(batch)
            if state == BatchState.SENT and end is not None:
                sent.append(batch)
        if len(self._sent) > _MOST_BATCHES:
            self._sent.clear()
        self._sent = sorted([*self._sent, *sent], key=itemgetter(0))
        self._firsts = [batch[0] for batch in self._sent]
        return found


class Told(NamedTuple):
    """All that a batch is judged by: campaigns that aren't closed, policies, deliveries."""

    periods: dict[int, Period]
    policies: list[tuple[datetime, int]]
    deliveries: dict[int, Known]


def read(
    session: Session, campaigns: Iterable[int], deliveries: Iterable[int], calls: Calls
) -> Told:
    """Give what is known of campaigns and deliveries, of those that may be measured."""
    ((running, policies, rows),) = _rows(session, _SQLITE, _POSTGRESQL, campaigns, deliveries)
    periods = {
        campaign_id: Period.of(zone, _time(begun))
        for campaign_id, zone, begun in _document(running)
    }
    measured = [row for row in _document(rows) if row[0] >> 32 in periods]
    handed_over = calls.of(session, [row[0] for row in measured])
    return Told(
        periods,
        sorted((_time(begun) or _BEGINNING, one) for begun, one in _document(policies)),
        {
            row[0]: Known(row[1], row[4], row[2], _date(row[3]), _time(row[5]), call)
            for row, call in zip(measured, handed_over, strict=True)
        },
    )


def _rows(
    session: Session, sqlite: str, postgresql: str, *ids: Iterable[int]
) -> Sequence[Sequence[Any]]:
    is_sqlite = dialects.is_sqlite(session)
    listed = (",".join(map(str, some)) for some in ids)
    given = tuple(f"[{one}]" if is_sqlite else f"{{{one}}}" for one in listed)
    statement = sqlite if is_sqlite else postgresql
    return session.connection().exec_driver_sql(statement, given).cursor.fetchall()


def _document(told: str | list[Any] | None) -> list[Any]:
    """Read rows as the driver gives them: a text, or, of PostgreSQL, lists; None: no row."""
    return json.loads(told) if isinstance(told, str) else told or []


def _covering(batches: Sequence[_Batch], firsts: Sequence[int], delivery_id: int) -> _Batch | None:
    """Give the batch that a delivery is in, of batches in the order of their first ids."""
    place = bisect_right(firsts, delivery_id) - 1
    return batches[place] if place >= 0 and delivery_id <= batches[place][1] else None


def _request(begin: str | datetime | None, end: str | datetime | None) -> Request | None:
    begun_at = _time(begin)
    return None if begun_at is None else Request(begun_at, _time(end))


def _time(told: str | datetime | None) -> datetime | None:
    """Read a time as the database tells it; always in UTC, which SQLite doesn't say."""
    return _read(told) if isinstance(told, str) else told


@lru_cache(maxsize=8_192)
def _read(told: str) -> datetime:
    return datetime.fromisoformat(told).replace(tzinfo=UTC)


@lru_cache
def _date(told: str | None) -> date | None:
    """Read a day as the database tells it."""
    return None if told is None else date.fromisoformat(told)
