"""Carry an erasure on to where its transaction didn't reach: to the vendor, and into the files.

What is to be done stands in ``erasures``, so nothing is lost with a process, and two of them do
nothing twice at the same time: whoever asks the vendor first moves the time of the next call on.
The vendor is asked again at growing intervals until it has taken the order; then the sealed address
goes. Everything may be done twice.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs import privacy
from mailprefs.addresses import AddressHasher
from mailprefs.db.database import Database, Gate
from mailprefs.jobs import rounds
from mailprefs.privacy.sealing import unseal
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.erasures import ErasureOrder
from mailprefs.vendor.erasing import MOST, NotTaken, orders

LOOK_EVERY: Final = timedelta(seconds=15)
FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=6)
LONGEST_FREEZE: Final = timedelta(minutes=1)
"""So long a statement may take on PostgreSQL, such as one that freezes a slice of people."""
_MOST_DOUBLINGS: Final = 12
_WITHOUT_KEY: Final = (
    "There is no key for the vendor (MAILPREFS_SENDGRID_READ_KEY or _API_KEY), so it wasn't asked."
)
_SEALED_BY_ANOTHER: Final = (
    "The address was sealed under another MAILPREFS_ADDRESS_KEY, so nobody can read it any more: "
    "restore that key, or erase it by hand at the vendor."
)
# Besides those of which an erasure names rows.
_ALWAYS_CLEANED: Final = frozenset({"erasures", "suppressions"})

log = logging.getLogger("mailprefs.erasures")


class Vendor(Protocol):
    """Where addresses are erased besides: the vendor, or a fake in a test."""

    def erase(self, addresses: Sequence[str]) -> None:
        """Order that some addresses are erased; raises ``NotTaken`` unless that is accepted."""
        ...


class _Due(NamedTuple):
    """An order that the vendor is to be asked for now."""

    id: int
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasures:
    """What erasing needs beside the database; *vendor* None: there is no key for it."""

    db: Database
    vendor: Vendor | None
    hasher: AddressHasher
    clock: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Carry erasures on until *stop* is set; what goes wrong is told and tried again."""
        trouble = "Erasures go on later."
        rounds.go(self.now, stop, every=LOOK_EVERY, log=log, trouble=trouble)

    def now(self) -> None:
        """Ask the vendor for what is due, and clean what was deleted out of the files."""
        with self.db.reading() as session:
            is_any = privacy.waiting(session)
        if not is_any:
            return
        self._ask()
        self._clean()

    def _ask(self) -> None:
        with self.db.transaction() as session:
            due = _take(session, self.clock())
        known = [(one.id, unseal(self.hasher, one.sealed)) for one in due]
        self._failed([number for number, address in known if address is None], _SEALED_BY_ANOTHER)
        addresses = [(number, address) for number, address in known if address is not None]
        at = 0
        for part in orders([address for _, address in addresses]):
            numbers = [number for number, _ in addresses[at : at + len(part)]]
            at += len(part)
            self._order(numbers, part)

    def _order(self, numbers: Sequence[int], addresses: Sequence[str]) -> None:
        """Ask once; what the vendor refuses as a whole, for one bad address, is asked in halves."""
        if self.vendor is None:
            self._failed(numbers, _WITHOUT_KEY)
            return
        try:
            self.vendor.erase(addresses)
        except NotTaken as failure:
            self._failed(numbers, str(failure))
            if failure.is_refused and (half := len(numbers) // 2):
                self._order(numbers[:half], addresses[:half])
                self._order(numbers[half:], addresses[half:])
            return
        with self.db.transaction() as session:
            session.execute(
                update(ErasureOrder)
                .where(ErasureOrder.id.in_(numbers))
                # The sealed address is deleted, too, so there is something to clean again.
                .values(sealed=None, failure=None, vendor_took_at=self.clock(), cleaned_at=None)
            )
        log.info("The vendor took the order to erase %d addresses.", len(numbers))

    def _failed(self, numbers: Sequence[int], sentence: str) -> None:
        if not numbers:
            return
        with self.db.transaction() as session:
            session.execute(
                update(ErasureOrder).where(ErasureOrder.id.in_(numbers)).values(failure=sentence)
            )
        log.warning("The vendor hasn't erased %d addresses yet. %s", len(numbers), sentence)

    def _clean(self) -> None:
        """Take what was deleted out of the database's files, if nobody is in the way."""
        settled = self.clock() - (timedelta(0) if self.db.is_sqlite else LONGEST_FREEZE)
        with self.db.transaction(Gate.TAKING) as session:
            found = session.scalars(
                select(ErasureOrder).where(
                    ErasureOrder.cleaned_at.is_(None), ErasureOrder.erased_at <= settled
                )
            ).all()
            numbers = [one.id for one in found]
            for one in found:
                if one.number is not None:
                    _sweep(session, one.number)
            tables = {name for one in found for name in one.removed} | _ALWAYS_CLEANED
        if not found or not self.db.scrub(sorted(tables)):
            return
        with self.db.transaction() as session:
            session.execute(
                update(ErasureOrder)
                .where(ErasureOrder.id.in_(numbers))
                .values(cleaned_at=self.clock(), number=None)
            )


def _take(session: Session, now: datetime) -> list[_Due]:
    """Give what is due at the vendor, and put off the next call for each until this one failed."""
    found = session.scalars(
        select(ErasureOrder)
        .where(ErasureOrder.sealed.is_not(None), ErasureOrder.call_at <= now)
        .order_by(ErasureOrder.id)
        .limit(MOST)
        .with_for_update(skip_locked=True)
    ).all()
    due = []
    for one in found:
        wait = min(FIRST_WAIT * 2 ** min(one.calls, _MOST_DOUBLINGS), LONGEST_WAIT)
        one.calls, one.call_at = one.calls + 1, now + wait
        if one.sealed is not None:
            due.append(_Due(one.id, one.sealed))
    return due


def _sweep(session: Session, number: int) -> None:
    """Take a person out of deliveries that were frozen at the moment in which they were erased.

    A freeze reads a slice of people at once and holds nobody up; its claim has skipped them.
    """
    session.execute(
        update(Delivery)
        .where(
            Delivery.campaign_id.in_(select(Campaign.id)),
            Delivery.recipient_id == number,
            Delivery.idempotency_key.is_(None),
        )
        .values(recipient_id=None)
    )
