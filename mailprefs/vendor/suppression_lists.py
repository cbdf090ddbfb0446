"""The vendor's suppression lists: read page by page, and one address taken off.

An address goes no further than whoever asked, who hashes it; what a foreign mail server said stays
here but for a word of ours. One kept connection; nothing is retried or followed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from mailprefs.vendor.connections import (
    LONGEST_ANSWER,
    Connection,
    Endpoint,
    NotConnected,
    Reply,
    Unclear,
    verified_tls,
)

PAGE: Final = 500
"""Entries of one answer; the vendor gives no more."""
_SMALLEST_PAGE: Final = 25
_PATH: Final = "/v3/suppression"
_STATUS: Final = re.compile(r"\d{3}|\d\.\d{1,3}\.\d{1,3}")
_MOST_PAGES: Final = 20_000


class ListName(StrEnum):
    """The lists, as the vendor names them in its addresses."""

    BOUNCES = "bounces"
    INVALID = "invalid_emails"
    COMPLAINTS = "spam_reports"
    LEFT = "unsubscribes"
    BLOCKS = "blocks"


class Listed(NamedTuple):
    """One address on a list: since when, and the code with which its mailbox refused."""

    address: str
    since: datetime
    status: str | None

    def __repr__(self) -> str:
        """Say when, and not who."""
        return f"Listed(since={self.since.isoformat()}, status={self.status!r})"


class ListsForbidden(Exception):
    """The key may not read or change the lists; the text says what to do."""


class ListsUnavailable(Exception):
    """The lists couldn't be read now; the text says why, without an address."""


class SuppressionLists:
    """The lists of one account, by one key; for one thread at a time."""

    def __init__(self, api_key: str, host: str, *, timeout: float = 30.0) -> None:
        """Take a key, and a host such as ``https://api.sendgrid.com``; nothing is asked yet."""
        url = urlsplit(host)
        tls = verified_tls() if url.scheme == "https" else None
        self._line = Connection(Endpoint(str(url.hostname), url.port, tls, timeout, timeout))
        self._headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}

    def listed(self, name: ListName, *, since: datetime, until: datetime) -> Iterator[Listed]:
        """Give what came onto a list in a time, page by page.

        :raises ListsForbidden: if the key may not read it.
        :raises ListsUnavailable: if the vendor can't be reached or answers anything else.
        """
        asked = {"start_time": int(since.timestamp()), "end_time": int(until.timestamp())}
        size, skip = PAGE, 0
        for _ in range(_MOST_PAGES):
            reply = self._ask("GET", f"{_PATH}/{name}?" + _query(asked, size, skip))
            # Reasons are free text; a page of long ones is more than is read of one answer.
            if len(reply.body) >= LONGEST_ANSWER and size > _SMALLEST_PAGE:
                size //= 2
                continue
            entries = _entries(reply)
            yield from (one for entry in entries if (one := _listed(entry)) is not None)
            if len(entries) < size:
                return
            skip += size
        raise ListsUnavailable(f"The vendor's list {name} has no end.")

    def holds(self, name: ListName, address: str) -> bool:
        """Tell whether a list holds an address; raises as ``listed`` does."""
        reply = self._ask("GET", f"{_PATH}/{name}/{quote(address, safe='')}")
        return reply.status == 200 and bool(_entries(reply))

    def take_off(self, name: ListName, address: str) -> bool:
        """Take an address off a list; tell whether it was there. Raises as ``listed`` does."""
        path = f"{_PATH}/{name}/{quote(address, safe='')}"
        return self._ask("DELETE", path).status == 204

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _ask(self, method: str, path: str) -> Reply:
        try:
            reply = self._line.ask(method, path, None, self._headers)
        except (NotConnected, Unclear) as failure:
            said = str(failure).replace("; the vendor may have accepted it", "")
            raise ListsUnavailable(said) from None
        if reply.status in {401, 403}:
            raise ListsForbidden(
                f"The vendor's suppression lists are closed to our key ({reply.status}). Make a key"
                " with access to Suppressions on the vendor's page, and set it as"
                " MAILPREFS_SENDGRID_READ_KEY."
            )
        if reply.status not in {200, 204, 404}:
            raise ListsUnavailable(f"The vendor answered {reply.status} for its suppression lists.")
        return reply


def _query(asked: Mapping[str, int], size: int, skip: int) -> str:
    return urlencode({**asked, "limit": size, "offset": skip})


def _entries(reply: Reply) -> list[Any]:
    try:
        found = json.loads(reply.body) if reply.status == 200 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ListsUnavailable("The vendor's answer isn't a list of suppressed addresses.")
    return found


def _listed(entry: object) -> Listed | None:
    """Read one entry; None for one that names nobody or no time."""
    said = entry if isinstance(entry, dict) else {}
    address, created, status = said.get("email"), said.get("created"), said.get("status")
    if not isinstance(address, str) or "@" not in address:
        return None
    if isinstance(created, bool) or not isinstance(created, int) or not 0 < created < 2**33:
        return None
    code = status if isinstance(status, str) and _STATUS.fullmatch(status) else None
    return Listed(address, datetime.fromtimestamp(created, UTC), code)
