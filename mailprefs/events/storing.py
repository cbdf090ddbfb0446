"""Events as rows: what the vendor told, without address, IP address, user agent or free text.

Two keys keep copies out: the vendor's own id, which was seen to change between copies, and one made
of what happened. Of an event about somebody erased only its count is kept: no id, no time, nothing
that tells one of their messages from another.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.events.meaning import meaning
from mailprefs.privacy import erased_key
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MalformedEvent, VendorEventRow
from mailprefs.schema.people import Recipient
from mailprefs.vendor.message import Event, MalformedOne, VendorEvent

_LARGEST_ID: Final = (1 << 63) - 1
_LONGEST_WORD: Final = 32


class Whose(NamedTuple):
    """Whose a delivery of ours is; all None once the person is erased."""

    recipient_id: int | None
    address_hash: bytes | None
    key_id: int | None

    @property
    def is_erased(self) -> bool:
        """Tell whether nobody is left to whom this could be tied."""
        return self.address_hash is None


class Malformed(NamedTuple):
    """Events that couldn't be read for one reason: how many, and when the last one came."""

    sentence: str
    n: int
    last: datetime


def known(session: Session, ids: Collection[int]) -> dict[int, Whose]:
    """Give those of *ids* that are deliveries of ours, and whose they are."""
    if not ids:
        return {}
    rows = session.execute(
        select(Delivery.id, Recipient.id, Recipient.address_hash, Recipient.address_key_id)
        .outerjoin(Recipient, Recipient.id == Delivery.recipient_id)
        .where(dialects.among(session, Delivery.id, ids))
    )
    return {row[0]: Whose(row[1], row[2], row[3]) for row in rows}


def store(
    session: Session, events: Sequence[VendorEvent], ours: Mapping[int, Whose], now: datetime
) -> list[VendorEvent]:
    """Store the events that aren't there yet, and give those.

    In the order of the key, so that two copies of one request never wait for each other crosswise.
    """
    named: dict[str, VendorEvent] = {}
    rows = []
    for event in events:
        row = _row(event, ours, now)
        if row["natural_key"] not in named:
            rows.append(row)
        named.setdefault(row["natural_key"], event)
    if not rows:
        return []
    insert = dialects.insert(session, VendorEventRow).on_conflict_do_nothing()
    stored = session.scalars(
        insert.returning(VendorEventRow.natural_key),
        sorted(rows, key=lambda row: str(row["natural_key"])),
    )
    return [named[key] for key in stored]


def set_aside(session: Session, found: Iterable[MalformedOne], *, now: datetime) -> int:
    """Note events that couldn't be read, each once: why, and nothing that they said."""
    rows = {
        one.digest: {"digest": one.digest, "sentence": one.sentence, "received_at": now}
        for one in sorted(found, key=lambda one: one.digest)
    }
    if not rows:
        return 0
    insert = dialects.insert(session, MalformedEvent).on_conflict_do_nothing()
    new = session.scalars(insert.returning(MalformedEvent.digest), list(rows.values()))
    return len(new.all())


def malformed(session: Session) -> list[Malformed]:
    """Count the events that couldn't be read lately, by reason."""
    rows = session.execute(
        select(MalformedEvent.sentence, func.count(), func.max(MalformedEvent.received_at))
        .group_by(MalformedEvent.sentence)
        .order_by(MalformedEvent.sentence)
    )
    return [Malformed(*row) for row in rows]


def last_received(session: Session) -> datetime | None:
    """Give when the last event came that was new; None before the first."""
    return session.scalar(select(func.max(VendorEventRow.received_at)))


def tracking_seen(session: Session) -> datetime | None:
    """Give when the vendor last reported an open or a click; None if it doesn't track."""
    return session.scalar(
        select(func.max(VendorEventRow.received_at)).where(
            # Literals, as they stand in the partial index; a parameter would not use it.
            text("kind IN ('opened', 'clicked')")
        )
    )


def _row(event: VendorEvent, ours: Mapping[int, Whose], now: datetime) -> dict[str, Any]:
    whose = ours.get(event.delivery_id or 0)
    attempt = attempt_of(event)
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "natural_key": event.natural_key,
        "delivery_id": event.delivery_id if whose else None,
        "hand_over_id": attempt,
        "kind": event.kind.value,
        "occurred_at": event.occurred_at,
        "message_id": event.message_id,
        "status": event.status,
        "classification": _classification(event),
        "received_at": now,
    }
    if whose is not None and whose.is_erased:
        nothing = dict.fromkeys(("event_id", "delivery_id", "message_id", "status"))
        row |= nothing | {"classification": None, "occurred_at": now}
        row["natural_key"] = _erased_key(event)
    return row


def attempt_of(event: VendorEvent) -> int | None:
    """Give the hand-over that an event belongs to, if it names one that can be ours."""
    number = int(event.attempt, 16) if event.attempt else 0
    return number if 0 < number <= _LARGEST_ID else None


def _classification(event: VendorEvent) -> str | None:
    """Give the vendor's class and reason in our words; of an unknown kind, what it is called."""
    parts = [event.type, event.reason]
    if event.kind is Event.UNKNOWN:
        parts = [event.vendor_word]
    return "/".join(part for part in parts if part)[:_LONGEST_WORD] or None


def _erased_key(event: VendorEvent) -> str:
    """Give one key for everything of a kind about one delivery, so that it counts once."""
    return erased_key(event.delivery_id or 0, meaning(event).fact or event.vendor_word)
