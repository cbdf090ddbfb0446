"""Asking for all that is kept of oneself, or to be erased: by a link mailed to the address on file.

Whoever asks, and by whichever door, the link goes to nobody but the mailbox on file, and only who
opens that mail can use it: once, and within ``LINK_HOLDS``. Of the link's random number the
database has only a hash. A GET uses nothing up, as programs open every link of a mail.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from mailprefs.deliveries import single
from mailprefs.links import NONCE_BYTES, Links
from mailprefs.policy import DataRequest
from mailprefs.schema.requests import DataRequestRow

TEMPLATES: Final = {DataRequest.EXPORT: "export_link", DataRequest.ERASE: "erasure_link"}
"""The mail with the link, by what is asked for; its link is ``{{ request_url }}``."""
LINK_HOLDS: Final = timedelta(hours=72)
"""How long a link is good."""
BETWEEN_MAILS: Final = timedelta(days=1)


def ask(  # noqa: PLR0913 - who asks for what, and what the mail's link is made with
    session: Session,
    links: Links,
    base_url: str,
    recipient_id: int,
    kind: DataRequest,
    *,
    now: datetime,
) -> int | None:
    """Mail a person the link for *kind*; give the delivery's id, None if one went within a day.

    The edge says the same in both cases, and for an address that nobody has.

    :raises NotFound: for an unknown person.
    :raises Conflict: while there is no administrative topic or no privacy policy.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    values = {"request_url": base_url + links.request_path(kind, nonce)}
    queued = single.queue_unless_lately(
        session, TEMPLATES[kind], recipient_id, values, BETWEEN_MAILS, now=now
    )
    if queued is not None:
        session.add(
            DataRequestRow(
                nonce_hash=_hashed(nonce),
                recipient_id=recipient_id,
                kind=kind,
                asked_at=now,
                expires_at=now + LINK_HOLDS,
                used_at=None,
            )
        )
        session.flush()
    return queued


def whose(session: Session, kind: DataRequest, nonce: bytes, *, now: datetime) -> int | None:
    """Give whom a link is about without using it up; None for one that ``redeem`` would refuse."""
    return session.scalar(select(DataRequestRow.recipient_id).where(_is_good(kind, nonce, now)))


def redeem(session: Session, kind: DataRequest, nonce: bytes, *, now: datetime) -> int | None:
    """Use a link up; give whom it is about, or None if it is unknown, used up or too old.

    One statement, so that of two clicks at the same time one counts. Whoever is erased by it loses
    the row of this request as well.
    """
    used = update(DataRequestRow).where(_is_good(kind, nonce, now)).values(used_at=now)
    return session.scalar(used.returning(DataRequestRow.recipient_id))


def _is_good(kind: DataRequest, nonce: bytes, now: datetime) -> ColumnElement[bool]:
    return and_(
        DataRequestRow.nonce_hash == _hashed(nonce),
        DataRequestRow.kind == kind,
        DataRequestRow.used_at.is_(None),
        DataRequestRow.expires_at > now,
    )


def _hashed(nonce: bytes) -> bytes:
    return sha256(nonce).digest()
