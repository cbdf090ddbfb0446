"""What takes a permission away: bounces, complaints, and people who leave by the vendor's doors.

Everything a person chooses goes through ``preferences``, the one function behind every choice; what
a mailbox said goes through ``suppressions``. The caller takes permissions (``Gate.TAKING``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from mailprefs import consent, suppressions
from mailprefs.audit import SYSTEM
from mailprefs.consent import Recorded
from mailprefs.events import soft
from mailprefs.events.meaning import Meaning, meaning
from mailprefs.events.storing import Whose
from mailprefs.policy import Choice, Purpose, Source, SubscriptionState, SuppressionReason
from mailprefs.preferences import leaving
from mailprefs.preferences.choosing import Door
from mailprefs.preferences.holding import PERSON
from mailprefs.suppressions import Evidence
from mailprefs.vendor.message import VendorEvent

_YESES: Final = frozenset({SubscriptionState.SUBSCRIBED.value, Choice.GRANTED.value})


def take(
    session: Session, events: Sequence[VendorEvent], ours: Mapping[int, Whose], *, now: datetime
) -> None:
    """Apply what *events* take away, the earliest first.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    for event in sorted(events, key=lambda one: (one.occurred_at, one.natural_key)):
        said = meaning(event)
        whose = ours.get(event.delivery_id or 0)
        if whose is None or event.delivery_id is None or not said.takes:
            continue
        _believe(session, event.delivery_id, event.occurred_at, said, whose)
        if said.leaves and whose.recipient_id is not None:
            left_at = None if said.is_echo else event.occurred_at
            leave(
                session,
                whose.recipient_id,
                event.vendor_word,
                left_at,
                delivery_id=event.delivery_id,
                now=now,
            )
            _date_back(session, event, whose)
        if said.is_soft:
            soft.refused(session, event.delivery_id, whose, event.occurred_at, now=now)


def leave(  # noqa: PLR0913 - whose, by what, when, and for which message
    session: Session,
    recipient_id: int,
    method: str,
    left_at: datetime | None,
    *,
    delivery_id: int | None = None,
    now: datetime,
) -> bool:
    """End all promotional mail of somebody who left at the vendor; tell whether that was news.

    It was said at *left_at*, or, with None, at a time that the vendor doesn't tell. Who came back
    themselves after that has the last word, so an old list never takes a yes away again.
    """
    history = consent.history(session, recipient_id)
    if _is_answered(history, left_at):
        return False
    door = Door(
        source=Source.VENDOR,
        method=method,
        actor=SYSTEM,
        delivery_id=delivery_id,
        is_counted=False,
    )
    return leaving.opt_out_all(session, recipient_id, door, now=now).has_changed


def _is_answered(history: Sequence[Recorded], left_at: datetime | None) -> bool:
    """Tell whether the person said yes here after they left there.

    Without a time, a no is taken once: who has come back since isn't sent away by its echo.
    """
    about = [one.entry for one in history if one.entry.purpose == Purpose.PROMOTIONAL_EMAIL]
    if left_at is None:
        return any(one.source is Source.VENDOR and one.new not in _YESES for one in about)
    return any(
        one.actor == PERSON and one.new in _YESES and one.occurred_at > left_at for one in about
    )


def _believe(session: Session, delivery_id: int, at: datetime, said: Meaning, whose: Whose) -> None:
    if said.suppression is None or whose.address_hash is None or whose.key_id is None:
        return
    evidence = Evidence(
        whose.address_hash, whose.key_id, said.suppression, at, delivery_id, said.is_echo
    )
    suppressions.believe(session, evidence)


def _date_back(session: Session, event: VendorEvent, whose: Whose) -> None:
    """Let the no that is on file since a vendor's event be dated by the earliest of them."""
    if whose.address_hash is None or whose.key_id is None:
        return
    evidence = Evidence(
        whose.address_hash,
        whose.key_id,
        SuppressionReason.UNSUBSCRIBED,
        event.occurred_at,
        event.delivery_id,
    )
    suppressions.date_back(session, evidence)
