"""The vendor's event webhook: signed, stored, and only then answered with 200."""

import logging

from flask import Blueprint, Response, jsonify, request

from mailprefs import events
from mailprefs.errors import BadSignature
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

    :raises BadSignature: for a request that the vendor didn't sign, or while no key is set.
    :raises BadInput: for what isn't a JSON array.
    :raises StoreUnavailable: when nothing was stored.
    """
    request.max_content_length = LARGEST
    parts = here()
    raw = request.get_data(cache=False)
    _require_signature(parts, raw)
    parsed = parse_events(raw)
    for sentence in parsed.malformed:
        log.warning("The vendor's webhook: %s", sentence)
    with parts.db.transaction() as session:
        events.store_and_apply(session, parsed.events, now=parts.clock())
    return jsonify(events=len(parsed.events), set_aside=len(parsed.malformed))


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
