"""What the sandbox knows of a request, a message and a recipient, and how its rows become that."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from mailprefs.sandbox.substitutions import fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as its recipient gets it, every tag filled in."""

    id: int
    message_id: str
    accepted_at: datetime
    email: str
    name: str
    from_email: str
    from_name: str
    reply_to: str
    subject: str
    text: str
    html: str
    message_class: str
    headers: Mapping[str, str]
    custom_args: Mapping[str, str]
    substitutions: Mapping[str, str]
    mail_settings: Mapping[str, Any]
    tracking_settings: Mapping[str, Any]
    ip_pool: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One message in a list."""

    id: int
    accepted_at: datetime
    email: str
    name: str
    subject: str
    message_class: str


class Copy(NamedTuple):
    """What an event says of one message."""

    id: int
    message_id: str
    email: str
    custom_args: Mapping[str, str]
    bypasses_unsubscribes: bool = False


class Carried(NamedTuple):
    """One recipient whose message was accepted: in which request, and when that was at work.

    *began_at* is when its first bytes were here, *ended_at* when it was answered or dropped, None
    while neither has happened.
    """

    id: int
    request: int
    email: str
    message_class: str
    delivery: str
    campaign: str
    attempt: str
    began_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that came in.

    *status* None means that the connection was dropped unanswered; *connection* tells kept
    connections apart; *accepted* counts recipients, all of the request's or none. *attempt* is what
    the sender calls this request; from *began_at* to *ended_at* it was in flight.
    """

    at: datetime
    status: int | None
    mood: str | None
    message_id: str | None
    recipients: int
    accepted: int
    bytes: int
    connection: str
    attempt: str | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list: words in address, name or subject, one class, and from where on."""

    words: str = ""
    message_class: str = ""
    to: str = ""
    after: int = 0

    def values(self, **more: int) -> dict[str, object]:
        """Give the values of the statement that searches."""
        return {
            "words": self.words.strip().lower(),
            "class": self.message_class,
            "to": self.to,
            "after": self.after,
            **more,
        }


def rows(number: int, request: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """Give a row for each recipient: each entry of to, cc and bcc gets a message of its own."""
    shared_args = request.get("custom_args", {})
    for person in request["personalizations"]:
        args = {**shared_args, **person.get("custom_args", {})}
        subject = fill(
            person.get("subject") or request.get("subject", ""), person.get("substitutions", {})
        )
        own = {name: part for name, part in person.items() if name not in {"to", "cc", "bcc"}}
        for entry in (*person["to"], *person.get("cc", ()), *person.get("bcc", ())):
            name, message_class = entry.get("name", ""), args.get("mp_class", "")
            yield number, entry["email"], name, subject, message_class, json.dumps(own)


@lru_cache(maxsize=32)
def _shared(text: str) -> Mapping[str, Any]:
    shared: Mapping[str, Any] = json.loads(text)
    return shared


def copy(row: tuple[Any, ...]) -> Copy:
    """Read a row as whom one message goes to."""
    number, email, own, shared, message_id = row
    args = {**_shared(shared).get("custom_args", {}), **json.loads(own).get("custom_args", {})}
    bypass = _shared(shared).get("mail_settings", {}).get("bypass_unsubscribe_management", {})
    return Copy(number, message_id, email, args, bool(bypass.get("enable")))


def carried(row: tuple[Any, ...]) -> Carried:
    """Read a row as one accepted recipient and the request it came in."""
    number, email, message_class, own, shared, message_id, request, began, ended = row
    args = copy((number, email, own, shared, message_id)).custom_args
    return Carried(
        id=number,
        request=request,
        email=email,
        message_class=message_class,
        delivery=args.get("mp_delivery", ""),
        campaign=args.get("mp_campaign", ""),
        attempt=args.get("mp_attempt", ""),
        began_at=instant(began),
        ended_at=instant(ended),
    )


def instant(seconds: float | None) -> datetime | None:
    """Read an instant that may be missing."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def message(row: tuple[Any, ...]) -> Message:
    """Read a row as a message, every tag filled in."""
    number, email, name, subject, message_class, own_text, shared_text, at, message_id = row
    own, shared = json.loads(own_text), _shared(shared_text)
    pairs = own.get("substitutions", {})
    parts = {part["type"]: part["value"] for part in shared.get("content", ())}
    sender = own.get("from", shared["from"])
    return Message(
        id=number,
        message_id=message_id,
        accepted_at=datetime.fromtimestamp(at, UTC),
        email=email,
        name=name,
        from_email=sender["email"],
        from_name=sender.get("name", ""),
        reply_to=fill(shared.get("reply_to", {}).get("email", ""), pairs),
        subject=subject,
        text=fill(parts.get("text/plain", ""), pairs),
        html=fill(parts.get("text/html", ""), pairs),
        message_class=message_class,
        headers={**shared.get("headers", {}), **own.get("headers", {})},
        custom_args={**shared.get("custom_args", {}), **own.get("custom_args", {})},
        substitutions=pairs,
        mail_settings=shared.get("mail_settings", {}),
        tracking_settings=shared.get("tracking_settings", {}),
        ip_pool=shared.get("ip_pool_name"),
    )
