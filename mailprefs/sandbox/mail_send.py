"""``POST /v3/mail/send`` as the vendor answers it, or as a mood makes it answer."""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from mailprefs.sandbox import parts
from mailprefs.sandbox.moods import ACCEPTING, Kind, Mood
from mailprefs.sandbox.records import Received
from mailprefs.vendor.preflight.people import emails
from mailprefs.vendor.preflight.request import MOST_REQUEST_BYTES, faults

bp = Blueprint("mail_send", __name__)

LINE = "mailprefs.sandbox.line"
"""Where a ``Line`` is in the WSGI environment, of which the application gets a copy."""

_INVALID_ADDRESS = "Does not contain a valid address."
_REFUSALS = {
    Kind.UNAUTHORIZED: (401, "The provided authorization grant is invalid, expired, or revoked"),
    Kind.FORBIDDEN: (403, "The from address does not match a verified Sender Identity."),
    Kind.REFUSE_MESSAGE: (400, "The from email does not contain a valid address."),
    Kind.TOO_MANY: (429, "too many requests"),
    Kind.TOO_FAST: (429, "too many requests"),
    Kind.ERROR: (500, "internal server error"),
    Kind.ERROR_AFTER: (500, "internal server error"),
    Kind.UNAVAILABLE: (503, "service unavailable"),
}


@dataclass(slots=True)
class Line:
    """What the server and the application tell each other about one request.

    It began when its first bytes were here; *is_dropped* asks the server to close the connection
    without an answer; *ended* is called with the instant at which either has happened.
    """

    began_at: datetime | None = None
    is_dropped: bool = False
    ended: Callable[[datetime], object] | None = None


@dataclass(frozen=True, slots=True)
class _Wish:
    """One request as it came in: its bytes, what they say, and the addresses in it."""

    raw: bytes
    said: Any
    addresses: tuple[str, ...]


@bp.post("/v3/mail/send")
def send() -> Response:
    """Accept a request, refuse it, or do what the mood says; every one of them is put down."""
    wish = _read(request.get_data())
    if refusal := _at_the_door(wish):
        return _put_down(wish, refusal)
    mood = parts.here().moods.take(wish.addresses)
    if mood and mood.kind not in ACCEPTING:
        if not parts.here().moods.waited(mood):
            return _dropped()
        return _put_down(wish, _in_a_mood(mood, wish), mood)
    if mood and mood.kind is Kind.ACCEPT_LATE and not parts.here().moods.waited(mood):
        return _dropped()
    found = [
        {"message": fault.problem, "field": fault.field or "null"}
        for fault in faults(wish.said, now=datetime.now(UTC))
    ]
    if found:
        return _put_down(wish, answer(400, found[:100]), mood)
    return _accept(wish, mood)


def answer(status: int, errors: list[dict[str, str]]) -> Response:
    """Give an error as the vendor writes it."""
    return Response(json.dumps({"errors": errors}), status, content_type="application/json")


def refusal(status: int, message: str, field: str = "null") -> Response:
    """Give one error as the vendor writes it."""
    return answer(status, [{"message": message, "field": field}])


def _read(raw: bytes) -> _Wish:
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = None
    people = said.get("personalizations") if isinstance(said, dict) else None
    found = emails(people) if isinstance(people, list) else ()
    return _Wish(raw, said, tuple(email.lower() for _, email in found))


def _at_the_door(wish: _Wish) -> Response | None:
    """Refuse who has no key, and what can't be read at all."""
    key = parts.here().settings.api_key
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    known = hmac.compare_digest(given.encode(), key.encode()) if key else bool(given)
    if scheme != "Bearer" or not known:
        return refusal(*_REFUSALS[Kind.UNAUTHORIZED])
    if len(wish.raw) >= MOST_REQUEST_BYTES:
        return _too_large()
    if request.mimetype != "application/json":
        return refusal(415, "Content-Type should be application/json.")
    if wish.said is None:
        return refusal(400, "Bad Request")
    return None


def _in_a_mood(mood: Mood, wish: _Wish) -> Response:
    """Give the answer of a mood that accepts nothing."""
    if mood.kind is Kind.DROP_BEFORE:
        return _dropped()
    if mood.kind is Kind.TOO_LARGE:
        return _too_large()
    if mood.kind is Kind.REDIRECT:
        return Response(status=302, headers={"Location": "/v3/mail/elsewhere"})
    if mood.kind is Kind.TEST_ONLY:
        return Response(status=200)
    if mood.kind is Kind.REFUSE_ADDRESS:
        return refusal(400, _INVALID_ADDRESS, _field(mood.address, wish.said))
    said = refusal(*_REFUSALS[mood.kind])
    if mood.retry_after is not None:
        said.headers["Retry-After"] = f"{mood.retry_after:g}"
    return said


def _field(address: str | None, said: Mapping[str, Any]) -> str:
    """Name the place of *address*, or of the first recipient, as the vendor does."""
    for place, email in emails(said.get("personalizations", [])):
        if address is None or email.lower() == address.lower():
            return ".".join(str(step) for step in place)
    return "personalizations.0.to.0.email"


def _accept(wish: _Wish, mood: Mood | None) -> Response:
    """Keep the mail first, and answer then: it counts even if nobody hears the answer."""
    message_id = secrets.token_urlsafe(16)
    said = Response(status=202, headers={"X-Message-Id": message_id})
    if mood and mood.kind is Kind.ERROR_AFTER:
        said = refusal(*_REFUSALS[mood.kind])
    if mood and mood.kind is Kind.DROP_AFTER:
        said = _dropped()
    _put_down(wish, said, mood, message_id)
    if mood and mood.kind is not Kind.ACCEPT_LATE:
        parts.here().moods.waited(mood)
    return said


def _put_down(
    wish: _Wish, said: Response, mood: Mood | None = None, message_id: str | None = None
) -> Response:
    here, line = parts.here(), _line()
    received = Received(
        at=datetime.now(UTC),
        status=None if line.is_dropped else said.status_code,
        mood=mood.kind.value if mood else None,
        message_id=message_id,
        recipients=len(wish.addresses),
        accepted=len(wish.addresses) if message_id else 0,
        bytes=len(wish.raw),
        connection=f"{request.remote_addr}:{request.environ.get('REMOTE_PORT', 0)}",
        attempt=_attempt(wish.said),
        began_at=line.began_at,
    )
    number = here.mailbox.keep(received, wish.said if message_id else {})
    line.ended = partial(here.mailbox.ended, number)
    if message_id:
        here.webhook.tell(number)
    return said


def _attempt(said: object) -> str | None:
    """Give what the sender calls this request, as it stands with its first recipient."""
    try:
        return str(said["personalizations"][0]["custom_args"]["mp_attempt"])  # type: ignore[index]  # anything can come in
    except (KeyError, IndexError, TypeError):
        return None


def _line() -> Line:
    """Give what the server is told of this request; without our server it is told nothing."""
    line: Line = request.environ.setdefault(LINE, Line())
    return line


def _dropped() -> Response:
    _line().is_dropped = True
    return refusal(500, "dropped")


def _too_large() -> Response:
    page = "<html><head><title>413 Request Entity Too Large</title></head></html>\r\n"
    return Response(page, status=413, content_type="text/html")
