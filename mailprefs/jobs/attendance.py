"""A process that sends says so, every few seconds, in a thread and in transactions of its own.

So whoever looks at a campaign that doesn't move learns whether anybody is there to move it. Before
the first sign of life, schedules are brought in line with today's rules of zones.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from mailprefs.campaigns import schedule
from mailprefs.db.database import Database
from mailprefs.deliveries import presence
from mailprefs.errors import StoreUnavailable

log = logging.getLogger("mailprefs.jobs.attendance")


class Attendance:
    """The signs of life of one process, from ``start`` to ``stop``."""

    def __init__(self, db: Database, owner: str, clock: Callable[[], datetime]) -> None:
        """Prepare them; *owner* names the process."""
        self._db = db
        self._owner = owner
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attendance", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and say so."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(presence.EVERY)

    def _run(self) -> None:
        works: Callable[[Session], None] = self._renew
        while not self._stopping.is_set():
            if self._does(works):
                works = self._seen
            self._stopping.wait(presence.EVERY)
        self._does(lambda session: presence.left(session, self._owner))

    def _does(self, work: Callable[[Session], None]) -> bool:
        """Write something if the database is there; whatever else it is, the thread lives on."""
        try:
            # A sign of life that a power cut takes back is given again.
            with self._db.transaction(durable=False) as session:
                work(session)
        except StoreUnavailable:
            return False
        except Exception as error:  # noqa: BLE001 - a sign of life must not stop the sending
            log.error("a sign of life failed: %s", type(error).__name__)  # noqa: TRY400 - an error's text may hold what no log may
            return False
        return True

    def _renew(self, session: Session) -> None:
        for campaign_id in schedule.renew(session, now=self._clock()):
            log.warning(
                "campaign %d begins at another instant: its zone's rules changed", campaign_id
            )
        self._seen(session)

    def _seen(self, session: Session) -> None:
        presence.seen(session, self._owner)
