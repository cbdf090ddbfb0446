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

from sqlalchemy import Table, delete, or_, select, update
from sqlalchemy.orm import Session

from mailprefs import audit, consent, opens, recipients, suppressions
from mailprefs.addresses import Address, AddressHasher, normalise
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.deliveries import flight
from mailprefs.policy import Source
from mailprefs.privacy import holds
from mailprefs.privacy.sealing import seal, seal_copy
from mailprefs.privacy.whose import Whose, known_by, rows_about, whole
from mailprefs.schema.base import Erasure, Mark
from mailprefs.schema.choices import ConsentEntry
from mailprefs.schema.deliveries import SingleValues
from mailprefs.schema.erasures import ErasureOrder
from mailprefs.schema.events import MailboxFact, VendorEventRow
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.people import Recipient
from mailprefs.schema.tables import metadata

_REPEATED_FOR: Final = timedelta(days=7)
"""So long the vendor may tell an event once more, which must not count a second time."""


class Asked(NamedTuple):
    """Who erases, by which door, and the keys of the installation.

    *is_child*: the person is under 13, and no legal hold keeps them on file.
    """

    source: Source
    actor: Actor
    hasher: AddressHasher
    is_child: bool = False


class Erased(NamedTuple):
    """What came of it: the number of the erasure, and the requests that the person may be in.

    Whoever answers waits for those to have begun or not (``jobs.in_flight.wait_for_calls``). There
    is no number while a legal hold puts the erasure off: no mail goes to the person any more, and
    the rest is done when it is lifted.
    """

    id: int | None
    calls: Sequence[int]


def erase(session: Session, recipient_id: int, asked: Asked, *, now: datetime) -> Erased | None:
    """Erase one person; give what came of it, or None for somebody who is gone.

    While a legal hold is in force it is remembered only, unless the person is a child.

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


def erase_held(
    session: Session, address_hash: bytes, asked: Asked, *, now: datetime
) -> Erased | None:
    """Erase whoever was held under an address, where the last hold on them is over.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    person = session.scalar(select(Recipient).where(Recipient.address_hash == address_hash))
    return None if person is None else erase(session, person.id, asked, now=now)


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
        calls = flight.carrying(session, person.id)
        if _is_put_off(session, person, asked, now):
            return Erased(None, calls)
        # What was read of the person must not be written back.
        session.expunge(person)
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


def _is_put_off(session: Session, person: Recipient, asked: Asked, now: datetime) -> bool:
    """Tell whether a legal hold puts an erasure off; it is remembered then.

    A child's is done at once. What was held goes into one copy that only the privacy role can have
    opened, and nothing else is left that could be looked at, mailed or measured.
    """
    held = holds.in_force(session, person.address_hash)
    if not held:
        return False
    if not asked.is_child:
        holds.put_off(session, person, asked.source, asked.actor, now)
        return True
    if all(one.sealed is None for one in held):
        held[0].sealed = seal_copy(asked.hasher, whole(session, person))
    session.flush()
    return False


def _remove(
    session: Session, recipient_id: int | None, address_hash: bytes, now: datetime
) -> dict[str, int]:
    """Carry out the marks for one person; give how many rows of which table that changed.

    Of an address that nobody has there may be something, too: what its owner wrote to us.
    """
    if recipient_id is not None:
        opens.silence(session, recipient_id)
    whose = known_by(session, recipient_id, address_hash)
    _remember_events(session, whose, now)
    _forget_forwards(session, whose)
    removed = {}
    # A table comes after those that its rows point to, so from the last to the first.
    for table in reversed(metadata.sorted_tables):
        changed = _carry_out(session, table, whose)
        if changed:
            removed[table.name] = changed
    return dict(sorted(removed.items()))


def _forget_forwards(session: Session, whose: Whose) -> None:
    """Delete what the person wrote from the messages that passed it on to the contact."""
    forwards = select(InboundRow.forward_id).where(
        rows_about(session, metadata.tables[InboundRow.__tablename__], whose)
    )
    session.execute(delete(SingleValues).where(SingleValues.delivery_id.in_(forwards)))


def _remember_events(session: Session, whose: Whose, now: datetime) -> None:
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


def _carry_out(session: Session, table: Table, whose: Whose) -> int:
    """Do with the person's rows of one table what its columns' marks ask for."""
    marks: dict[str, Mark] = {one.name: one.info["mark"] for one in table.columns}
    asked = {mark.erasure for mark in marks.values() if mark.personal}
    if table.name == ConsentEntry.__tablename__:
        return _forget(session, whose.recipient_id) if whose.recipient_id is not None else 0
    if Erasure.ROW in asked:
        return dialects.changed(session, delete(table).where(rows_about(session, table, whose)))
    if Erasure.NULL in asked:
        emptied: dict[str, Any] = {
            name: None for name, mark in marks.items() if mark.erasure is Erasure.NULL
        }
        held = or_(*(table.c[name].is_not(None) for name in emptied))
        about = rows_about(session, table, whose)
        return dialects.changed(session, update(table).where(about, held).values(emptied))
    return 0


def _forget(session: Session, recipient_id: int) -> int:
    """Make the person's entries in the ledger unreadable; give how many those were."""
    forgotten = 0
    while (some := consent.forget(session, recipient_id)) > 0:
        forgotten += some
    return forgotten
