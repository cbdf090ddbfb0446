"""The vendor's Inbound Parse: what a mail to us says, from the fields that it is posted as.

Mail comes from anybody, so nothing in it is trusted to be well-formed: whatever can't be read is
read as far as it goes, and nothing here refuses a mail.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses
from html import unescape
from typing import Final, NamedTuple

from mailprefs.vendor.message import Attached, InboundMail

LONGEST_TEXT: Final = 20_000
LONGEST_HEADER: Final = 1_000
_MOST_ATTACHED: Final = 50
_MOST_READ: Final = 200_000
"""Characters of a body that are looked at."""
_LARGEST_RAW: Final = 2_000_000
"""Bytes of a mail that is posted as it came; its text stands at its beginning."""
_RAW: Final = ("email", "rawEmail")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@]{1,64}@[A-Za-z0-9.-]{1,253}")
_DKIM = re.compile(r"@([A-Za-z0-9.-]{1,253})\s*:\s*pass\b", re.IGNORECASE)
_PROGRAMS = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)([+._=-].*)?")
_LISTS: Final = ("List-Id", "List-Post", "X-Autoreply", "X-Autorespond", "X-Loop")
_BULK: Final = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})
_UNSEEN: Final = frozenset({"Cc", "Cs", "Cf", "Zl", "Zp"})

Fields = Mapping[str, bytes]


class _Whole(NamedTuple):
    """A mail's header, plain text, HTML and attachments, as far as they can be read."""

    header: Message
    text: str
    html: str
    attached: tuple[Attached, ...]


def parse_mail(fields: Fields, files: Sequence[Attached] = ()) -> InboundMail:
    """Give the mail that the vendor posted as *fields*; *files* are the attachments it named."""
    raw = next((fields[name] for name in _RAW if fields.get(name)), None)
    whole = _posted(fields, files) if raw is None else _as_it_came(raw)
    header, charsets = whole.header, _charsets(fields)
    sender = _decoded(_field(fields, "from", charsets) or _header(header, "From"))
    subject = _decoded(_field(fields, "subject", charsets) or _header(header, "Subject"))
    text = _tidy(whole.text or _without_tags(whole.html), LONGEST_TEXT, lines=True)
    address = _address(sender)
    return InboundMail(
        sender=_tidy(sender, LONGEST_HEADER),
        address=address,
        subject=_tidy(subject, LONGEST_HEADER),
        text=text,
        identity=_identity(header, sender, subject, text),
        attachments=whole.attached[:_MOST_ATTACHED],
        is_automatic=_is_automatic(header, address, _envelope_from(fields)),
        is_proven=_is_proven(fields, address),
    )


def _posted(fields: Fields, files: Sequence[Attached]) -> _Whole:
    charsets = _charsets(fields)
    header = HeaderParser().parsestr(_field(fields, "headers", charsets)[:_MOST_READ])
    named = tuple(
        Attached(_tidy(_decoded(one.name), 200) or "unnamed", _tidy(one.kind, 100)) for one in files
    )
    text, html = (_field(fields, name, charsets)[:_MOST_READ] for name in ("text", "html"))
    return _Whole(header, text, html, named)


def _as_it_came(raw: bytes) -> _Whole:
    """Read a mail in the form of RFC 5322, however broken it is."""
    raw = raw[:_LARGEST_RAW]
    try:
        message = message_from_bytes(raw)
        leaves = [part for part in message.walk() if not part.is_multipart()]
        texts = {kind: _first(leaves, kind) for kind in ("text/plain", "text/html")}
        named = tuple(
            Attached(_tidy(_decoded(name), 200) or "unnamed", part.get_content_type())
            for part in leaves
            if (name := part.get_filename())
        )
    # The parser of the standard library fails in these ways on mail that somebody made to be bad.
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        head, _, rest = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
        header = HeaderParser().parsestr(_text(head, None)[:_MOST_READ])
        return _Whole(header, _text(rest, None)[:_MOST_READ], "", ())
    return _Whole(message, texts["text/plain"], texts["text/html"], named)


def _first(leaves: Sequence[Message], kind: str) -> str:
    """Give the first text of a kind that is no attachment."""
    for part in leaves:
        if part.get_content_type() == kind and not part.get_filename():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                return _text(payload[: 4 * _MOST_READ], part.get_content_charset())[:_MOST_READ]
    return ""


def _charsets(fields: Fields) -> Mapping[str, str]:
    try:
        named = json.loads(fields.get("charsets", b"{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(named, dict):
        return {}
    return {name: charset for name, charset in named.items() if isinstance(charset, str)}


def _field(fields: Fields, name: str, charsets: Mapping[str, str]) -> str:
    return _text(fields.get(name, b""), charsets.get(name))


def _text(raw: bytes, charset: str | None) -> str:
    """Decode as UTF-8 where it is that, else as it says of itself, else as far as it goes."""
    # The encodings that switch between alphabets by ESC are ASCII to whoever doesn't know them.
    tries = [charset, "utf-8"] if b"\x1b" in raw else ["utf-8", charset]
    for one in filter(None, tries):
        try:
            return raw.decode(one)
        except (LookupError, ValueError):
            continue
    return raw.decode("utf-8", "replace")


def _header(header: Message, name: str) -> str:
    return str(header.get(name) or "")


def _decoded(text: str) -> str:
    """Decode the words of RFC 2047, where there are any that can be."""
    if "=?" not in text:
        return text
    try:
        parts = decode_header(text[: 20 * LONGEST_HEADER])
    except (MessageError, ValueError):
        return text
    return "".join(
        _text(part, charset) if isinstance(part, bytes) else part for part, charset in parts
    )


def _address(sender: str) -> str:
    """Give the address of a From header, or "" where it holds none or several."""
    try:
        found = {address for _, address in getaddresses([sender[: 5 * LONGEST_HEADER]]) if address}
    except (LookupError, RecursionError, ValueError):
        found = set()
    plain = {one for one in found if _ADDRESS.fullmatch(one)} or set(_ADDRESS.findall(sender)[:2])
    return plain.pop() if len(plain) == 1 else ""


def _tidy(text: str, longest: int, *, lines: bool = False) -> str:
    """Give text that can be stored and shown: no control characters, nothing that turns it."""
    text = text[: 2 * longest].replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(
        one if (lines and one in "\n\t") or unicodedata.category(one) not in _UNSEEN else " "
        for one in text
    )
    return (kept.strip() if lines else " ".join(kept.split()))[:longest]


def _without_tags(html: str) -> str:
    """Give the words of HTML; tags are taken off in one pass, however they are nested."""
    said: list[str] = []
    hides = ""
    for place, piece in enumerate(html.split("<")):
        tag, _, words = piece.partition(">") if place else ("", "", piece)
        name = tag[:10].lstrip("/").split(maxsplit=1)[0].lower() if tag[:10].strip("/ ") else ""
        if hides:
            hides = "" if tag.startswith("/") and name == hides else hides
        elif name in {"script", "style"} and not tag.startswith("/"):
            hides = name
        if not hides:
            said.append(("\n" if name in {"br", "p", "div", "tr", "li"} else "") + words)
    return unescape("".join(said))


def _identity(header: Message, sender: str, subject: str, text: str) -> str:
    """Give what is the same for all copies of a mail, whoever repeats it: vendor or mail server."""
    number = _header(header, "Message-ID").strip()
    told = [number] if number else [*(f"{name}: {said}" for name, said in header.items()), text]
    whole = json.dumps([sender, subject, *told])
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def _envelope_from(fields: Fields) -> str | None:
    """Give where bounces of the mail go; None where the vendor doesn't say."""
    try:
        envelope = json.loads(fields.get("envelope", b"null"))
    except (ValueError, RecursionError):
        return None
    sender = envelope.get("from") if isinstance(envelope, dict) else None
    return sender if isinstance(sender, str) else None


def _is_automatic(header: Message, address: str, envelope_from: str | None) -> bool:
    """Tell whether a program wrote this, a list passed it on, or it is a bounce (RFC 3834)."""
    said = _header(header, "Auto-Submitted").partition(";")[0].strip().lower()
    local = address.partition("@")[0].lower()
    return (
        said not in {"", "no"}
        or _header(header, "Precedence").strip().lower() in _BULK
        or any(header.get(name) is not None for name in _LISTS)
        or (envelope_from is not None and envelope_from.strip(" <>") == "")
        or _header(header, "Return-Path").strip() == "<>"
        or header.get_content_type() == "multipart/report"
        or _PROGRAMS.fullmatch(local) is not None
    )


def _is_proven(fields: Fields, address: str) -> bool:
    """Tell whether DKIM or SPF passed for the domain that stands in From."""
    domain = address.rpartition("@")[2].lower()
    vouching = [one.lower() for one in _DKIM.findall(_text(fields.get("dkim", b""), None)[:5_000])]
    if _text(fields.get("SPF", b""), None).strip().lower() == "pass":
        vouching.append((_envelope_from(fields) or "").rpartition("@")[2].lower())
    return any(
        "." in one and (domain == one or domain.endswith(f".{one}")) for one in vouching if domain
    )
