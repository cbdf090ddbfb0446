"""Taking one mail in: obeyed if it holds a token of ours, and otherwise never dropped.

A sender's address proves nothing, as anybody can write any there. So no mail without a token ends,
begins or tells anything; the most that comes of it is a link to their own choices, mailed to the
address on file, where only its owner reads it. Programs are never answered, so nothing goes round.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import preferences, recipients
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.db import dialects
from mailprefs.deliveries import single
from mailprefs.errors import BadAddress, BadToken, MailprefsError, StoreUnavailable
from mailprefs.inbound import forwarding
from mailprefs.inbound.asking import Wish, places_of_token, wish_of
from mailprefs.links import Links, UnsubscribeLink
from mailprefs.policy import DataRequest, Source
from mailprefs.preferences import Door
from mailprefs.privacy import requests
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.people import Recipient, Sender
from mailprefs.settings import OneClickScope
from mailprefs.vendor.message import InboundMail

LINK_TEMPLATE: Final = "fresh_link"
LINK_EVERY: Final = timedelta(hours=1)
"""One link an hour to one address, however often and by whomever it is asked for."""
_METHOD: Final = "mail"

log = logging.getLogger("mailprefs.inbound")


class Desk(NamedTuple):
    """What is needed to deal with mail: *contact* and *mailbox* are our own addresses."""

    links: Links
    hasher: AddressHasher
    scope: OneClickScope
    contact: str
    mailbox: str
    base_url: str


class Taken(NamedTuple):
    """What came of a mail: what it asked for, whether it is new, and who left by it."""

    wish: Wish
    is_new: bool
    left: int | None = None


class _Writer(NamedTuple):
    """Who wrote: the keyed hash of the address in From, and who is on file under it."""

    hash: bytes | None
    person: Recipient | None
    is_ours: bool


class _Seen(NamedTuple):
    """A mail with who wrote it, what it asks for, and who left by the token in it."""

    mail: InboundMail
    writer: _Writer
    wish: Wish
    left: int | None


def token_of(links: Links, mail: InboundMail) -> UnsubscribeLink | None:
    """Give the token of ours that a mail holds; None if it holds none."""
    for place in places_of_token(mail):
        try:
            return links.read_mailto(place)
        except BadToken:
            continue
    return None


def take(
    session: Session,
    desk: Desk,
    mail: InboundMail,
    link: UnsubscribeLink | None,
    *,
    now: datetime,
) -> Taken:
    """Deal with a mail, once: a copy of it changes nothing.

    With *link*, the token in it, the edge opens the transaction with ``Gate.TAKING``.
    """
    if link is not None and recipients.by_id(session, link.recipient_id) is None:
        link = None
    writer = _writer(session, desk, mail)
    wish = Wish.AUTOMATIC if writer.is_ours else wish_of(mail, has_left=link is not None)
    left = link.recipient_id if link else None
    seen = _Seen(mail, writer, wish, left)
    row = _kept(session, desk.hasher, seen, now)
    if row is None:
        return Taken(wish, is_new=False, left=left)
    if link is not None:
        door = Door(Source.MAILTO, _METHOD, delivery_id=link.delivery_id)
        preferences.opt_out(
            session, link.recipient_id, link.topic_id, door, scope=desk.scope, now=now
        )
    if _may_get_link(wish, mail, writer):
        row.link_id = _tried(session, lambda: _link(session, desk, seen, now))
    if wish.is_forwarded:
        pass_on(session, desk, row, mail, now=now)
    session.flush()
    return Taken(wish, is_new=True, left=left)


def pass_on(
    session: Session, desk: Desk, row: InboundRow, mail: InboundMail, *, now: datetime
) -> None:
    """Queue the message to the contact about what is kept in *row*, if that can be done."""
    url = f"{desk.base_url}/staff/inbound"
    row.forward_id = _tried(
        session,
        lambda: forwarding.queue(session, desk.hasher, desk.contact, row, mail, url=url, now=now),
    )


def _writer(session: Session, desk: Desk, mail: InboundMail) -> _Writer:
    try:
        key = normalise(mail.address).key
    except BadAddress:
        return _Writer(None, None, is_ours=False)
    ours = {desk.contact.strip().casefold(), desk.mailbox.casefold()}
    ours |= {one.casefold() for one in session.scalars(select(Sender.from_address))}
    hashed = desk.hasher.hash(key)
    person = session.scalar(select(Recipient).where(Recipient.address_hash == hashed))
    return _Writer(hashed, person, is_ours=mail.address.casefold() in ours)


def _kept(session: Session, hasher: AddressHasher, seen: _Seen, now: datetime) -> InboundRow | None:
    """Keep a mail, with what it says if somebody may have to read it; None for a copy."""
    mail, on_file = seen.mail, seen.writer.person.id if seen.writer.person else None
    is_read = seen.wish is not Wish.LEAVE
    added = dialects.insert(session, InboundRow).values(
        # With a line break in it: no address has such a hash.
        digest=hasher.hash(f"inbound mail\n{mail.identity}"),
        received_at=now,
        wish=seen.wish.value,
        recipient_id=seen.left or on_file,
        sender_hash=seen.writer.hash,
        is_proven=mail.is_proven,
        sender=mail.sender if is_read else None,
        subject=mail.subject if is_read else None,
        body=mail.text if is_read else None,
        attachments=[list(one) for one in mail.attachments] if is_read else [],
        handled_at=None if is_read else now,
    )
    number = session.execute(
        added.on_conflict_do_nothing().returning(InboundRow.id)
    ).scalar_one_or_none()
    return None if number is None else session.get_one(InboundRow, number)


def _may_get_link(wish: Wish, mail: InboundMail, writer: _Writer) -> bool:
    """Tell whether a link to their choices goes to the address on file.

    Who asks for their data gets it in any case. Who only says "stop" may be somebody else in their
    name, whom the sender's domain would not vouch for.
    """
    if writer.person is None or writer.is_ours or mail.is_automatic:
        return False
    return wish is Wish.DATA or (wish is Wish.LEAVE_UNPROVEN and mail.is_proven)


def _link(session: Session, desk: Desk, seen: _Seen, now: datetime) -> int | None:
    """Mail the link to all that is stored of somebody who asks for it, else to their choices.

    The mail with the former leads to the latter as well, where one has oneself erased.
    """
    writer = seen.writer
    if writer.person is None:
        return None
    if seen.wish is Wish.DATA:
        kind = DataRequest.EXPORT
        return requests.ask(session, desk.links, desk.base_url, writer.person.id, kind, now=now)
    return single.queue_unless_lately(
        session, LINK_TEMPLATE, writer.person.id, {}, LINK_EVERY, now=now
    )


def _tried(session: Session, queue: Callable[[], int | None]) -> int | None:
    """Queue a message; where that can't be done, the mail is kept all the same, and told of."""
    try:
        with session.begin_nested():
            return queue()
    except StoreUnavailable:
        raise
    except MailprefsError as error:
        log.warning("A mail to us is kept, and no message about it could be queued. %s", error)
        return None
