"""What the vendor reports: stored first, then applied, in any order and any number of times.

Events come late, twice, out of order and with changed ids. So everything that is applied is a fact
of one delivery that can only become true, and sums move with new facts only: the same events in
whatever order and repetition leave the same state.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs import opens
from mailprefs.db import dialects
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxFact, MailboxTotal, VendorEventRow
from mailprefs.vendor.message import Event, VendorEvent

log = logging.getLogger("mailprefs.events")

FACTS: Final = frozenset({Event.QUEUED, Event.DELIVERED})
"""Events that become facts of a delivery and are counted."""
_TRACKING: Final = frozenset({Event.OPENED, Event.CLICKED})
_LARGEST_HAND_OVER: Final = (1 << 63) - 1
_Key = tuple[int, str]


def store_and_apply(session: Session, events: Sequence[VendorEvent], *, now: datetime) -> int:
    """Store *events* and apply those that say what became of a delivery; give the new facts.

    Events of deliveries that aren't ours (any more) are stored without one and apply to nothing.
    """
    ours = _known(session, {event.delivery_id for event in events if event.delivery_id})
    _store(session, events, ours, now)
    tracking = sum(event.kind in _TRACKING for event in events)
    if tracking:
        log.warning(
            "the vendor is tracking: %d events of opens or clicks; switch its tracking off",
            tracking,
        )
    first: dict[_Key, datetime] = {}
    for event in events:
        if event.kind in FACTS and event.delivery_id in ours:
            key = (event.delivery_id, event.kind.value)
            first[key] = min(first.get(key, event.occurred_at), event.occurred_at)
    new = _add_facts(session, first)
    _count(session, new)
    delivered = [delivery_id for delivery_id, word in new if word == Event.DELIVERED.value]
    opens.set_bits(session, dict.fromkeys(delivered, opens.DELIVERED))
    return len(new)


def _known(session: Session, ids: set[int]) -> set[int]:
    """Give those of *ids* that are deliveries of ours."""
    if not ids:
        return set()
    return set(
        session.scalars(select(Delivery.id).where(dialects.among(session, Delivery.id, ids)))
    )


def _store(session: Session, events: Iterable[VendorEvent], ours: set[int], now: datetime) -> None:
    """Store what isn't stored yet, by the vendor's id and by what happened.

    In the order of the key, so that two copies of one request never wait for each other crosswise.
    """
    rows = [_row(event, ours, now) for event in sorted(events, key=lambda event: event.natural_key)]
    if rows:
        insert = dialects.insert(session, VendorEventRow).on_conflict_do_nothing()
        session.connection().execute(insert, rows)


def _row(event: VendorEvent, ours: set[int], now: datetime) -> dict[str, Any]:
    attempt = int(event.attempt, 16) if event.attempt else None
    known = [word for word in (event.type, event.reason) if word]
    return {
        "event_id": event.event_id,
        "natural_key": event.natural_key,
        "delivery_id": event.delivery_id if event.delivery_id in ours else None,
        "hand_over_id": attempt if attempt and attempt <= _LARGEST_HAND_OVER else None,
        "kind": event.kind.value,
        "occurred_at": event.occurred_at,
        "message_id": event.message_id,
        "status": event.status,
        "classification": "/".join(known)[:32] or None,
        "received_at": now,
    }


def _add_facts(session: Session, first: Mapping[_Key, datetime]) -> list[_Key]:
    """Insert the facts that are new and give them; an earlier time corrects one that was there."""
    if not first:
        return []
    rows = [
        {"delivery_id": delivery_id, "event": word, "occurred_at": first[delivery_id, word]}
        for delivery_id, word in sorted(first)
    ]
    insert = dialects.insert(session, MailboxFact).on_conflict_do_nothing()
    inserted = session.execute(
        insert.returning(MailboxFact.delivery_id, MailboxFact.event), rows
    ).all()
    new = {(row.delivery_id, row.event) for row in inserted}
    for row in rows:
        if (row["delivery_id"], row["event"]) not in new:
            _correct(session, row)
    return sorted(new)


def _correct(session: Session, row: Mapping[str, Any]) -> None:
    session.execute(
        update(MailboxFact)
        .where(
            MailboxFact.delivery_id == row["delivery_id"],
            MailboxFact.event == row["event"],
            MailboxFact.occurred_at > row["occurred_at"],
        )
        .values(occurred_at=row["occurred_at"])
        .execution_options(synchronize_session=False)
    )


def _count(session: Session, new: Iterable[_Key]) -> None:
    """Add new facts to their campaigns' totals, in the order of the totals' key."""
    sums = Counter((delivery_id >> 32, word) for delivery_id, word in new)
    for (campaign_id, word), n in sorted(sums.items()):
        insert = dialects.insert(session, MailboxTotal).values(
            campaign_id=campaign_id, event=word, n=n
        )
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["campaign_id", "event"], set_={"n": MailboxTotal.n + n}
            )
        )
