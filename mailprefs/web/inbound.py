"""Mail to our mailbox, as the vendor's Inbound Parse posts it: dealt with before it says 2xx.

The vendor repeats for three days what is answered with 5xx, and forgets at once, without a word to
anybody, what is answered with 3xx or 4xx. So whatever is our own fault, a key that isn't set as
much as a bug, is 503; 403 is for what the vendor has not signed.
"""

import hashlib
import logging
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from mailprefs import inbound
from mailprefs.db.database import Gate
from mailprefs.errors import BadSignature, StoreUnavailable
from mailprefs.inbound.taking import token_of
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.vendor.inbound import parse_mail
from mailprefs.vendor.webhooks import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    check_freshness,
    is_signed,
)
from mailprefs.web import multipart
from mailprefs.web.current import here
from mailprefs.web.errors import trouble
from mailprefs.web.parts import Parts
from mailprefs.web.request_log import note

LARGEST: Final = 40 * 1024 * 1024
"""Bytes of one request; the vendor passes on mail of up to 30 MB."""
FRESHNESS: Final = timedelta(hours=73)
"""How old a signed request may be: the vendor repeats a mail for 72 hours."""
ANSWER: Final = "Received.\n"
_SETTING: Final = "MAILPREFS_SENDGRID_INBOUND_KEY"
_IN_MEMORY: Final = 1024 * 1024
_AT_ONCE: Final = 64 * 1024

log = logging.getLogger("mailprefs.web")
routes = Blueprint("inbound", __name__)


@routes.post("/webhooks/sendgrid/inbound/", strict_slashes=False)
def sendgrid_inbound() -> Response:
    """Take one mail in; the answer is the same whatever it says.

    :raises BadSignature: for a request that the vendor didn't sign.
    :raises StoreUnavailable: when it could not be dealt with, for whatever reason.
    """
    request.max_content_length = LARGEST
    try:
        _take(here())
    except (BadSignature, StoreUnavailable, HTTPException):
        raise
    except Exception as error:
        trouble(error)
        msg = "A mail could not be dealt with, and was not acknowledged."
        raise StoreUnavailable(msg) from error
    return Response(ANSWER, content_type="text/plain; charset=utf-8")


def desk(parts: Parts) -> inbound.Desk:
    """Give what is needed to deal with what people write to us."""
    settings = parts.settings
    return inbound.Desk(
        links=parts.links,
        hasher=parts.hasher,
        scope=settings.one_click_scope,
        contact=settings.contact,
        mailbox=settings.inbound_mailbox,
        base_url=settings.base_url,
    )


def _take(parts: Parts) -> None:
    """Read, check and deal with the mail of this request."""
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
        _require_signature(parts, _received(body, timestamp), timestamp)
        body.seek(0)
        posted = multipart.read(body, request.headers.get("Content-Type", ""))
    mail = parse_mail(posted.fields, posted.files)
    link = token_of(parts.links, mail)
    with parts.db.transaction(Gate.TAKING if link else Gate.NONE) as session:
        taken = inbound.take(session, desk(parts), mail, link, now=parts.clock())
    if link and taken.left is not None:
        note(recipient=taken.left, delivery=link.delivery_id)
        wait_for_requests(parts.db, taken.left)


def _received(body: IO[bytes], timestamp: str) -> bytes:
    """Put the request's body into a file; give the digest of what the vendor signs."""
    digest = hashlib.sha256(timestamp.encode())
    while piece := request.stream.read(_AT_ONCE):
        digest.update(piece)
        body.write(piece)
    return digest.digest()


def _require_signature(parts: Parts, digest: bytes, timestamp: str) -> None:
    """Pass what one of the configured keys has signed: two are there while one is replaced.

    :raises BadSignature: for anything else.
    :raises StoreUnavailable: without a key, and where the time doesn't fit: a clock may be wrong.
    """
    listed = parts.settings.sendgrid_inbound_key.split(",")
    keys = [key for part in listed if (key := part.strip())]
    if not keys:
        log.error("Mail to the mailbox waits at the vendor: %s is not set.", _SETTING)
        raise StoreUnavailable("No verification key is set here, so no mail is taken yet.")
    signature = request.headers.get(SIGNATURE_HEADER)
    if not any(is_signed(key, signature, digest, setting=_SETTING) for key in keys):
        raise BadSignature(f"The mail isn't signed by the key in {_SETTING}.")
    try:
        check_freshness(timestamp, now=parts.clock(), freshness=FRESHNESS)
    except BadSignature as error:
        log.error("Mail to the mailbox waits at the vendor: its time and this clock disagree.")  # noqa: TRY400 - what was raised says no more
        raise StoreUnavailable("The mail's time and this machine's clock disagree.") from error
