"""The vendor's event webhook: signed, stored, and only then answered with 200."""

import logging
from collections import Counter
from collections.abc import Sequence

from flask import Blueprint, Response, jsonify, request

from mailprefs import events
from mailprefs.db.database import Gate
from mailprefs.errors import BadSignature
from mailprefs.vendor.message import MalformedOne
from mailprefs.vendor.webhooks import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    parse_events,
    verify_signature,
)
from mailprefs.web.current import here
from mailprefs.web.parts import Parts

LARGEST = 2 * 1024 * 1024
"""Bytes of one request; the vendor posts at most 768 kB."""

log = logging.getLogger("mailprefs.web")
routes = Blueprint("webhooks", __name__)


@routes.post("/webhooks/sendgrid/events")
def sendgrid_events() -> Response:
    """Store and apply a batch of events; the vendor repeats what isn't answered with 2xx.

    All of it is committed by then, slice by slice (``events.applying`` says why).

    :raises BadSignature: for a request that the vendor didn't sign, or while no key is set.
    :raises BadInput: for what isn't a JSON array.
    :raises StoreUnavailable: when nothing was stored.
    """
    request.max_content_length = LARGEST
    parts = here()
    raw = request.get_data(cache=False)
    _require_signature(parts, raw)
    parsed = parse_events(raw, parts.hasher)
    if parsed.malformed:
        _set_aside(parts, parsed.malformed)
    for part in events.slices(parsed.events):
        with parts.db.transaction(Gate.TAKING if part.takes else Gate.NONE) as session:
            applied = events.store_and_apply(session, part.events, now=parts.clock())
        if applied.undecided:
            with parts.db.transaction(Gate.TAKING) as session:
                events.decide_again(session, applied.undecided, now=parts.clock())
    return jsonify(events=len(parsed.events), set_aside=len(parsed.malformed))


def _set_aside(parts: Parts, found: Sequence[MalformedOne]) -> None:
    """Note the events that can't be read; one of them never holds up the others."""
    for sentence, n in Counter(one.sentence for one in found).items():
        log.warning("The vendor's webhook: %d events were set aside. %s", n, sentence)
    with parts.db.transaction() as session:
        events.set_aside(session, found, now=parts.clock())


def _require_signature(parts: Parts, raw: bytes) -> None:
    """Pass if one of the configured keys signed *raw*: two are there while one is replaced."""
    keys = [key for part in parts.settings.sendgrid_webhook_key.split(",") if (key := part.strip())]
    if not keys:
        log.error("A webhook request was refused: MAILPREFS_SENDGRID_WEBHOOK_KEY is not set.")
        raise BadSignature("No verification key is set here, so no webhook request is accepted.")
    signature = request.headers.get(SIGNATURE_HEADER)
    timestamp = request.headers.get(TIMESTAMP_HEADER)
    for key in keys[:-1]:
        try:
            return verify_signature(key, signature, timestamp, raw, now=parts.clock())
        except BadSignature:
            continue
    return verify_signature(keys[-1], signature, timestamp, raw, now=parts.clock())
