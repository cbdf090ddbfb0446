"""Apply the rules: each night by one process of all, or at once."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailprefs import periods
from mailprefs.db.database import Database
from mailprefs.db.turns import take_turn
from mailprefs.jobs import rounds
from mailprefs.jobs.retention import stepping
from mailprefs.jobs.retention.rules import RULES
from mailprefs.periods import Period

HOUR: Final = 4
"""From this hour on, in the installation's zone, a night's run is due."""
TURN: Final = "retention"

log = logging.getLogger("mailprefs.retention")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The rules on one installation; *zone* says when it is night, *clock* what time it is."""

    db: Database
    zone: str
    clock: Callable[[], datetime]
    periods: Mapping[str, Period] = field(default_factory=periods.usual)

    def run(self, stop: threading.Event) -> None:
        """Apply the rules each night until *stop* is set; what goes wrong is tried the next."""
        trouble = "What is too old is deleted later."
        rounds.each_night(lambda: self.tonight(stop), stop, log=log, trouble=trouble)

    def tonight(self, stop: threading.Event | None = None) -> dict[str, int] | None:
        """Apply the rules if that is due and nobody else does; None if not."""
        now = self.clock()
        if not rounds.is_night(now, self.zone, hour=HOUR):
            return None
        with self.db.transaction() as session:
            if not take_turn(session, TURN, every=rounds.NIGHT, now=now):
                return None
        return self.now(stop)

    def now(self, stop: threading.Event | None = None, *, dry_run: bool = False) -> dict[str, int]:
        """Apply every rule; give how many rows each changed. Ends early when *stop* is set.

        A dry run changes nothing, and gives how many rows a run would change now, rule by rule.
        """
        now = self.clock()
        changed = dict.fromkeys((rule.name for rule in RULES), 0)
        for rule in RULES:
            before = self.periods[rule.name].before(now)
            steps = stepping.take(self.db, rule.way, before, dry_run=dry_run, stop=stop)
            changed[rule.name] = sum(steps)
            if stop is not None and stop.is_set():
                return changed
        if not dry_run:
            log.info("Retention changed rows: %s", changed)
        return changed
