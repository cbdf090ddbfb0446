"""Events of one request, stored and applied in slices: each in a transaction of its own.

A request can hold thousands of events, and a person's choice waits for whoever holds the gate. So
what only counts goes in larger slices without the gate, and what takes a permission away in small
ones with it. Each event is stored and applied in the same transaction, so one that is on file is in
force; a request that broke off half-way is answered with 5xx, comes again, and does the rest.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs.deliveries import settle
from mailprefs.events import belonging, facts, soft, storing, taking
from mailprefs.events.meaning import TRACKING, Fact, meaning
from mailprefs.events.storing import Whose
from mailprefs.vendor.message import Event, VendorEvent

log = logging.getLogger("mailprefs.events")

COUNTED_AT_ONCE: Final = 250
BOUNCED_AT_ONCE: Final = 8
LEFT_AT_ONCE: Final = 1
"""Events in one transaction. A person's choice waits for one of the small ones at most: measured,
on a machine busy with other work, were 11 to 20 ms for somebody who leaves (ledger and all; at
worst 50) and 12 to 17 ms for eight bounces (at worst 19). See ``docs/decisions.md``."""


class Slice(NamedTuple):
    """Events for one transaction; *takes*: it has to be opened with ``Gate.TAKING``."""

    events: tuple[VendorEvent, ...]
    takes: bool


def slices(events: Sequence[VendorEvent]) -> Iterator[Slice]:
    """Cut the events of a request into transactions, what takes permissions away first."""
    said = [(event, meaning(event)) for event in events]
    left = [event for event, what in said if what.leaves]
    bounced = [event for event, what in said if what.takes and not what.leaves]
    counted = [event for event, what in said if not what.takes]
    for part in (*_cut(left, LEFT_AT_ONCE), *_cut(bounced, BOUNCED_AT_ONCE)):
        yield Slice(part, takes=True)
    for part in _cut(counted, COUNTED_AT_ONCE):
        yield Slice(part, takes=False)


class Applied(NamedTuple):
    """How many facts events brought, and who is to be looked at again by ``decide_again``."""

    facts: int
    undecided: tuple[Whose, ...] = ()


def store_and_apply(session: Session, events: Sequence[VendorEvent], *, now: datetime) -> Applied:
    """Store *events* and apply those that are new.

    What isn't about our mail to our people is stored as such, and applies to nothing.

    :raises RuntimeError: for events that take permissions away, without ``Gate.TAKING``.
    """
    events, ours = belonging.own(session, events)
    new = storing.store(session, events, ours, now)
    _tell(new)
    theirs = [event for event in new if event.delivery_id in ours]
    _prove(session, theirs, now)
    found = facts.add(session, _first(theirs, ours))
    facts.count(session, _of_erased(theirs, ours))
    taking.take(session, theirs, ours, now=now)
    got = {one.delivery_id for one in theirs if meaning(one).fact is Fact.DELIVERED}
    undecided = soft.delivered(session, [one for one in got if one], now=now)
    return Applied(len(found), tuple(undecided))


def decide_again(session: Session, undecided: Sequence[Whose], *, now: datetime) -> None:
    """Hold back those of whom it became known only now that they have to be.

    A delivery that was earlier than was first told may leave three refusals in a row after it. If
    this is never called, because the request broke off, the nightly comparison does it.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    for whose in undecided:
        soft.decide(session, whose, now=now)


def _cut(events: Sequence[VendorEvent], size: int) -> Iterator[tuple[VendorEvent, ...]]:
    for start in range(0, len(events), size):
        yield tuple(events[start : start + size])


def _tell(new: Sequence[VendorEvent]) -> None:
    """Log what somebody should know of."""
    tracking = sum(event.kind in TRACKING for event in new)
    if tracking:
        log.warning(
            "the vendor is tracking: %d events of opens or clicks; switch its tracking off",
            tracking,
        )
    back = sum(event.kind is Event.SUBSCRIBED for event in new)
    if back:
        log.info("%d people took up a group at the vendor again; that subscribes nobody here", back)
    odd = sorted({event.vendor_word for event in new if event.kind is Event.UNKNOWN})
    if odd:
        log.info("the vendor told of kinds of events that we don't know: %s", ", ".join(odd))


def _prove(session: Session, events: Sequence[VendorEvent], now: datetime) -> None:
    """Let each event prove that the whole request which it belongs to was accepted."""
    attempts = {one for event in events if (one := storing.attempt_of(event)) is not None}
    if attempts:
        settle.proved(session, attempts, now=now)


def _first(events: Sequence[VendorEvent], ours: Mapping[int, Whose]) -> dict[facts.Key, datetime]:
    """Give the facts that *events* tell of people who are there, with the earliest time of each."""
    first: dict[facts.Key, datetime] = {}
    for event in events:
        fact = meaning(event).fact
        if fact is None or event.delivery_id is None or ours[event.delivery_id].is_erased:
            continue
        key = (event.delivery_id, fact.value)
        first[key] = min(first.get(key, event.occurred_at), event.occurred_at)
    return first


def _of_erased(events: Sequence[VendorEvent], ours: Mapping[int, Whose]) -> list[facts.Key]:
    """Give the facts of people who are erased: they are counted, and nothing else is kept."""
    return [
        (event.delivery_id, fact.value)
        for event in events
        if event.delivery_id is not None
        and ours[event.delivery_id].is_erased
        and (fact := meaning(event).fact) is not None
    ]
