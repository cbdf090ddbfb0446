"""What the vendor's account is set to: plain questions (GET) on a kept connection, never a change.

A key that may only send mail is answered with 403, which is said as ``Forbidden`` and is no fault.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from mailprefs.vendor.connections import (
    Connection,
    Endpoint,
    NotConnected,
    Unclear,
    verified_tls,
)

TRACKING: Final = ("open", "click", "subscription", "google_analytics")
"""The account's four kinds of tracking, as the vendor names them in its addresses."""
_WEBHOOKS: Final = "/v3/user/webhooks/event/settings"
_TIMEOUT: Final = 10.0


class Forbidden(Exception):
    """The key may not read this; the text is for staff."""


class BadKey(Exception):
    """The vendor doesn't know the key (any more); the text is for staff."""


class NoAnswer(Exception):
    """The vendor wasn't reached, or said something that can't be read; the text is for staff."""


class Webhook(NamedTuple):
    """One event webhook of the account; *events* holds the kinds that it posts."""

    id: str
    url: str
    is_enabled: bool
    events: frozenset[str]


class Account:
    """The vendor's account, read with one key; for one thread at a time."""

    def __init__(self, api_key: str, host: str, *, timeout: float = _TIMEOUT) -> None:
        """Take a key, and a host such as ``https://api.sendgrid.com``; nothing is asked yet."""
        url = urlsplit(host)
        tls = verified_tls() if url.scheme == "https" else None
        place = Endpoint(str(url.hostname), url.port, tls, timeout, timeout)
        self._line = Connection(place)
        self._headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
        self.date: datetime | None = None
        """The vendor's clock, as its last answer said it."""

    def get(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON the vendor answers
        """Give the JSON of one address below the host.

        :raises BadKey: if the vendor doesn't know the key.
        :raises Forbidden: if the key may not read it.
        :raises NoAnswer: if there is no answer, or none that can be read.
        """
        try:
            reply = self._line.ask("GET", path, None, self._headers)
        except (NotConnected, Unclear) as failure:
            raise NoAnswer(str(failure).replace("; the vendor may have accepted it", "")) from None
        self.date = _date(reply.headers)
        if reply.status == 401:
            raise BadKey("The vendor doesn't know this key (401).")
        if reply.status == 403:
            raise Forbidden("The vendor answered 403.")
        if reply.status != 200:
            raise NoAnswer(f"The vendor answered {reply.status}.")
        try:
            return json.loads(reply.body)
        except ValueError:
            raise NoAnswer("The vendor's answer isn't JSON.") from None

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def webhooks(self) -> list[Webhook]:
        """List the event webhooks; raises as ``get`` does."""
        answer = self.get(f"{_WEBHOOKS}/all")
        found = answer.get("webhooks") if isinstance(answer, dict) else None
        return [_webhook(one) for one in found or () if isinstance(one, dict)]

    def signing_key(self, webhook_id: str) -> str:
        """Give the public key that a webhook's events are verified with; "" if it doesn't sign."""
        answer = self.get(f"{_WEBHOOKS}/signed/{quote(webhook_id, safe='')}")
        return str(answer.get("public_key") or "") if isinstance(answer, dict) else ""

    def tracking(self) -> list[str]:
        """List which of ``TRACKING`` the account has on by default; raises as ``get`` does."""
        return [
            kind
            for kind in TRACKING
            if _mapping(self.get(f"/v3/tracking_settings/{kind}")).get("enabled")
        ]

    def is_authenticated(self, domain: str) -> bool:
        """Tell whether mail from *domain* is signed for it; raises as ``get`` does."""
        answer = self.get(f"/v3/whitelabel/domains?domain={quote(domain)}")
        found = answer if isinstance(answer, list) else _mapping(answer).get("result", [])
        return any(
            _mapping(one).get("valid") is True
            and domain in {_mapping(one).get("domain"), _whole(_mapping(one))}
            for one in found
        )

    def is_verified(self, address: str) -> bool:
        """Tell whether the vendor has verified this one From address; raises as ``get`` does."""
        found = _mapping(self.get("/v3/verified_senders?limit=500")).get("results", [])
        return any(
            str(_mapping(one).get("from_email", "")).lower() == address.lower()
            and _mapping(one).get("verified") is True
            for one in found
        )


def _webhook(said: Mapping[str, Any]) -> Webhook:
    events = frozenset(word for word, value in said.items() if value is True and word != "enabled")
    return Webhook(
        str(said.get("id") or ""), str(said.get("url") or ""), bool(said.get("enabled")), events
    )


def _whole(said: Mapping[str, Any]) -> str:
    return f"{said.get('subdomain')}.{said.get('domain')}"


def _mapping(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _date(headers: Message) -> datetime | None:
    try:
        said = parsedate_to_datetime(str(headers.get("Date") or ""))
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)
