"""One process of the import benchmark: the import itself, or people who come while it runs.

import_child.py import URL FILE     prints seconds, peak memory and counts as JSON
import_child.py visit URL           leaves and looks until standard input ends; prints waits
"""

import json
import random
import resource
import select as waiting
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import func, select

from benchmarks.measure.installation import HASHER, TOPIC
from mailprefs import preferences, subscriptions
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import run
from mailprefs.policy import Source
from mailprefs.schema.people import Recipient

_PAUSE_SECONDS = 0.02


def import_people(url: str, path: Path) -> dict[str, Any]:
    """Import *path*; measure the import alone, and the memory of this whole process."""
    db = Database(url)
    order = ImportOrder(
        topic=TOPIC,
        source="Box on the order form, not ticked beforehand, since 2024",
        mapping={"Tarif": "plan", "Kundennummer": "customer"},
    )
    began = perf_counter()
    result = run(db, path, order, hasher=HASHER, actor=CONSOLE, clock=_now)
    seconds = perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak_mb, "counts": result.counts.document()}


def visit(url: str) -> dict[str, list[float]]:
    """Leave as one person, look as another, every few milliseconds; give the waits in ms."""
    db = Database(url)
    draw = random.Random(7)
    waits: dict[str, list[float]] = {"opt_out": [], "page": []}
    while not waiting.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
        with db.reading() as session:
            newest = session.scalar(select(func.max(Recipient.id))) or 0
        if not newest:
            continue
        for name, visited in (("opt_out", _leave), ("page", _look)):
            began = perf_counter()
            visited(db, draw.randint(1, newest))
            waits[name].append((perf_counter() - began) * 1_000)
    return waits


def _leave(db: Database, recipient_id: int) -> None:
    with db.transaction(Gate.TAKING) as session:
        door = preferences.Door(Source.ONE_CLICK, "post_one_click")
        preferences.opt_out_all(session, recipient_id, door, now=_now())


def _look(db: Database, recipient_id: int) -> None:
    with db.reading() as session:
        session.get_one(Recipient, recipient_id)
        subscriptions.standings(session, recipient_id)
        subscriptions.topics(session)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    role, at = sys.argv[1:3]
    print(json.dumps(visit(at) if role == "visit" else import_people(at, Path(sys.argv[3]))))
