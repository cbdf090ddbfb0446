"""Passing a mail on to whoever answers for this installation, as one message of our own.

It goes through the ledger like every message, so it is retried, counted and told like one. It
comes from our own address, because nobody may send in a stranger's name; the sender's stands in it.
"""

import textwrap
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from mailprefs import recipients
from mailprefs.addresses import AddressHasher
from mailprefs.deliveries import single
from mailprefs.errors import BadAddress
from mailprefs.inbound.asking import Wish
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.inbound import InboundRow
from mailprefs.vendor.message import InboundMail

TEMPLATE: Final = "inbound_mail"
MOST: Final = 60
"""Mails passed on within WINDOW; what comes beyond them waits on the staff page, and is told."""
WINDOW: Final = timedelta(hours=1)
_LINES: Final = 5
_WIDTH, _NARROW = 200, 80
"""Characters of a line: a value of a message has room for 255 bytes."""
_ABOUT: Final[Mapping[Wish, str]] = {
    Wish.DATA: "It is about somebody's personal data; the law sets a time for the answer.",
    Wish.LEAVE_UNPROVEN: "It asks to be taken off the list, without the link of a message.",
    Wish.CHILD: "Somebody says that an address is a child's; it stands on the page below only.",
}
_PASSED_ON: Final = tuple(wish.value for wish in Wish if wish.is_forwarded)


class Unforwarded(NamedTuple):
    """Mails that should have been passed on and weren't: how many, and since when."""

    mails: int
    since: datetime


def queue(  # noqa: PLR0913 - what, to whom, under which number and when
    session: Session,
    hasher: AddressHasher,
    contact: str,
    row: InboundRow,
    mail: InboundMail,
    *,
    url: str,
    now: datetime,
) -> int | None:
    """Queue the message that passes *mail* on; None if there is no address, or too many came.

    :raises Conflict: while there is no administrative topic or no privacy policy.
    """
    if not _has_room(session, now):
        return None
    try:
        recipient_id = recipients.of_operator(session, hasher, contact, now=now)
    except BadAddress:
        return None
    values = _values(row, mail) | {"mail_url": url}
    return single.queue(session, TEMPLATE, recipient_id, values, f"mail {row.id}", now=now)


def unforwarded(session: Session) -> Unforwarded | None:
    """Give the mails that nobody was sent and nobody has dealt with; None if there are none."""
    failed = select(Delivery.id).where(
        Delivery.id == InboundRow.forward_id, Delivery.own_state.is_not(None)
    )
    n, since = session.execute(
        select(func.count(), func.min(InboundRow.received_at)).where(
            InboundRow.handled_at.is_(None),
            or_(
                and_(InboundRow.forward_id.is_(None), InboundRow.wish.in_(_PASSED_ON)),
                failed.exists(),
            ),
        )
    ).one()
    return Unforwarded(n, since) if n else None


def _has_room(session: Session, now: datetime) -> bool:
    lately = session.scalar(
        select(func.count()).where(
            InboundRow.received_at > now - WINDOW, InboundRow.forward_id.is_not(None)
        )
    )
    return (lately or 0) < MOST


def _values(row: InboundRow, mail: InboundMail) -> dict[str, str]:
    """Give the merge values: who wrote, what, and what has been done already."""
    values = {"sender": mail.sender or "nobody named", "title": mail.subject or "(no subject)"}
    about = _ABOUT.get(Wish(row.wish))
    if about:
        values["about"] = about
    if row.link_id is not None:
        values["done"] = "A link to their own choices is on its way to the address on file."
    width = _WIDTH if mail.text.isascii() else _NARROW
    lines = [part for line in mail.text.splitlines() for part in textwrap.wrap(line, width)]
    for number, line in enumerate(lines[:_LINES], 1):
        values[f"line_{number}"] = line
    if mail.attachments:
        names = ", ".join(one.name for one in mail.attachments)
        values["attached"] = f"Attached, and not kept here: {names}"
    return values
