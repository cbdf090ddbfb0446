"""Which events are about our own mail, and whose.

A delivery's number says little by itself. Another installation on the same vendor account, or an
earlier one whose database is gone, counts from the same small numbers, and its events are signed
with the same key. So an event is ours if its number is a delivery of ours *and* it names the person
whom that delivery is for. Nobody's address changes here; who has another one is another recipient.

Whoever is erased can't be compared with: an event of theirs leaves its count, and nothing else.
"""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.events import storing
from mailprefs.events.storing import Whose
from mailprefs.schema.deliveries import Batch, HandOver
from mailprefs.vendor.message import VendorEvent

_NOT_IN_CALL = "-"

log = logging.getLogger("mailprefs.events")


def own(
    session: Session, events: Sequence[VendorEvent]
) -> tuple[list[VendorEvent], dict[int, Whose]]:
    """Give the events as far as they are ours, and whose their deliveries are.

    An event of somebody else's keeps no delivery and no hand-over, and one of ours keeps a
    hand-over only if that one really carried its delivery.
    """
    ours = storing.known(session, {event.delivery_id for event in events if event.delivery_id})
    foreign = [_is_foreign(event, ours) for event in events]
    if any(foreign):
        log.warning(
            "%d events name deliveries of ours and other people; they were not applied. Another "
            "installation uses the same vendor account: its webhook should post to itself.",
            sum(foreign),
        )
    cleared = [
        _disowned(event) if is_foreign else event
        for event, is_foreign in zip(events, foreign, strict=True)
    ]
    carried = _carried(session, cleared, ours)
    return [
        event if event.attempt is None or _pair(event) in carried else replace(event, attempt=None)
        for event in cleared
    ], ours


def _is_foreign(event: VendorEvent, ours: Mapping[int, Whose]) -> bool:
    whose = ours.get(event.delivery_id or 0)
    if whose is None or whose.is_erased:
        return False
    return event.address_hash != whose.address_hash


def _disowned(event: VendorEvent) -> VendorEvent:
    """Give an event without what looked like ours, under a key that none of ours ever has."""
    text = f"foreign {event.natural_key} {event.message_id}"
    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return replace(event, delivery_id=None, campaign_id=None, attempt=None, natural_key=key)


def _pair(event: VendorEvent) -> tuple[int | None, int | None]:
    return storing.attempt_of(event), event.delivery_id


def _carried(
    session: Session, events: Collection[VendorEvent], ours: Mapping[int, Whose]
) -> set[tuple[int | None, int | None]]:
    """Give the pairs of hand-over and delivery where the one really carried the other.

    A batch that was cut up since keeps its first id, and ``modes`` has a character for each
    delivery that it had when it was handed over.
    """
    pairs = {_pair(event) for event in events if event.delivery_id in ours}
    attempts = sorted({attempt for attempt, _ in pairs if attempt is not None})
    if not attempts:
        return set()
    rows = session.execute(
        select(HandOver.id, Batch.first_id, HandOver.modes)
        .join(Batch, Batch.id == HandOver.batch_id)
        .where(dialects.among(session, HandOver.id, attempts))
    )
    calls = {row.id: (row.first_id, row.modes) for row in rows}
    return {
        (attempt, delivery_id)
        for attempt, delivery_id in pairs
        if attempt in calls and delivery_id is not None and _is_in(*calls[attempt], delivery_id)
    }


def _is_in(first_id: int, modes: str, delivery_id: int) -> bool:
    return 0 <= delivery_id - first_id < len(modes) and (
        modes[delivery_id - first_id] != _NOT_IN_CALL
    )
