"""What is kept for so long and no longer: every rule once, applied each night, or at once.

A rule works in slices, each a transaction of its own that takes a few milliseconds. What broke off
half-way, whoever killed it, is found again by looking at what there is: a second run leaves the
same as one that went through, and a third changes nothing. Sums are never touched.
"""

import logging
import threading
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.database import Database
from mailprefs.db.turns import take_turn
from mailprefs.deliveries.people import APPLE_DAYS
from mailprefs.jobs import rounds
from mailprefs.opens import ageing
from mailprefs.opens.ageing import Step
from mailprefs.opens.judging import MAY_BE_TOLD
from mailprefs.schema.opens import SpoolPosition
from mailprefs.schema.people import Recipient

DETAILS_DAYS: Final = 30
EVIDENCE_MONTHS: Final = 13
POSITION_DAYS: Final = 100
"""Longer than any campaign is recorded: by then no hit before the position counts again."""
HOUR: Final = 4
"""From this hour on, in the installation's zone, a night's run is due."""
LOOK_EVERY: Final = timedelta(minutes=10)
TURN: Final = "retention"
_EVERY: Final = timedelta(hours=20)
_PEOPLE_AT_ONCE: Final = 5_000

log = logging.getLogger("mailprefs.retention")

Slices = Iterator[int]
"""How many rows each transaction changed."""


class Rule(NamedTuple):
    """One rule: its name in answers, what it says, and what does it."""

    name: str
    says: str
    apply: Callable[[Database, datetime], Slices]


def _undecided(db: Database, now: datetime) -> Slices:
    rows = 1
    while rows:
        with db.transaction() as session:
            rows = ageing.forget_undecided(session, now - MAY_BE_TOLD)
        yield rows


def _details(db: Database, now: datetime) -> Slices:
    before = now - timedelta(days=DETAILS_DAYS)
    with db.reading() as session:
        campaigns = ageing.with_details(session, before)
    for number in campaigns:
        yield from _through(db, partial(ageing.reduce, campaign_id=number, before=before))
        with db.transaction() as session:
            ageing.mark_reduced(session, number, before, now=now)


def _evidence(db: Database, now: datetime) -> Slices:
    with db.reading() as session:
        campaigns = ageing.with_evidence(session, months_before(now, EVIDENCE_MONTHS))
    for number in campaigns:
        yield from _through(db, partial(ageing.remove, campaign_id=number))
        with db.transaction() as session:
            ageing.mark_deleted(session, number, now=now)


def _apple(db: Database, now: datetime) -> Slices:
    day = (now - timedelta(days=APPLE_DAYS)).date()
    last = 0
    while True:
        with db.transaction() as session:
            part = session.scalars(
                select(Recipient.id)
                .where(Recipient.id > last)
                .order_by(Recipient.id)
                .limit(_PEOPLE_AT_ONCE)
            ).all()
            if not part:
                return
            # Whom somebody else is just writing to comes the next night: nobody waits for this.
            old = session.scalars(
                select(Recipient.id)
                .where(Recipient.id.between(part[0], part[-1]), Recipient.apple_seen_on < day)
                .order_by(Recipient.id)
                .with_for_update(skip_locked=True)
            ).all()
            listed = dialects.among(session, Recipient.id, old)
            forget = update(Recipient).where(listed).values(apple_seen_on=None)
            rows = dialects.changed(session, forget) if old else 0
        last = part[-1]
        yield rows


def _positions(db: Database, now: datetime) -> Slices:
    old = SpoolPosition.updated_at < now - timedelta(days=POSITION_DAYS)
    with db.transaction() as session:
        yield dialects.changed(session, delete(SpoolPosition).where(old))


RULES: Final = (
    Rule(
        "undecided",
        f"fetches kept until the delivery of their message is told: {MAY_BE_TOLD.days} days",
        _undecided,
    ),
    Rule(
        "deleted",
        f"opens and what is measured by person: {EVIDENCE_MONTHS} months from the first message "
        "of their campaign",
        _evidence,
    ),
    Rule(
        "reduced",
        f"opens to the minute, with country, client and reason: {DETAILS_DAYS} days; "
        "then delivery, kind and day",
        _details,
    ),
    Rule("apple", f"that Apple's proxy loads a person's mail: {APPLE_DAYS} days", _apple),
    Rule(
        "positions",
        f"how far a file of pixel hits that is gone was counted: {POSITION_DAYS} days",
        _positions,
    ),
)
"""Every rule, in the order in which they are applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The rules on one installation; *zone* says when it is night, *clock* what time it is."""

    db: Database
    zone: str
    clock: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Apply the rules each night until *stop* is set; what goes wrong is tried the next."""
        if stop.wait(LOOK_EVERY.total_seconds()):
            return
        trouble = "Old evidence is deleted later."
        rounds.go(lambda: self.tonight(stop), stop, every=LOOK_EVERY, log=log, trouble=trouble)

    def tonight(self, stop: threading.Event | None = None) -> dict[str, int] | None:
        """Apply the rules if that is due and nobody else does; None if not."""
        now = self.clock()
        if now.astimezone(ZoneInfo(self.zone)).hour < HOUR:
            return None
        with self.db.transaction() as session:
            if not take_turn(session, TURN, every=_EVERY, now=now):
                return None
        return self.now(stop)

    def now(self, stop: threading.Event | None = None) -> dict[str, int]:
        """Apply every rule; give how many rows each changed. Ends early when *stop* is set."""
        now = self.clock()
        changed = dict.fromkeys((rule.name for rule in RULES), 0)
        for rule in RULES:
            for rows in rule.apply(self.db, now):
                changed[rule.name] += rows
                if stop is not None and stop.is_set():
                    return changed
        log.info("Retention changed rows: %s", changed)
        return changed


def months_before(now: datetime, months: int) -> datetime:
    """Give the same time so many months ago, or the last day of that month where it has no such."""
    count = now.year * 12 + now.month - 1 - months
    year, month = count // 12, count % 12 + 1
    return now.replace(year=year, month=month, day=min(now.day, monthrange(year, month)[1]))


class _Stepping(Protocol):
    """Works on the next window after a delivery."""

    def __call__(self, session: Session, /, *, after: int) -> Step: ...


def _through(db: Database, step: _Stepping) -> Slices:
    """Take one step after the other, each in a transaction, until there is nothing left."""
    last: int | None = 0
    while last is not None:
        with db.transaction() as session:
            rows, last = step(session, after=last)
        yield rows
