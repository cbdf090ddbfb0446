"""What somebody tells on our pages: that an address is a child's. It is kept like mail to us.

Anybody may say that of any address, so it changes nothing by itself: a person looks at it, and what
is erased then is erased like anybody else. Nothing is sent to the address, and nothing is kept of
whoever told. The row goes with the erasure, so that nothing says afterwards that it was a child.
"""

from datetime import datetime
from secrets import token_bytes
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import recipients
from mailprefs.addresses import HASH_BYTES, normalise
from mailprefs.errors import NotFound
from mailprefs.inbound.asking import Wish
from mailprefs.inbound.taking import Desk, pass_on
from mailprefs.schema.inbound import InboundRow
from mailprefs.vendor.message import InboundMail

_WORDS: Final = "Open it on the staff pages, and decide whether to erase what is kept of it."


def report_child(session: Session, desk: Desk, address: str, *, now: datetime) -> None:
    """Keep that somebody says so, for the privacy role; once while nobody has dealt with it.

    :raises BadAddress: for a text that is no address.
    """
    known = normalise(address)
    hashed = desk.hasher.hash(known.key)
    waits = select(InboundRow.id).where(
        InboundRow.sender_hash == hashed,
        InboundRow.wish == Wish.CHILD.value,
        InboundRow.handled_at.is_(None),
    )
    if session.scalar(waits.limit(1)) is not None:
        return
    person = recipients.find(session, desk.hasher, address)
    row = InboundRow(
        digest=token_bytes(HASH_BYTES),
        received_at=now,
        wish=Wish.CHILD.value,
        recipient_id=person.id if person else None,
        sender_hash=hashed,
        is_proven=False,
        body=known.address,
        attachments=[],
    )
    session.add(row)
    session.flush()
    # The message passes no address on: it lies in a mailbox that we can't erase it from.
    mail = InboundMail("", "", "A child’s address was reported", _WORDS, "")
    pass_on(session, desk, row, mail, now=now)
    session.flush()


def reported_address(session: Session, number: int) -> str:
    """Give the address of a report that nobody has dealt with yet.

    :raises NotFound: for anything else.
    """
    row = session.get(InboundRow, number)
    if row is None or row.wish != Wish.CHILD.value or row.handled_at or row.body is None:
        raise NotFound("There is no such report (any more); nothing was changed.")
    return row.body
