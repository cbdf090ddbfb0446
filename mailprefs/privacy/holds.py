"""Legal holds: nothing of one person is deleted while a hold on their data is in force.

Erasing asks here first, and so does every rule of retention (``jobs.retention.stepping``). A person
is found by the keyed hash of the address, so that a hold stays when a child is erased under it.
What lifting one brings about is in ``lifting``.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, or_, select, text, true
from sqlalchemy.orm import QueryableAttribute, Session

from mailprefs import audit, opens, recipients, suppressions
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.errors import NotFound
from mailprefs.policy import Source, SuppressionReason
from mailprefs.privacy.whose import deliveries
from mailprefs.schema.base import Base
from mailprefs.schema.deliveries import Batch, Delivery
from mailprefs.schema.legal import LegalHold
from mailprefs.schema.people import Recipient


class Held(NamedTuple):
    """Whose data is held: by number, by keyed hash, and by what they were or are to be sent."""

    people: frozenset[int] = frozenset()
    addresses: frozenset[bytes] = frozenset()
    deliveries: frozenset[int] = frozenset()

    @property
    def campaigns(self) -> frozenset[int]:
        """Give the campaigns of which something is held."""
        return frozenset(one >> 32 for one in self.deliveries)

    def spares(self, session: Session, of: type[Base]) -> ColumnElement[bool]:
        """Give which rows of a table may be deleted: those of nobody whose data is held."""
        return and_(true(), *self._others(session, of))

    def spares_batches(
        self, session: Session, batch_id: QueryableAttribute[int]
    ) -> ColumnElement[bool]:
        """Give which rows about a batch may be deleted: nobody was in it whose data is held."""
        if not self.deliveries:
            return true()
        theirs = dialects.among(session, Delivery.id, self.deliveries)
        within = Delivery.id.between(Batch.first_id, Batch.last_id)
        return ~exists().where(Batch.id == batch_id, theirs, within)

    def _others(self, session: Session, of: type[Base]) -> Iterator[ColumnElement[bool]]:
        """Give, for each column that can say whose a row is, that it is nobody's of these."""
        if not self.addresses:
            return
        columns = of.metadata.tables[of.__tablename__].c
        number = "id" if of is Recipient else "recipient_id"
        for name, ids in ((number, self.people), ("delivery_id", self.deliveries)):
            if name in columns:
                yield or_(columns[name].is_(None), ~dialects.among(session, columns[name], ids))
        for name in {"address_hash", "sender_hash"} & set(columns.keys()):
            yield or_(columns[name].is_(None), columns[name].not_in(self.addresses))


NOBODY: Final = Held()


def place(
    session: Session, recipient_id: int, actor: Actor, *, reason: str, now: datetime
) -> LegalHold:
    """Hold everything that is kept of one person, from the commit on; on record.

    A person may be held more than once, for more than one reason.

    :raises BadInput: without a reason in a sentence, or with an address in it.
    :raises NotFound: for somebody who is gone.
    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``, which keeps an
        erasure from passing by.
    """
    require_taking(session)
    because = suppressions.written_reason(reason)
    person = recipients.by_id(session, recipient_id)
    if person is None:
        msg = f"There is no recipient {recipient_id}; of who was erased nothing is left to hold."
        raise NotFound(msg)
    hold = LegalHold(
        address_hash=person.address_hash,
        address_key_id=person.address_key_id,
        reason=because,
        placed_at=now,
        placed_by=actor.staff_id,
    )
    session.add(hold)
    session.flush()
    subject = ("recipient", recipient_id)
    details = {"hold": hold.id}
    audit.record(
        session, actor, "legal_hold.placed", subject, now=now, reason=because, details=details
    )
    return hold


def in_force(session: Session, address_hash: bytes) -> list[LegalHold]:
    """List the holds on the data of who has an address, oldest first."""
    found = session.scalars(
        select(LegalHold)
        .where(LegalHold.address_hash == address_hash, LegalHold.lifted_at.is_(None))
        .order_by(LegalHold.id)
    )
    return list(found)


def by_id(session: Session, hold_id: int) -> LegalHold:
    """Give one hold, in force or lifted.

    :raises NotFound: for a number that no hold has.
    """
    found = session.get(LegalHold, hold_id)
    if found is None:
        msg = f"There is no legal hold {hold_id}."
        raise NotFound(msg)
    return found


def listed(session: Session, *, limit: int = 100) -> list[LegalHold]:
    """List holds, those in force first, and the newest of each first."""
    found = session.scalars(
        select(LegalHold)
        .order_by(LegalHold.lifted_at.is_not(None), LegalHold.id.desc())
        .limit(limit)
    )
    return list(found)


def held(session: Session) -> Held:
    """Give whose data is held, for a transaction that deletes some; nobody is added until its end.

    The caller asks before it reads or changes anything else.
    """
    if not dialects.is_sqlite(session):
        session.execute(text("LOCK TABLE legal_holds IN SHARE MODE"))
    query = select(LegalHold.address_hash).where(LegalHold.lifted_at.is_(None))
    addresses = frozenset(session.scalars(query))
    if not addresses:
        return NOBODY
    people = session.scalars(select(Recipient.id).where(Recipient.address_hash.in_(addresses)))
    numbers = frozenset(people)
    sent = frozenset(each for one in numbers for each in deliveries(session, one))
    return Held(numbers, addresses, sent)


def put_off(
    session: Session, person: Recipient, source: Source, actor: Actor, now: datetime
) -> None:
    """Remember that an erasure was asked for while a hold is in force, and mail no more.

    From the commit on no mail goes to the person and nothing more is measured, as if it were done.
    """
    first = in_force(session, person.address_hash)[0]
    if first.erasure_asked_at is None:
        first.erasure_asked_at, first.erasure_source = now, source
        subject = ("recipient", person.id)
        details = {"hold": first.id}
        audit.record(session, actor, "erasure.put_off", subject, now=now, details=details)
    suppressions.add(
        session,
        person.address_hash,
        person.address_key_id,
        SuppressionReason.ERASED,
        source,
        now=now,
    )
    opens.mute(session, [person.id])
