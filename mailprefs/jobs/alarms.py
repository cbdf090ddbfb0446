"""Look for alarms every minute, and tell the operator; in every process, one of which does it.

What the database knows is looked at by whoever takes the minute's turn, each machine's own disk and
spool by every process there. All of it may be done twice without harm.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from mailprefs import machine
from mailprefs.addresses import AddressHasher
from mailprefs.alarms import conditions, facts, keeping, mailing, telling
from mailprefs.alarms.keeping import Changes, Channel
from mailprefs.db.database import Database
from mailprefs.db.turns import take_turn
from mailprefs.errors import Conflict, StoreUnavailable
from mailprefs.jobs import rounds
from mailprefs.machine import Machine
from mailprefs.settings import Settings

EVERY: Final = timedelta(minutes=1)
# A little less, so that a process which looks each minute never just misses its own turn.
_TURN: Final = timedelta(seconds=50)
_LONGEST_TELLING: Final = 30.0

log = logging.getLogger("mailprefs.alarms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the looking needs; ``see`` gives the machine's state, and a test passes its own."""

    db: Database
    settings: Settings
    hasher: AddressHasher
    clock: Callable[[], datetime]
    see: Callable[[Settings, dict[bytes, int]], Machine] = machine.look

    def run(self, stop: threading.Event) -> None:
        """Look every minute until *stop* is set; what goes wrong is told and tried again."""
        rounds.go(self.look, stop, every=EVERY, log=log, trouble="Alarms weren't looked for.")

    def look(self) -> None:
        """Look once: at this machine, and, if it is this process's turn, at the sending."""
        now = self.clock()
        with self.db.transaction() as session:
            is_ours = take_turn(session, keeping.TURN, every=_TURN, now=now)
        # Looking is reading: nobody who writes waits for it.
        with self.db.reading() as session:
            counted = facts.positions(session)
            known = facts.gather(session, self.settings, now=now) if is_ours else None
        sending = conditions.of_sending(known) if known else []
        seen = self.see(self.settings, counted)
        here = conditions.of_machine(seen, now)
        with self.db.transaction() as session:
            changes = [keeping.keep_machine(session, seen.name, here, now=now)]
            if is_ours:
                changes.append(keeping.keep_sending(session, sending, now=now))
        for one in changes:
            _log(one)
        if is_ours:
            self.tell(now)

    def tell(self, now: datetime) -> None:
        """Tell the operator what they weren't told yet: by MAILPREFS_ALARM_URL, and by mail."""
        self._post(now)
        with self.db.transaction() as session:
            try:
                self._mail(session, now)
            except Conflict as error:
                log.warning("The operator gets no mail of alarms. %s", error)

    def _post(self, now: datetime) -> None:
        """Post what is new, until one isn't taken: the next look tries again from there."""
        url = self.settings.alarm_url.get_secret_value()
        if not url:
            return
        with self.db.reading() as session:
            news = keeping.waiting(session, Channel.URL, now=now)
        ends = time.monotonic() + _LONGEST_TELLING
        for alarm in news:
            if time.monotonic() > ends or not telling.post(url, alarm):
                return
            with self.db.transaction() as session:
                keeping.mark(session, Channel.URL, alarm, now=now)

    def _mail(self, session: Session, now: datetime) -> None:
        settings = self.settings
        to, base_url = settings.alarm_mail, settings.base_url
        with session.begin_nested():
            mailing.queue(session, self.hasher, to, base_url=base_url, now=now)


def look_again(db: Database, settings: Settings, *, now: datetime) -> None:
    """Look at the sending at once, because somebody has just changed what an alarm is about.

    So nobody reads of what they have mended. Whom it is to be told is left to the next minute's
    look; so is all of it while the store is away, as what was changed is changed.
    """
    try:
        with db.reading() as session:
            seen = conditions.of_sending(facts.gather(session, settings, now=now))
        with db.transaction() as session:
            changes = keeping.keep_sending(session, seen, now=now)
    except StoreUnavailable:
        return
    _log(changes)


def _log(changes: Changes) -> None:
    for alarm in changes.raised:
        log.warning("alarm %s: %s", alarm.kind, alarm.sentence)
    for alarm in changes.cleared:
        log.warning("alarm %s is over: %s", alarm.kind, alarm.sentence)
