"""``/metrics`` in Prometheus' text format: how the sending stands, in numbers that name nobody.

Only for who brings MAILPREFS_METRICS_TOKEN; without one the page doesn't exist. An address can't be
the proof: behind a proxy on the same machine every visitor comes from that machine.
"""

import hmac
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from flask import Blueprint, Response, abort, request
from sqlalchemy import String, func, literal, select, type_coerce
from sqlalchemy.orm import Session

from mailprefs import machine
from mailprefs.alarms import facts, keeping
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.errors import StoreUnavailable
from mailprefs.machine import Machine
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, VendorPace
from mailprefs.schema.events import VendorEventRow
from mailprefs.schema.sending import Presence
from mailprefs.web.access import allowed_by
from mailprefs.web.current import here

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_WAITING: Final = (BatchState.PENDING, BatchState.SENDING, BatchState.UNKNOWN)

routes = Blueprint("metrics", __name__)


class Metric(NamedTuple):
    """One metric: its name, what it says, and its values by label."""

    name: str
    told: str
    values: Sequence[tuple[dict[str, str], float]]

    def lines(self) -> Iterator[str]:
        """Give it in Prometheus' text format."""
        yield f"# HELP mailprefs_{self.name} {self.told}"
        yield f"# TYPE mailprefs_{self.name} gauge"
        for labels, value in self.values:
            shown = ",".join(f'{word}="{_escaped(said)}"' for word, said in labels.items())
            yield f"mailprefs_{self.name}{f'{{{shown}}}' if shown else ''} {value:.15g}"


def _has_token() -> None:
    """Let through who has the token; to everybody else there is no such page."""
    wanted = here().settings.metrics_token.get_secret_value()
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    good = hmac.compare_digest(given.encode(), wanted.encode())
    if not wanted or scheme.lower() != "bearer" or not good:
        abort(404)


@routes.get("/metrics")
@allowed_by(_has_token)
def show() -> Response:
    """Give all metrics; while the database is away, those of the machine."""
    parts = here()
    counted: dict[bytes, int] = {}
    try:
        with parts.db.reading() as session:
            counted = facts.positions(session)
            found = list(_of_database(session, parts.clock()))
        found.append(_one("database_up", "1 while the database answers.", 1))
    except StoreUnavailable:
        found = [_one("database_up", "1 while the database answers.", 0)]
    found += _of_machine(machine.look(parts.settings, counted))
    told = "Pixel hits that this process refused since its start: the spool was full or failed."
    found.append(_one("pixel_hits_refused", told, parts.spool.refused))
    told = "Pixel hits that this process lost since its start, by an error."
    found.append(_one("pixel_hits_lost", told, parts.spool.lost))
    text = "\n".join(line for metric in found for line in metric.lines())
    return Response(f"{text}\n", content_type=CONTENT_TYPE)


def _of_database(session: Session, now: datetime) -> Iterator[Metric]:
    yield _alarms(session)
    pace = session.execute(
        select(VendorPace.stopped_at, VendorPace.opened_at, VendorPace.unclear)
    ).one_or_none()
    stopped, opened = (pace.stopped_at, pace.opened_at) if pace else (None, None)
    yield _one("sending_stopped", "1 while all sending is stopped.", stopped is not None)
    yield _one("breaker_open", "1 while the breaker is open.", opened is not None)
    yield _campaigns(session)
    yield _people(session)
    last = session.scalar(select(func.max(VendorEventRow.received_at)))
    if last is not None:
        told = "Seconds since the vendor's webhook told something."
        yield _one("webhook_age_seconds", told, (now - last).total_seconds())
    seen = session.scalar(select(func.max(Presence.seen_at)))
    if seen is not None:
        told = "Seconds since a process that sends was last seen."
        yield _one("worker_age_seconds", told, (now - seen).total_seconds())


def _alarms(session: Session) -> Metric:
    counts = dict.fromkeys((kind.value for kind in AlarmKind), 0)
    for alarm in keeping.open_now(session):
        counts[alarm.kind] = counts.get(alarm.kind, 0) + 1
    return Metric("alarms_open", "Open alarms by kind.", _by("kind", counts.items()))


def _campaigns(session: Session) -> Metric:
    rows = session.execute(
        select(Campaign.state, func.count())
        .where(Campaign.standing.is_(False))
        .group_by(Campaign.state)
    )
    counts = dict.fromkeys((state.value for state in CampaignState), 0)
    counts |= {state.value: n for state, n in rows}
    return Metric("campaigns", "Campaigns by state.", _by("state", counts.items()))


def _people(session: Session) -> Metric:
    """Count who waits, by the few batches that aren't at an end."""
    counts = dict.fromkeys((state.value for state in _WAITING), 0)
    for state in _WAITING:
        # One state at a time, spelled out: each has an index of its own few rows.
        spelled = literal(state.value, literal_execute=True)
        left = func.sum(Batch.n - Batch.own)
        waits = session.scalar(select(left).where(type_coerce(Batch.state, String) == spelled))
        counts[state.value] = waits or 0
    told = "People of frozen campaigns who are not at an end, by the state of their batch."
    return Metric("people_waiting", told, _by("state", counts.items()))


def _of_machine(seen: Machine) -> list[Metric]:
    free = [({"holds": disk.holds}, disk.free) for disk in seen.disks]
    total = [({"holds": disk.holds}, disk.total) for disk in seen.disks]
    return [
        Metric("disk_free_bytes", "Free bytes of the disks in use.", free),
        Metric("disk_bytes", "Size of the disks in use.", total),
        _one("spool_bytes", "Bytes in the pixel's spool.", seen.spool.used),
        _one("spool_limit_bytes", "Bytes that the pixel's spool may have.", seen.spool.most),
    ]


def _one(name: str, told: str, value: float) -> Metric:
    return Metric(name, told, [({}, value)])


def _by(label: str, counts: Iterable[tuple[str, int]]) -> list[tuple[dict[str, str], float]]:
    return [({label: word}, n) for word, n in counts]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
