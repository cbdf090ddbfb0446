"""The vendor's Event Webhook: whether a request is its own, and what happened to which delivery.

An event carries the person's address, an IP address, a user agent and free text of foreign mail
servers. None of these leaves this module: what goes on are ids, the time, words of ours, and the
keyed hash of the address, by which an event of another installation is told from one of ours.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from mailprefs import errors
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.vendor.message import Event, MalformedOne, ParsedEvents, VendorEvent

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"
FRESHNESS = timedelta(hours=25)
"""How old a signed request may be. The vendor retries for 24 hours, and whether it signs again is
not documented; a replay within that time is met by the keys of its events."""

_WORDS: Mapping[str, Event] = {
    "processed": Event.QUEUED,
    "dropped": Event.REJECTED,
    "delivered": Event.DELIVERED,
    "deferred": Event.DEFERRED,
    "bounce": Event.BOUNCED,
    "open": Event.OPENED,
    "click": Event.CLICKED,
    "spamreport": Event.COMPLAINED,
    "unsubscribe": Event.UNSUBSCRIBED,
    "group_unsubscribe": Event.UNSUBSCRIBED,
    "group_resubscribe": Event.SUBSCRIBED,
}
# What the vendor writes in `reason` and `bounce_classification`, and the word we keep for it.
_REASONS: Mapping[str, str] = {
    "unsubscribed address": "unsubscribed",
    "bounced address": "bounced",
    "spam reporting address": "complained",
    "invalid": "invalid",
    "invalid address": "invalid",
    "invalid smtpapi header": "message",
    "spam content (if spam checker app enabled)": "content",
    "recipient list over package quota": "quota",
    "technical failure": "technical",
    "content": "content",
    "reputation": "reputation",
    "frequency or volume too high": "volume",
    "mailbox unavailable": "mailbox",
    "unclassified": "unclassified",
}
_WORD = re.compile(r"[a-z_]{1,40}")
_EVENT_ID = re.compile(r"[!-~]{1,100}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ATTEMPT = re.compile(r"[0-9a-f]{1,64}")
_STATUS = re.compile(r"\d{3}|\d\.\d{1,3}\.\d{1,3}")
_SMTP_CODE = re.compile(r"\s*(\d{3})(?:[ -](\d\.\d{1,3}\.\d{1,3}))?(?![\d.])")
_NUMBER = re.compile(r"[1-9]\d{0,18}")
_LARGEST_ID = 2**63 - 1
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800  # the years 2000 to 2100


def verify_signature(
    public_key: str,
    signature: str | None,
    timestamp: str | None,
    raw: bytes,
    *,
    now: datetime,
) -> None:
    """Pass a webhook request only if the vendor signed these bytes, and not too long ago.

    *public_key* is the vendor's verification key (base64 of DER, without PEM lines); *signature*
    and *timestamp* are the two headers as they came, or None; *raw* is the body, byte for byte.

    :raises BadSignature: if the request isn't the vendor's, or is too old (or too far ahead).
    :raises BadSetting: if the key is no key: our fault, so the vendor must try again later.
    """
    digest = hashlib.sha256((timestamp or "").encode() + raw).digest()
    if not is_signed(public_key, signature, digest):
        raise errors.BadSignature(
            "The webhook request isn't signed by the key in MAILPREFS_SENDGRID_WEBHOOK_KEY. If the"
            " vendor sent it, compare the key with the one on the vendor's page."
        )
    check_freshness(timestamp or "", now=now)


def is_signed(
    public_key: str,
    signature: str | None,
    digest: bytes,
    *,
    setting: str = "MAILPREFS_SENDGRID_WEBHOOK_KEY",
) -> bool:
    """Tell whether the vendor signed the time and the body that *digest* (SHA-256) is made of.

    :raises BadSetting: if the key is no key; *setting* is where it stands.
    """
    key = _public_key(public_key, setting)
    try:
        given = base64.b64decode(signature or "", validate=True)
        key.verify(given, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def check_freshness(timestamp: str, *, now: datetime, freshness: timedelta = FRESHNESS) -> None:
    """Pass a signed time that is within *freshness* of *now*; ask only after the signature.

    :raises BadSignature: if it is further away, or no time at all.
    """
    seconds = int(timestamp) if re.fullmatch(r"[0-9]{1,12}", timestamp) else None
    if seconds is None or abs(now.timestamp() - seconds) > freshness.total_seconds():
        raise errors.BadSignature(
            "The webhook request was signed too long ago, or for another time. If the vendor sent"
            " it just now, check this machine's clock."
        )


def parse_events(raw: bytes, hasher: AddressHasher | None = None) -> ParsedEvents:
    """Read the events of one webhook request, keeping nothing personal.

    *hasher* makes of each address the hash that tells whether the event is about our recipient;
    without one, no event can be tied to anybody.

    An event that can't be read is set aside with the reason and never spoils the others; an event
    of a kind that we don't know is kept as ``Event.UNKNOWN``.

    :raises BadInput: if the request as a whole isn't a JSON array.
    """
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        raise errors.BadInput("The webhook request isn't JSON. Nothing was stored.") from None
    if not isinstance(entries, list):
        raise errors.BadInput("The webhook request isn't a JSON array. Nothing was stored.")
    events, malformed = [], []
    for entry in entries:
        try:
            events.append(_event(entry, hasher))
        except errors.BadInput as reason:
            malformed.append(MalformedOne(str(reason), _digest(entry)))
    return ParsedEvents(tuple(events), tuple(malformed))


@lru_cache(maxsize=8)
def _public_key(text: str, setting: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise errors.BadSetting(
            f"{setting} isn't a verification key. Copy it again from the vendor's page: one line of"
            " base64, without BEGIN and END."
        )
    return key


def _event(entry: object, hasher: AddressHasher | None) -> VendorEvent:
    if not isinstance(entry, dict):
        raise errors.BadInput("It isn't an object.")
    word = entry.get("event")
    if not isinstance(word, str) or not word:
        raise errors.BadInput("It doesn't say what happened.")
    moment = _moment(entry.get("timestamp"))
    return VendorEvent(
        event_id=_matching(_EVENT_ID, entry.get("sg_event_id")),
        natural_key=_natural_key(entry, word, moment),
        kind=_WORDS.get(word, Event.UNKNOWN),
        vendor_word=_matching(_WORD, word) or "other",
        occurred_at=datetime.fromtimestamp(moment, UTC),
        delivery_id=_id(entry.get("mp_delivery")),
        campaign_id=_id(entry.get("mp_campaign")),
        attempt=_matching(_ATTEMPT, entry.get("mp_attempt")),
        message_id=_message_id(entry.get("sg_message_id")),
        status=_status(entry),
        type=_matching(_WORD, entry.get("type")),
        reason=_reason(entry),
        address_hash=_hashed(entry.get("email"), hasher),
    )


def _hashed(address: object, hasher: AddressHasher | None) -> bytes | None:
    """Give the keyed hash of whom an event names; None for nobody."""
    if hasher is None or not isinstance(address, str):
        return None
    try:
        return hasher.hash(normalise(address).key)
    except errors.BadAddress:
        return None


def _moment(value: object) -> int:
    """Read Unix seconds, which some senders write as a text or with a fraction."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.BadInput("It doesn't say when it happened.")
    if not _EARLIEST <= value < _LATEST:
        raise errors.BadInput("Its time is out of range.")
    return int(value)


def _natural_key(entry: Mapping[str, Any], word: str, moment: int) -> str:
    """Give the same key to every copy of a happening, though the vendor's id may change.

    Delivery, word, time, and what tells repetitions within a second apart. An event without our
    delivery id is known by its message id, which names one recipient's copy.
    """
    whose = _id(entry.get("mp_delivery")) or entry.get("sg_message_id") or entry.get("sg_event_id")
    parts = [whose, word, moment, entry.get("attempt"), entry.get("url"), entry.get("url_offset")]
    return _digest(parts)


def _digest(value: object) -> str:
    """Give the same 32 characters for the same JSON value, from which it can't be read back."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _id(value: object) -> int | None:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    return number if (number := int(value)) <= _LARGEST_ID else None


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _message_id(value: object) -> str | None:
    """Give the part that all events of one request share: its ``X-Message-Id``."""
    return _matching(_MESSAGE_ID, value.split(".")[0]) if isinstance(value, str) else None


def _status(entry: Mapping[str, Any]) -> str | None:
    """Give the status, or the code at the head of what the other server said."""
    if given := _matching(_STATUS, entry.get("status")):
        return given
    for name in ("reason", "response"):
        said = entry.get(name)
        if isinstance(said, str) and (match := _SMTP_CODE.match(said)):
            return match[2] or match[1]
    return None


def _reason(entry: Mapping[str, Any]) -> str | None:
    """Give a word of ours for a reason that we know; the text itself may hold anything."""
    for name in ("bounce_classification", "reason"):
        said = entry.get(name)
        if isinstance(said, str) and said:
            return _REASONS.get(said.strip().lower(), "other")
    return None
