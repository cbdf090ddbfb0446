"""Events as the webhook's parser gives them, and how they are applied: slice by slice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import select

from mailprefs import events
from mailprefs.db.database import Database, Gate
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.people import Recipient
from mailprefs.vendor.message import Event, VendorEvent
from tests.sending import NOW


def event(
    delivery_id: int | None,
    kind: Event = Event.DELIVERED,
    *,
    seconds: float = 0,
    days: float = 0,
    event_id: str | None = None,
    **fields: Any,  # noqa: ANN401 - fields of VendorEvent
) -> VendorEvent:
    """Give an event of a delivery, some time after the campaign was handed over."""
    at = NOW + timedelta(seconds=seconds, days=days)
    happening = f"{delivery_id} {kind} {at}".encode()
    return VendorEvent(
        event_id=event_id,
        natural_key=blake2b(happening, digest_size=16).hexdigest(),
        kind=kind,
        vendor_word=kind.value,
        occurred_at=at,
        delivery_id=delivery_id,
        campaign_id=None,
        **fields,
    )


def apply(db: Database, *reported: VendorEvent, now: datetime = NOW) -> int:
    """Store and apply events as the webhook does; give how many facts were new.

    Each is about the person whom its delivery is for, unless it says whom it is about.
    """
    facts = 0
    for part in events.slices(addressed(db, reported)):
        with db.transaction(Gate.TAKING if part.takes else Gate.NONE) as session:
            applied = events.store_and_apply(session, part.events, now=now)
        facts += applied.facts
        if applied.undecided:
            with db.transaction(Gate.TAKING) as session:
                events.decide_again(session, applied.undecided, now=now)
    return facts


def addressed(db: Database, reported: Sequence[VendorEvent]) -> list[VendorEvent]:
    """Give the events with the hash of whom their deliveries are for, where they have none."""
    with db.reading() as session:
        rows = session.execute(
            select(Delivery.id, Recipient.address_hash)
            .join(Recipient, Recipient.id == Delivery.recipient_id)
            .where(Delivery.id.in_({one.delivery_id for one in reported if one.delivery_id}))
        )
        hashes = {row.id: row.address_hash for row in rows}
    return [
        replace(one, address_hash=one.address_hash or hashes.get(one.delivery_id or 0))
        for one in reported
    ]


def totals(db: Database) -> dict[str, int]:
    """Give the sums of all campaigns' mailbox facts."""
    with db.reading() as session:
        return dict(session.execute(select(MailboxTotal.event, MailboxTotal.n)).all())
