"""The threads beside the web: sending, opens, released numbers, alarms, lists, erasing, tidying."""

import logging
import threading
from typing import Final

from mailprefs.app.joining import (
    comparison,
    erasures,
    guard,
    ledger_check,
    numbers,
    policies,
    retention,
)
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs.alarms import Watch
from mailprefs.jobs.dispatch import Office, Workers
from mailprefs.jobs.ingest import Ingest
from mailprefs.web.parts import Parts

CHECKPOINT_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 30.0
_HASTY_SECONDS: Final = 1.0

log = logging.getLogger("mailprefs.app")


class Background:
    """The jobs of one process, from ``start`` to ``stop``; both may be called twice."""

    def __init__(self, parts: Parts, *, sends: bool) -> None:
        """Prepare the threads; *sends* says whether this process also hands campaigns over."""
        self._parts = parts
        self._sends = sends
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._workers: Workers | None = None

    def start(self) -> None:
        """Begin, unless begun already."""
        if self._threads:
            return
        self._stop.clear()
        parts = self._parts
        ingest = Ingest(parts.db, parts.settings.spool_dir, parts.clock)
        watch = Watch(db=parts.db, settings=parts.settings, hasher=parts.hasher, clock=parts.clock)
        jobs = {
            "ingest": lambda: ingest.run(self._stop),
            "tidy": self._tidy,
            "alarms": lambda: watch.run(self._stop),
            "numbers": lambda: numbers(parts).run(self._stop),
            "erasures": lambda: erasures(parts).run(self._stop),
            "ledger": lambda: ledger_check(parts).run(self._stop),
            "retention": lambda: retention(parts).run(self._stop),
            "policies": lambda: policies(parts).run(self._stop),
        }
        compare = comparison(parts)
        if compare is not None:
            jobs["lists"] = lambda: compare.run(self._stop)
        self._threads = [
            threading.Thread(target=job, name=name, daemon=True) for name, job in jobs.items()
        ]
        for thread in self._threads:
            thread.start()
        if self._sends:
            office = Office(
                db=parts.db,
                vendor=parts.vendor,
                links=parts.links,
                settings=parts.settings,
                clock=parts.clock,
                guard=guard(parts),
            )
            self._workers = Workers(office)
            self._workers.start()

    def stop(self, *, hasten: threading.Event | None = None) -> int:
        """End: what is under way is brought to its end first, unless *hasten* is set.

        Calls to the vendor have the time that a call may take, all else half a minute. Gives how
        many calls were left in flight.
        """
        self._stop.set()
        left = 0
        if self._workers is not None:
            left = self._workers.stop(hasten=hasten)
            self._workers = None
        for thread in self._threads:
            thread.join(_HASTY_SECONDS if hasten and hasten.is_set() else _STOP_SECONDS)
        self._threads = []
        self._parts.spool.close()
        return left

    def _tidy(self) -> None:
        """Keep SQLite's write-ahead log short, and tell of pixel hits that could not be kept."""
        refused = 0
        while not self._stop.wait(CHECKPOINT_SECONDS):
            try:
                self._parts.db.checkpoint()
            except StoreUnavailable as error:
                log.warning("%s", error)
            if self._parts.spool.refused > refused:
                lost, refused = self._parts.spool.refused - refused, self._parts.spool.refused
                log.error("%d pixel hits could not be kept: the spool is full or fails.", lost)
