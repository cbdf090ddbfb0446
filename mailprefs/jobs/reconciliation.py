"""Compare with the vendor's suppression lists each night, in both directions.

*From there to here*: whoever came onto a list since the last time (and a day before) is suppressed
here by the same rules as by an event, so that an event which never came is made up for.
*From here to there* nothing is pushed: our database is the authority, and an entry of ours on the
vendor's list of unsubscribes would hold back other senders' notices too. What differs is told: who
was lifted here and is still held back there, and what there should be and isn't.

Everything may be done twice. Addresses are hashed as they come, and no report names one.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mailprefs import suppressions
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.db import dialects
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadAddress
from mailprefs.events import soft, taking
from mailprefs.events.applying import BOUNCED_AT_ONCE, LEFT_AT_ONCE
from mailprefs.events.meaning import is_hard
from mailprefs.events.storing import Whose
from mailprefs.jobs import rounds
from mailprefs.policy import Source, SuppressionReason
from mailprefs.schema.choices import Suppression, SuppressionLift
from mailprefs.schema.events import Reconciliation
from mailprefs.schema.people import Recipient
from mailprefs.suppressions import Evidence
from mailprefs.vendor.suppression_lists import (
    Listed,
    ListName,
    ListsForbidden,
    ListsUnavailable,
)

HOUR: Final = 3
"""From this hour on, in the installation's zone, a night's comparison is due."""
OVERLAP: Final = timedelta(days=1)
AGAIN_AFTER: Final = timedelta(hours=1)
"""How long after a try that broke off the next one is made."""
ASKED_ONE_BY_ONE: Final = 200
"""Lifted addresses that are looked up at the vendor: the newest ones."""
BEGINNING: Final = datetime(2009, 7, 1, tzinfo=UTC)
"""Before the vendor's first list; the first comparison asks for all of them."""
_REASONS: Final = {
    ListName.BOUNCES: SuppressionReason.HARD_BOUNCE,
    ListName.INVALID: SuppressionReason.INVALID,
    ListName.COMPLAINTS: SuppressionReason.COMPLAINED,
    ListName.LEFT: SuppressionReason.UNSUBSCRIBED,
}
LIST_OF: Final = {reason: name for name, reason in _REASONS.items()}
"""On which of the vendor's lists an address stands that is suppressed here for a reason."""
# A complaint is a no to promotional mail here, and stands on the list of complaints there.
_LISTED_FOR: Final = [one for one in LIST_OF if one is not SuppressionReason.UNSUBSCRIBED]
_METHODS: Final = {ListName.COMPLAINTS: "spamreport", ListName.LEFT: "unsubscribe"}

log = logging.getLogger("mailprefs.reconciliation")


class Lists(Protocol):
    """The vendor's lists: the real ones, or a fake in a test."""

    def listed(self, name: ListName, *, since: datetime, until: datetime) -> Iterator[Listed]:
        """Give what came onto a list in a time."""
        ...

    def holds(self, name: ListName, address: str) -> bool:
        """Tell whether a list holds an address."""
        ...


@dataclass(slots=True, kw_only=True)
class Found:
    """What a comparison found and did; people stand in it by their numbers.

    *lists*: for each list how many were ``listed``, are ``new`` here, or were ``known``, and how
    many are held back there only, because they were ``lifted`` here or refused ``for_now``.
    *still_listed*: recipients lifted here whom the vendor still holds back, with the list.
    *missing_there*: what we hold by the vendor's word and its lists don't (any more), by reason.
    *failure* says why the lists couldn't be read; *forbidden*: the key may not read them.
    """

    since: datetime
    until: datetime
    dry_run: bool = False
    lists: dict[str, dict[str, int]] = field(default_factory=dict)
    still_listed: list[tuple[int, str]] = field(default_factory=list)
    missing_there: dict[str, int] = field(default_factory=dict)
    reset: int = 0
    failure: str | None = None
    forbidden: bool = False

    @property
    def new(self) -> int:
        """Give how many suppressions are new here."""
        return sum(counted.get("new", 0) for counted in self.lists.values())

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "dry_run": self.dry_run,
            "lists": self.lists,
            "still_listed": [
                {"recipient": number, "list": name} for number, name in self.still_listed
            ],
            "missing_there": self.missing_there,
            "reset": self.reset,
            "failure": self.failure,
            "forbidden": self.forbidden,
        }


class _OnlyLooking(Exception):
    """Takes back what a dry run would have done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison needs; *zone* says when it is night, *clock* what time it is."""

    db: Database
    lists: Lists
    hasher: AddressHasher
    zone: str
    clock: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Compare each night until *stop* is set; what goes wrong is told and tried again."""
        rounds.each_night(
            self.tonight, stop, log=log, trouble="The vendor's lists weren't compared."
        )

    def tonight(self) -> Found | None:
        """Compare if that is due and nobody else does; None if not."""
        now = self.clock()
        if not rounds.is_night(now, self.zone, hour=HOUR):
            return None
        night = now.astimezone(ZoneInfo(self.zone)).date()
        with self.db.transaction() as session:
            since = _begin(session, night, now, anyway=False)
        return None if since is None else self._kept(night, since, now)

    def now(self, *, dry_run: bool = False) -> Found:
        """Compare at once, whether due or not; a dry run changes nothing and tells the same."""
        now = self.clock()
        night = now.astimezone(ZoneInfo(self.zone)).date()
        if dry_run:
            with self.db.reading() as session:
                since = _since(session, night)
            return self._compare(since, now, dry_run=True)
        with self.db.transaction() as session:
            begun = _begin(session, night, now, anyway=True)
        return self._kept(night, begun or BEGINNING, now)

    def _kept(self, night: date, since: datetime, now: datetime) -> Found:
        """Compare, and keep what came of it."""
        found = self._compare(since, now, dry_run=False)
        with self.db.transaction() as session:
            session.execute(
                update(Reconciliation)
                .where(Reconciliation.night == night)
                .values(ended_at=self.clock(), found=found.document(), failure=found.failure)
            )
        if found.failure:
            log.warning("The vendor's lists weren't compared: %s", found.failure)
        return found

    def _compare(self, since: datetime, now: datetime, *, dry_run: bool) -> Found:
        found = Found(since=since, until=now, dry_run=dry_run)
        seen: set[tuple[SuppressionReason, bytes]] = set()
        try:
            for name in ListName:
                self._pull(name, found, seen)
            self._look_up(found)
        except (ListsForbidden, ListsUnavailable) as failure:
            found.failure = str(failure)
            found.forbidden = isinstance(failure, ListsForbidden)
        else:
            with self.db.reading() as session:
                found.missing_there = _missing(session, seen, since, now)
        if not dry_run:
            self._tidy(found, now)
        return found

    def _pull(
        self, name: ListName, found: Found, seen: set[tuple[SuppressionReason, bytes]]
    ) -> None:
        """Apply what came onto one list, in slices that hold nobody up."""
        counted: Counter[str] = Counter()
        entries = self.lists.listed(name, since=found.since, until=found.until)
        size = LEFT_AT_ONCE if name in _METHODS else BOUNCED_AT_ONCE
        while part := list(islice(entries, size)):
            counted["listed"] += len(part)
            if name is not ListName.BLOCKS:
                counted += self._apply(name, part, found, seen)
        found.lists[name.value] = dict(sorted(counted.items()))

    def _apply(
        self,
        name: ListName,
        part: Sequence[Listed],
        found: Found,
        seen: set[tuple[SuppressionReason, bytes]],
    ) -> Counter[str]:
        counted: Counter[str] = Counter()
        with suppress(_OnlyLooking), self.db.transaction(Gate.TAKING) as session:
            for one in part:
                try:
                    address_hash = self.hasher.hash(normalise(one.address).key)
                except BadAddress:
                    counted["unreadable"] += 1
                    continue
                seen.add((_REASONS[name], address_hash))
                said = Evidence(address_hash, self.hasher.key_id, _REASONS[name], one.since)
                counted[_applied(session, name, one, said, found.until)] += 1
            if found.dry_run:
                raise _OnlyLooking
        return counted

    def _look_up(self, found: Found) -> None:
        """Ask for those who were lifted here, one by one, whether they are free there too."""
        with self.db.reading() as session:
            lifted = _lifted(session)
        for number, address, reason in lifted:
            name = LIST_OF.get(reason)
            if name is not None and self.lists.holds(name, address):
                found.still_listed.append((number, name.value))

    def _tidy(self, found: Found, now: datetime) -> None:
        """Apply the rule of soft bounces anew."""
        self._decide_anew(soft.refused_often, now)
        found.reset += self._decide_anew(soft.held_back, now)

    def _decide_anew(self, find: Callable[..., list[Whose]], now: datetime) -> int:
        """Apply the rule to everybody whom *find* lists, a few at a time; give who isn't any more.

        A few, because the gate is held meanwhile.
        """
        last = changed = 0
        while True:
            with self.db.transaction(Gate.TAKING) as session:
                listed = find(session, after=last, limit=BOUNCED_AT_ONCE)
                for whose in listed:
                    soft.decide(session, whose, now=now)
                left = find(session, after=last, limit=BOUNCED_AT_ONCE)
            if not listed:
                return changed
            changed += len(
                {one.recipient_id for one in listed} - {one.recipient_id for one in left}
            )
            last = listed[-1].recipient_id or last + 1


def last(session: Session) -> Reconciliation | None:
    """Give the newest comparison; None before the first."""
    return session.scalar(select(Reconciliation).order_by(Reconciliation.night.desc()).limit(1))


def _since(session: Session, night: date) -> datetime:
    """Give from when on to ask: a day before the last comparison that went well began."""
    begun = session.scalar(
        select(Reconciliation.started_at)
        .where(
            Reconciliation.ended_at.is_not(None),
            Reconciliation.failure.is_(None),
            Reconciliation.night <= night,
        )
        .order_by(Reconciliation.night.desc())
        .limit(1)
    )
    return BEGINNING if begun is None else begun - OVERLAP


def _begin(session: Session, night: date, now: datetime, *, anyway: bool) -> datetime | None:
    """Take one night's comparison if it is to be had; give from when on to ask.

    *anyway*: also if it has been made already. One that broke off is to be had again after a while,
    unless the key isn't allowed to read the lists: no hour mends that, so the next night tries.
    """
    since = _since(session, night)
    values: dict[str, object] = {
        "since": since,
        "started_at": now,
        "ended_at": None,
        "found": {},
        "failure": None,
    }
    insert = dialects.insert(session, Reconciliation).values(night=night, **values)
    if dialects.changed(session, insert.on_conflict_do_nothing()):
        return since
    again = update(Reconciliation).where(Reconciliation.night == night)
    if not anyway and _was_forbidden(session, night):
        return None
    if not anyway:
        again = again.where(
            or_(Reconciliation.ended_at.is_(None), Reconciliation.failure.is_not(None)),
            Reconciliation.started_at < now - AGAIN_AFTER,
        )
    return since if dialects.changed(session, again.values(**values)) else None


def _was_forbidden(session: Session, night: date) -> bool:
    found = session.scalar(select(Reconciliation.found).where(Reconciliation.night == night))
    return bool((found or {}).get("forbidden"))


def _applied(session: Session, name: ListName, one: Listed, said: Evidence, now: datetime) -> str:
    """Apply one entry of a list; give the word under which it counts."""
    if name is ListName.BOUNCES and not is_hard("bounce", one.status, None):
        return "for_now"
    lifted = suppressions.lifted_at(session, said.address_hash, said.reason)
    if lifted is not None and lifted >= one.since:
        return "lifted"
    if name is ListName.LEFT:
        is_new = _left(session, name, said, now)
    else:
        is_new = suppressions.believe(session, said)
        if name is ListName.COMPLAINTS:
            _left(session, name, said, now)
    return "new" if is_new else "known"


def _left(session: Session, name: ListName, said: Evidence, now: datetime) -> bool:
    """End promotional mail of whoever has the address; keep the no of one who isn't here yet."""
    recipient_id = session.scalar(
        select(Recipient.id).where(Recipient.address_hash == said.address_hash)
    )
    if recipient_id is None:
        unknown = said._replace(reason=SuppressionReason.UNSUBSCRIBED)
        return suppressions.believe(session, unknown)
    return taking.leave(session, recipient_id, _METHODS[name], said.at, now=now)


def _lifted(session: Session) -> list[tuple[int, str, SuppressionReason]]:
    """List who was lifted lately and is still free: number, address, and from what."""
    rows = session.execute(
        select(Recipient.id, Recipient.address, SuppressionLift.reason)
        .join(SuppressionLift, SuppressionLift.address_hash == Recipient.address_hash)
        .where(
            ~select(Suppression.id)
            .where(
                Suppression.address_hash == Recipient.address_hash,
                Suppression.reason == SuppressionLift.reason,
            )
            .exists()
        )
        .group_by(Recipient.id, Recipient.address, SuppressionLift.reason)
        .order_by(Recipient.id.desc())
        .limit(ASKED_ONE_BY_ONE)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _missing(
    session: Session,
    seen: set[tuple[SuppressionReason, bytes]],
    since: datetime,
    until: datetime,
) -> dict[str, int]:
    """Count what is held by the vendor's word since then, and isn't on its lists."""
    rows = session.execute(
        select(Suppression.reason, Suppression.address_hash).where(
            Suppression.source == Source.VENDOR,
            Suppression.reason.in_(_LISTED_FOR),
            Suppression.created_at >= since,
            Suppression.created_at < until - AGAIN_AFTER,
        )
    )
    counted = Counter(
        reason.value for reason, address_hash in rows if (reason, address_hash) not in seen
    )
    return dict(sorted(counted.items()))
