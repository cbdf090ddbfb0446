"""What is known of deliveries whose pixel was fetched: one statement for all of it.

Times are microseconds since 1970 UTC (``periods``).

A delivery that was handed over with mode individual has a row in ``measured``. Whoever said no by
now, or is erased, is not in the answer and leaves no trace: with the gate held, nobody can say so
until what is made of the answer is committed.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.opens.judging import HandedOver, Known, Policies, Request
from mailprefs.opens.periods import Period, micros
from mailprefs.policy import Choice
from mailprefs.schema.deliveries import LOST, BatchState

# One statement, and one document of all rows. SQLite's driver lets other threads have the
# interpreter after each row, and each time may wait for it, with the writer lock held. PostgreSQL's
# makes an object of each value, so there the rows come as bytes: a third of the time, both sides
# together. CROSS JOIN keeps SQLite's order of tables.
_EVERYTHING: Final = """
    SELECT
        (SELECT {rows}({row}(c.id, c.report_zone, c.first_hand_over_at))
            FROM {campaigns} JOIN campaigns c ON c.id = w.value WHERE c.closed_at IS NULL),
        (SELECT {rows}({row}(p.effective_from, p.id)) FROM policy_versions p
            WHERE p.state = 'settled'),
        (SELECT {known}
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
_KINDS: Final = (
    "(SELECT coalesce(sum(1 << o.kind), 0) FROM opens o WHERE o.delivery_id = m.delivery_id)"
)
_SQLITE: Final = _EVERYTHING.format(
    rows="json_group_array",
    row="json_array",
    campaigns="json_each(?) w",
    known=f"""json_group_array(json_array(
            m.delivery_id, m.bits, {_KINDS}, r.id, r.apple_seen_on, f.occurred_at))""",
    deliveries="json_each(?) w",
    noes=_NOES,
)
_POSTGRESQL: Final = _EVERYTHING.format(
    rows="json_agg",
    row="json_build_array",
    campaigns="unnest(%s::integer[]) AS w(value)",
    known=f"""string_agg(int8send(m.delivery_id) || int2send(m.bits) || int8send({_KINDS})
            || int8send(r.id) || date_send(coalesce(r.apple_seen_on, '-infinity'))
            || timestamptz_send(coalesce(f.occurred_at, '-infinity')), '')""",
    deliveries="unnest(%s::bigint[]) AS w(value)",
    noes=_NOES,
)
_KNOWN: Final = Struct(">qhqqiq")
_NEVER: Final = -(1 << 63)
_NO_DAY: Final = -(1 << 31)
_POSTGRESQL_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SINCE_2000: Final = micros(_POSTGRESQL_EPOCH)

# A lost worker's hand-over is ended by whoever notices: that says nothing of its request.
_BATCH: Final = """
    SELECT DISTINCT b.first_id, b.last_id, b.state,
        h.claimed_at, CASE WHEN h.reason = '{lost}' THEN NULL ELSE h.ended_at END,
        earlier.claimed_at,
        CASE WHEN earlier.reason = '{lost}' THEN NULL ELSE earlier.ended_at END
    FROM {batches}
    LEFT JOIN hand_overs h ON h.id = b.hand_over_id
    LEFT JOIN hand_overs earlier ON earlier.id = h.after_id"""
_NEAREST: Final = """
        FROM batches one WHERE one.campaign_id = w.value >> 32 AND one.first_id <= w.value
        ORDER BY one.first_id DESC LIMIT 1"""
_BATCH_SQLITE: Final = _BATCH.format(
    batches=f"json_each(?) w JOIN batches b ON b.id = (SELECT one.id {_NEAREST})", lost=LOST
)
_BATCH_POSTGRESQL: Final = _BATCH.format(
    batches=f"unnest(%s::bigint[]) AS w(value) CROSS JOIN LATERAL (SELECT one.* {_NEAREST}) b",
    lost=LOST,
)
_MOST_BATCHES: Final = 100_000
_NEIGHBOURS: Final = 32
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)

_Batch = tuple[int, int, HandedOver | None]
"""First and last id of a batch, and when its message went to the vendor."""
_Row = tuple[int, int, int, int, date | None, int | None]
"""Delivery, bits, kinds, recipient, when Apple's proxy was last seen, when it was delivered."""


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
        batches = _covering(self._sent, self._firsts, ids)
        # Neighbours are mostly in one batch: a few of them tell of the others.
        for step in (_NEIGHBOURS, 1):
            missing = [one for one, batch in zip(ids, batches, strict=True) if batch is None]
            if not missing:
                break
            found = sorted(self._look_up(session, missing[::step]), key=itemgetter(0))
            others = _covering(found, [batch[0] for batch in found], ids)
            batches = [one or other for one, other in zip(batches, others, strict=True)]
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
    policies: Policies
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
    listed = [row for row in _known(rows) if row[0] >> 32 in periods]
    handed_over = calls.of(session, [row[0] for row in listed])
    return Told(
        periods,
        Policies.of(sorted((_begin(begun), one) for begun, one in _document(policies))),
        {
            one: Known(bits, kinds, recipient_id, seen_on, delivered_at, call)
            for (one, bits, kinds, recipient_id, seen_on, delivered_at), call in zip(
                listed, handed_over, strict=True
            )
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


def _known(told: str | bytes | None) -> list[_Row]:
    """Read what is known of deliveries: SQLite's document, or PostgreSQL's bytes."""
    if told is None:
        return []
    if isinstance(told, str):
        return [
            (one, bits, kinds, recipient_id, _date(seen_on), _time(delivered_at))
            for one, bits, kinds, recipient_id, seen_on, delivered_at in json.loads(told)
        ]
    return [
        (one, bits, kinds, recipient_id, _day(days), None if at == _NEVER else at + _SINCE_2000)
        for one, bits, kinds, recipient_id, days, at in _KNOWN.iter_unpack(told)
    ]


def _covering(
    batches: Sequence[_Batch], firsts: Sequence[int], ids: Iterable[int]
) -> list[_Batch | None]:
    """Give the batch that each delivery is in, of batches in the order of their first ids."""
    found: list[_Batch | None] = []
    batch: _Batch | None = None
    for one in ids:
        # Neighbours are in the same batch.
        if batch is None or not batch[0] <= one <= batch[1]:
            place = bisect_right(firsts, one) - 1
            batch = batches[place] if place >= 0 and one <= batches[place][1] else None
        found.append(batch)
    return found


def _request(begin: str | datetime | None, end: str | datetime | None) -> Request | None:
    begun_at = _time(begin)
    return None if begun_at is None else Request(begun_at, _time(end))


def _begin(told: str | None) -> datetime:
    """Give when something began that may have been there always."""
    return _BEGINNING if told is None else _read(told)


def _time(told: str | datetime | None) -> int | None:
    """Read a time as the database tells it."""
    if told is None:
        return None
    return _micros(told) if isinstance(told, str) else micros(told)


@lru_cache(maxsize=8_192)
def _micros(told: str) -> int:
    return micros(_read(told))


def _read(told: str) -> datetime:
    """Read a time; always in UTC, which SQLite doesn't say."""
    return datetime.fromisoformat(told).replace(tzinfo=UTC)


@lru_cache
def _date(told: str | None) -> date | None:
    """Read a day as SQLite tells it."""
    return None if told is None else date.fromisoformat(told)


@lru_cache
def _day(days: int) -> date | None:
    """Read a day as PostgreSQL tells it, in days since the year 2000."""
    return None if days == _NO_DAY else (_POSTGRESQL_EPOCH + timedelta(days)).date()
