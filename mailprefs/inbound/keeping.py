"""Mail to us as it is kept: listed without what it says, opened one by one, and dealt with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from mailprefs import audit, recipients
from mailprefs.audit import Actor
from mailprefs.errors import NotFound
from mailprefs.inbound.asking import Wish
from mailprefs.privacy import holds
from mailprefs.schema.deliveries import Delivery, OwnState, SingleValues
from mailprefs.schema.inbound import InboundRow


class Shown(NamedTuple):
    """One mail as staff see it; what it says is only there when it was opened."""

    id: int
    received_at: datetime
    wish: Wish
    is_proven: bool
    is_on_file: bool
    was_forwarded: bool
    was_answered: bool
    handled_at: datetime | None
    sender: str = ""
    subject: str = ""
    body: str = ""
    attachments: Sequence[Any] = ()


def listed(session: Session, *, limit: int, before_id: int | None = None) -> list[Shown]:
    """List mails that somebody may have to read, newest first, without what they say."""
    query = (
        select(InboundRow, Delivery.own_state)
        .outerjoin(Delivery, Delivery.id == InboundRow.forward_id)
        .where(InboundRow.wish != Wish.LEAVE.value)
        .order_by(InboundRow.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(InboundRow.id < before_id)
    return [_shown(row, state) for row, state in session.execute(query)]


def waiting(session: Session) -> int:
    """Give how many a person has to read and nobody has dealt with."""
    read = [wish.value for wish in Wish if wish.is_forwarded]
    query = select(func.count()).where(InboundRow.handled_at.is_(None), InboundRow.wish.in_(read))
    return session.scalar(query) or 0


def look_at(session: Session, number: int) -> Shown:
    """Give one mail with what it says, as long as that is kept.

    :raises NotFound: for a mail that isn't there (any more).
    """
    row = _found(session, number)
    forward = session.get(Delivery, row.forward_id) if row.forward_id else None
    return _shown(row, forward.own_state if forward else None)._replace(
        sender=row.sender or "",
        subject=row.subject or "",
        body=row.body or "",
        attachments=row.attachments,
    )


def handle(session: Session, number: int, actor: Actor, *, now: datetime) -> None:
    """Note that somebody has dealt with a mail, and delete what it says, here and in the forward.

    While a legal hold is in force on who wrote it, what it says stays.

    :raises NotFound: for a mail that isn't there (any more).
    """
    row = _found(session, number)
    if row.handled_at is not None:
        return
    row.handled_at, row.handled_by = now, actor.staff_id
    if not _is_held(session, row):
        row.sender = row.subject = row.body = None
        row.attachments = []
        if row.forward_id is not None:
            session.execute(delete(SingleValues).where(SingleValues.delivery_id == row.forward_id))
    audit.record(session, actor, "inbound_mail.handled", ("inbound_mail", number), now=now)


def _is_held(session: Session, row: InboundRow) -> bool:
    """Tell whether the law keeps what somebody wrote: whoever's token it held, or its sender."""
    person = None if row.recipient_id is None else recipients.by_id(session, row.recipient_id)
    hashes = {row.sender_hash, person.address_hash if person else None} - {None}
    return any(holds.in_force(session, one) for one in hashes if one is not None)


def _found(session: Session, number: int) -> InboundRow:
    row = session.get(InboundRow, number)
    if row is None or row.wish == Wish.LEAVE.value:
        msg = "There is no such mail (any more): each is deleted after 30 days."
        raise NotFound(msg)
    return row


def _shown(row: InboundRow, forward: OwnState | None) -> Shown:
    return Shown(
        id=row.id,
        received_at=row.received_at,
        wish=Wish(row.wish),
        is_proven=row.is_proven,
        is_on_file=row.recipient_id is not None,
        was_forwarded=row.forward_id is not None and forward is None,
        was_answered=row.link_id is not None,
        handled_at=row.handled_at,
    )
