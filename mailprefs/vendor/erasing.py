"""Have the vendor erase what it holds of some addresses: one order, which it takes or not.

An address goes to the vendor and nowhere else: no answer and no error that is told here repeats
one. One kept connection; nothing is retried or followed.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from mailprefs.vendor.connections import (
    Connection,
    Endpoint,
    NotConnected,
    Unclear,
    verified_tls,
)

PATH: Final = "/v3/recipients/erasejob"
MOST: Final = 5_000
"""Addresses of one order."""
MOST_BYTES: Final = 256_000
"""Of one order's body; the vendor says 256 kB."""
CALLS_A_MINUTE: Final = 100
_TAKEN: Final = 202
_TIMEOUT: Final = 30.0


class NotTaken(Exception):
    """The vendor hasn't taken the order; the text says why, for staff and without an address.

    *is_refused*: it has read it and doesn't want it, so that waiting alone mends nothing.
    """

    def __init__(self, sentence: str, *, is_refused: bool = False) -> None:
        super().__init__(sentence)
        self.is_refused = is_refused


class VendorErasure:
    """Erasing at one account, by one key; for one thread at a time.

    It doesn't reach the account's subusers, which have addresses of their own.
    """

    def __init__(self, api_key: str, host: str, *, timeout: float = _TIMEOUT) -> None:
        """Take a key, and a host such as ``https://api.sendgrid.com``; nothing is asked yet."""
        url = urlsplit(host)
        tls = verified_tls() if url.scheme == "https" else None
        self._line = Connection(Endpoint(str(url.hostname), url.port, tls, timeout, timeout))
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    def erase(self, addresses: Sequence[str]) -> None:
        """Order that everything about some addresses is erased; it may be ordered twice.

        :raises NotTaken: unless the vendor has accepted that.
        :raises ValueError: for more than one order can hold.
        """
        content = body(addresses)
        if not 0 < len(addresses) <= MOST or len(content) > MOST_BYTES:
            msg = f"One order holds 1 to {MOST:,} addresses in {MOST_BYTES:,} bytes."
            raise ValueError(msg)
        try:
            reply = self._line.post(PATH, content, self._headers)
        except (NotConnected, Unclear) as failure:
            said = str(failure).replace("; the vendor may have accepted it", "")
            raise NotTaken(said) from None
        if reply.status in {401, 403}:
            raise NotTaken(
                f"The vendor's erasure is closed to our key ({reply.status}). Make a key with"
                " access to Recipients' Data Erasure on the vendor's page, and set it as"
                " MAILPREFS_SENDGRID_READ_KEY."
            )
        if reply.status != _TAKEN:
            raise NotTaken(
                f"The vendor answered {reply.status} to the order to erase.",
                is_refused=reply.status in {400, 413},
            )

    def close(self) -> None:
        """Close the connection."""
        self._line.close()


def body(addresses: Sequence[str]) -> bytes:
    """Give the body of one order."""
    return json.dumps({"email_addresses": list(addresses)}).encode()


def orders(addresses: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut addresses into orders that the vendor takes."""
    at, size = 0, MOST
    while at < len(addresses):
        part = addresses[at : at + size]
        if len(body(part)) > MOST_BYTES:
            size = len(part) // 2
            continue
        yield part
        at, size = at + len(part), MOST
