"""Events as the webhook's parser gives them, and how they are applied: slice by slice."""

from datetime import datetime, timedelta
from hashlib import blake2b

from sqlalchemy import select

from mailprefs import events
from mailprefs.db.database import Database, Gate
from mailprefs.schema.events import MailboxTotal
from mailprefs.vendor.message import Event, VendorEvent
from tests.sending import NOW


def event(
    delivery_id: int | None,
    kind: Event = Event.DELIVERED,
    *,
    seconds: float = 0,
    days: float = 0,
    event_id: str | None = None,
    **fields: str,
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
    """Store and apply events as the webhook does; give how many facts were new."""
    facts = 0
    for part in events.slices(reported):
        with db.transaction(Gate.TAKING if part.takes else Gate.NONE) as session:
            facts += events.store_and_apply(session, part.events, now=now)
    return facts


def totals(db: Database) -> dict[str, int]:
    """Give the sums of all campaigns' mailbox facts."""
    with db.reading() as session:
        return dict(session.execute(select(MailboxTotal.event, MailboxTotal.n)).all())
