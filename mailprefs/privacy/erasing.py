"""Erasing a person: everything that the columns' marks name, in one transaction.

The marks in ``schema`` say for each column whether erasure deletes its row, empties it or keeps it,
and this module carries them out table by table: a table that is added later is covered by being
there. What stays is sums, a ledger whose links of the chain nobody can read, deliveries of nobody,
and the keyed hash that keeps the person from coming back by an import or a late event.

Whoever was erased looks from outside like somebody who was never known. Why they were erased is
stored nowhere.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Table, delete, false, or_, select, update
from sqlalchemy.orm import Session

from mailprefs import audit, consent, opens, recipients, suppressions
from mailprefs.addresses import Address, AddressHasher, normalise
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.deliveries import flight
from mailprefs.policy import Source
from mailprefs.privacy.sealing import seal
from mailprefs.schema.base import Erasure, Mark
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import ConsentEntry
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.erasures import ErasureOrder
from mailprefs.schema.events import MailboxFact, VendorEventRow
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.people import Recipient
from mailprefs.schema.tables import metadata

_KEYS: Final = frozenset({"recipient_id", "delivery_id", "address_hash", "sender_hash"})
_REPEATED_FOR: Final = timedelta(days=7)
"""So long the vendor may tell an event once more, which must not count a second time."""


class Asked(NamedTuple):
    """Who erases, by which door, and the keys of the installation."""

    source: Source
    actor: Actor
    hasher: AddressHasher


class Erased(NamedTuple):
    """What came of it: the number of the erasure, and the requests that the person may be in.

    Whoever answers waits for those to have begun or not (``jobs.in_flight.wait_for_calls``).
    """

    id: int
    calls: Sequence[int]


class _Whose(NamedTuple):
    """What everything of one person is found by."""

    recipient_id: int | None
    address_hash: bytes
    deliveries: Sequence[int]


def erase(session: Session, recipient_id: int, asked: Asked, *, now: datetime) -> Erased | None:
    """Erase one person; give what came of it, or None for somebody who is gone.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    person = recipients.by_id(session, recipient_id)
    if person is None:
        return None
    return _erase(session, normalise(person.address), person, asked, now)


def erase_address(session: Session, address: str, asked: Asked, *, now: datetime) -> Erased | None:
    """Erase whoever has *address*, and keep it from coming back also where nobody had it.

    Gives None where that was done before and nobody has come back.

    :raises BadAddress: for a text that is no address.
    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    known = normalise(address)
    person = recipients.find(session, asked.hasher, address)
    return _erase(session, known, person, asked, now)


def erased_key(delivery_id: int, what: str) -> str:
    """Give one key for everything of a kind about a delivery of nobody, so that it counts once."""
    text = f"erased {delivery_id} {what}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _erase(
    session: Session, known: Address, person: Recipient | None, asked: Asked, now: datetime
) -> Erased | None:
    address_hash = asked.hasher.hash(known.key)
    number = None if person is None else person.id
    calls: Sequence[int] = ()
    if person is not None:
        # What was read of the person must not be written back.
        session.expunge(person)
        calls = flight.carrying(session, person.id)
        audit.record(session, asked.actor, "recipient.erased", ("recipient", person.id), now=now)
    removed = _remove(session, number, address_hash, now)
    is_new = suppressions.erase(session, address_hash, asked.hasher.key_id, asked.source, now=now)
    if not is_new and not removed:
        return None
    order = ErasureOrder(
        address_hash=address_hash,
        address_key_id=asked.hasher.key_id,
        number=number,
        sealed=seal(asked.hasher, known.address),
        erased_at=now,
        removed=removed,
        calls=0,
        call_at=now,
    )
    session.add(order)
    session.flush()
    return Erased(order.id, calls)


def _remove(
    session: Session, recipient_id: int | None, address_hash: bytes, now: datetime
) -> dict[str, int]:
    """Carry out the marks for one person; give how many rows of which table that changed.

    Of an address that nobody has there may be something, too: what its owner wrote to us.
    """
    deliveries: Sequence[int] = ()
    if recipient_id is not None:
        opens.silence(session, recipient_id)
        deliveries = _deliveries(session, recipient_id)
    whose = _Whose(recipient_id, address_hash, deliveries)
    _remember_events(session, whose, now)
    _forget_forwards(session, whose)
    removed = {}
    # A table comes after those that its rows point to, so from the last to the first.
    for table in reversed(metadata.sorted_tables):
        changed = _carry_out(session, table, whose)
        if changed:
            removed[table.name] = changed
    return dict(sorted(removed.items()))


def _forget_forwards(session: Session, whose: _Whose) -> None:
    """Delete what the person wrote from the messages that passed it on to the contact."""
    forwards = select(InboundRow.forward_id).where(
        _of(session, metadata.tables[InboundRow.__tablename__], whose)
    )
    session.execute(delete(SingleValues).where(SingleValues.delivery_id.in_(forwards)))


def _deliveries(session: Session, recipient_id: int) -> Sequence[int]:
    """List everything that one person was or is to be sent."""
    his = Delivery.recipient_id == recipient_id
    in_campaigns = (
        select(Delivery.id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(his, Delivery.idempotency_key.is_(None))
    )
    single = select(Delivery.id).where(his, Delivery.idempotency_key.is_not(None))
    return [*session.scalars(in_campaigns), *session.scalars(single)]


def _remember_events(session: Session, whose: _Whose, now: datetime) -> None:
    """Note without the person what was counted lately: the vendor may tell it again."""
    facts = session.execute(
        select(MailboxFact.delivery_id, MailboxFact.event, MailboxFact.occurred_at).where(
            dialects.among(session, MailboxFact.delivery_id, whose.deliveries),
            MailboxFact.occurred_at > now - _REPEATED_FOR,
        )
    ).all()
    rows = [
        {
            "natural_key": erased_key(delivery_id, event),
            "kind": event,
            "occurred_at": at,
            "received_at": at,
        }
        for delivery_id, event, at in facts
    ]
    if rows:
        session.execute(dialects.insert(session, VendorEventRow).on_conflict_do_nothing(), rows)


def _carry_out(session: Session, table: Table, whose: _Whose) -> int:
    """Do with the person's rows of one table what its columns' marks ask for."""
    marks: dict[str, Mark] = {one.name: one.info["mark"] for one in table.columns}
    asked = {mark.erasure for mark in marks.values() if mark.personal}
    if table.name == ConsentEntry.__tablename__:
        return _forget(session, whose.recipient_id) if whose.recipient_id is not None else 0
    if Erasure.ROW in asked:
        return dialects.changed(session, delete(table).where(_of(session, table, whose)))
    if Erasure.NULL in asked:
        emptied: dict[str, Any] = {
            name: None for name, mark in marks.items() if mark.erasure is Erasure.NULL
        }
        return dialects.changed(
            session, update(table).where(_of(session, table, whose)).values(emptied)
        )
    return 0


def _of(session: Session, table: Table, whose: _Whose) -> ColumnElement[bool]:
    """Give which rows of a table are about the person; as ``tests/walks`` asks, there is a way."""
    names = set(table.c.keys())
    if table.name != Recipient.__tablename__ and not names & _KEYS:
        msg = f"Nothing in {table.name} says whose its rows are."
        raise LookupError(msg)
    ways: list[ColumnElement[bool]] = []
    # Nobody's number is no number: a row that is nobody's is not of somebody unknown.
    if whose.recipient_id is not None and "recipient_id" in names:
        ways.append(table.c.recipient_id == whose.recipient_id)
    if whose.recipient_id is not None and table.name == Recipient.__tablename__:
        ways.append(table.c.id == whose.recipient_id)
    if "delivery_id" in names:
        ways.append(dialects.among(session, table.c.delivery_id, whose.deliveries))
    elif table.name != Recipient.__tablename__:
        hashes = names & {"address_hash", "sender_hash"}
        ways += [table.c[name] == whose.address_hash for name in sorted(hashes)]
    return or_(false(), *ways)


def _forget(session: Session, recipient_id: int) -> int:
    """Make the person's entries in the ledger unreadable; give how many those were."""
    forgotten = 0
    while (some := consent.forget(session, recipient_id)) > 0:
        forgotten += some
    return forgotten
