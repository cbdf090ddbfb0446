"""Check the consent ledger each night, and write down where it ends; in one process of all.

A few thousand entries at a time, each on a view of its own, so that nobody who writes waits and
memory stays flat. How far it is stands in ``ledger_checks``: what broke off goes on from there. A
ledger that doesn't hold is an alarm, until a whole check finds it good again.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailprefs.consent import checking
from mailprefs.consent.entries import GENESIS, Head
from mailprefs.consent.heads import Seal, SignedHead
from mailprefs.db import dialects
from mailprefs.db.database import Database
from mailprefs.errors import BadFile, LedgerBroken
from mailprefs.jobs import rounds
from mailprefs.schema.choices import LedgerCheck

HOUR: Final = 4
"""From this hour on, in the installation's zone, a night's check is due."""
AGAIN_AFTER: Final = timedelta(minutes=5)
"""A check of which nothing was heard for so long broke off, and somebody else goes on with it."""

log = logging.getLogger("mailprefs.ledger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nightly:
    """What the check needs; *heads* is the file of kept heads, *zone* says when it is night."""

    db: Database
    seal: Seal
    heads: Path | None
    zone: str
    clock: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Check each night until *stop* is set; what goes wrong is told and tried again."""
        trouble = "The consent ledger is checked later."
        rounds.each_night(lambda: self.tonight(stop), stop, log=log, trouble=trouble)

    def tonight(self, stop: threading.Event | None = None) -> int | None:
        """Check if that is due and nobody else does; give how many entries hold, None if none."""
        now = self.clock()
        is_night = rounds.is_night(now, self.zone, hour=HOUR)
        with self.db.transaction() as session:
            at = _take(session, now, begins=is_night)
        return None if at is None else self._check(at, stop)

    def _check(self, at: Head, stop: threading.Event | None) -> int | None:
        """Go on after *at* to the end, and write that down; what is found wrong is an alarm."""
        try:
            kept = checking.by_seq(read_heads(self.heads, self.seal))
            is_end = False
            while not is_end:
                with self.db.reading() as session:
                    at, is_end = checking.go_on(session, at, kept)
                with self.db.transaction(durable=False) as session:
                    _note(session, seq=at.seq, entry_hash=at.entry_hash, seen_at=self.clock())
                if stop is not None and stop.is_set():
                    return None
        except (LedgerBroken, BadFile) as broken:
            self._end(str(broken))
            log.error("%s", broken)  # noqa: TRY400 - the sentence says it all
            return None
        self._end(None)
        self._keep(self.seal.sign(at, self.clock()))
        return at.seq

    def _end(self, sentence: str | None) -> None:
        now = self.clock()
        with self.db.transaction() as session:
            since = None
            if sentence is not None:
                found = session.get(LedgerCheck, 1)
                since = (found.broken_since if found else None) or now
            _note(session, seen_at=now, ended_at=now, sentence=sentence, broken_since=since)

    def _keep(self, head: SignedHead) -> None:
        log.info("The head of the consent ledger: %s", head.line())
        if self.heads is not None:
            append_head(self.heads, head)


def read_heads(file: Path | None, seal: Seal) -> list[Head]:
    """Give the heads that a file keeps; none where none was ever written.

    :raises BadFile: for a file that can't be read, or a line that isn't a head of ours.
    """
    if file is None or not file.exists():
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{file.name} can't be read: {type(error).__name__}.") from error
    return seal.read(lines, where=file.name)


def append_head(file: Path, head: SignedHead) -> None:
    """Append one line, which is on disk when this returns; nothing in the file is ever changed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    place = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(place, f"{head.line()}\n".encode())
        os.fsync(place)
    finally:
        os.close(place)


def _take(session: Session, now: datetime, *, begins: bool) -> Head | None:
    """Take the check if it is to be had: one that broke off, or, if it *begins* now, a new one.

    Gives the entry to go on after.
    """
    first = dialects.insert(session, LedgerCheck).values(
        id=1,
        begun_at=now - rounds.NIGHT,
        seen_at=now - rounds.NIGHT,
        ended_at=now - rounds.NIGHT,
        seq=GENESIS.seq,
        entry_hash=GENESIS.entry_hash,
    )
    session.execute(first.on_conflict_do_nothing())
    check = session.get_one(LedgerCheck, 1, with_for_update=True)
    if check.ended_at is None:
        if now - check.seen_at < AGAIN_AFTER:
            return None
        check.seen_at = now
        return Head(check.seq, check.entry_hash)
    if not begins or now - check.begun_at < rounds.NIGHT:
        return None
    check.begun_at = check.seen_at = now
    check.ended_at = None
    check.seq, check.entry_hash = GENESIS
    return GENESIS


def _note(session: Session, **columns: object) -> None:
    session.execute(update(LedgerCheck).where(LedgerCheck.id == 1).values(columns))
