"""What policy versions bring about by themselves: their dates, and the end of earlier consent."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailprefs.db.database import Database, Gate
from mailprefs.jobs import rounds
from mailprefs.notices import publishing
from mailprefs.policy import TrackingBasis
from mailprefs.preferences import lapsing
from mailprefs.preferences.lapsing import Lapse

LOOK_EVERY: Final = timedelta(seconds=20)

log = logging.getLogger("mailprefs.policies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The versions of one installation; *unknown_region_basis* is the setting of that name."""

    db: Database
    unknown_region_basis: TrackingBasis
    clock: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Look now and then until *stop* is set; what goes wrong is tried again."""
        trouble = "What a policy version brings about happens later."
        rounds.go(lambda: self.now(stop), stop, every=LOOK_EVERY, log=log, trouble=trouble)

    def now(self, stop: threading.Event | None = None) -> int:
        """Do what is due; give how many answers ended. Ends early when *stop* is set."""
        now = self.clock()
        with self.db.reading() as session:
            any_to_settle = publishing.any_to_settle(session)
        if any_to_settle:
            with self.db.transaction() as session:
                for name in publishing.settle(session, now=now):
                    log.info("The date of policy version %s holds.", name)
        with self.db.reading() as session:
            due = lapsing.due(session, now=now)
        return sum(self._end(lapse, now, stop or threading.Event()) for lapse in due)

    def _end(self, lapse: Lapse, now: datetime, stop: threading.Event) -> int:
        """End one purpose's earlier consent, slice by slice."""
        ended = 0
        while not stop.is_set():
            with self.db.reading() as session:
                ids = lapsing.next_people(session, lapse)
            with self.db.transaction(Gate.TAKING) as session:
                ended += lapsing.end(
                    session, lapse, ids, unknown_region_basis=self.unknown_region_basis, now=now
                )
            if not ids:
                log.info("Earlier consent to %s ended for %d people.", lapse.purpose, ended)
                break
            lapse = lapse._replace(done_to=ids[-1])
        return ended
