"""Who asks, for as long as the request runs, and how often somebody may ask.

An IP address is read here, turned into a count in memory, and forgotten: it is never stored, logged
or put in a queue.
"""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, Final, NamedTuple

from mailprefs.languages import gettext_noop
from mailprefs.settings import Settings

TOO_OFTEN: Final = gettext_noop(
    "There were many requests from where you are. Please try again in an hour."
)
"""What somebody is told who has used up their turns."""
_MOST_VISITORS: Final = 50_000
_HOME_BYTES: Final = 8
_V4, _V6 = 4, 16
_NEAR: Final = ("127.", "10.", "192.168.", "::1")
"""How most of those addresses begin that belong to nobody on the internet."""
_MAPPED: Final = bytes(10) + b"\xff\xff"


class Place(NamedTuple):
    """Where a request comes from, for as long as it runs: the address as text, and in bytes."""

    text: str
    packed: bytes

    @property
    def home(self) -> bytes:
        """Give what one household or company has in common: of IPv6 its network of 64 bits."""
        return self.packed if len(self.packed) == _V4 else self.packed[:_HOME_BYTES]


class Proxies:
    """Our own web servers in front, whose word about a visitor is believed."""

    def __init__(self, trusted: str) -> None:
        """Take MAILPREFS_TRUSTED_PROXIES: addresses and networks, comma-separated."""
        parts = filter(None, (part.strip() for part in trusted.split(",")))
        self._networks = [ip_network(part, strict=False) for part in parts]

    def nearest(self, environ: Mapping[str, Any]) -> str:
        """Give the visitor's address as text: the peer's, or what our own web servers say it is.

        ``X-Forwarded-For`` is read from the right and only as far as each hop is one of ours:
        anybody can write the rest.
        """
        current = str(environ.get("REMOTE_ADDR", ""))
        if not self._networks:
            return current
        hops = [hop.strip() for hop in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
        while hops and self._are_ours(current):
            current = hops.pop() or current
        return current

    def place(self, environ: Mapping[str, Any]) -> Place | None:
        """Give where on the internet a request comes from; None where that can't be told.

        It can't from an address of a private network, from rubbish, or where a web server that
        isn't known as ours says that it only passes a request on.
        """
        # The quick way out where nothing stands in front of us but, perhaps, a test.
        if not self._networks and environ.get("REMOTE_ADDR", "").startswith(_NEAR):
            return None
        text = self.nearest(environ)
        if "HTTP_X_FORWARDED_FOR" in environ and not self._are_ours(environ.get("REMOTE_ADDR", "")):
            return None
        packed = _packed(text)
        if packed is None or not _is_public(packed):
            return None
        return Place(inet_ntop(AF_INET, packed) if len(packed) == _V4 else text, packed)

    def _are_ours(self, text: object) -> bool:
        try:
            address = ip_address(str(text))
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


def visitor(environ: Mapping[str, Any], settings: Settings) -> str:
    """Give by what a visitor is counted: the address, or of IPv6 its network.

    One home has 2 to the 64 addresses of IPv6.
    """
    return _home(_proxies(settings.trusted_proxies).nearest(environ))


class Allowance:
    """How often each visitor may do something within a window of time, counted in memory only."""

    def __init__(self, most: int, window: timedelta, clock: Callable[[], datetime]) -> None:
        """Allow *most* times within each *window*; the counts end with it, and with the process."""
        self._most = most
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._begin(clock())

    def take(self, who: str) -> bool:
        """Take one turn of *who*; tell whether there was one left."""
        with self._lock:
            now = self._clock()
            if now - self._since >= self._window or len(self._taken) >= _MOST_VISITORS:
                self._begin(now)
            key = blake2b(who.encode(), key=self._secret, digest_size=8).digest()
            self._taken[key] += 1
            return self._taken[key] <= self._most

    def _begin(self, now: datetime) -> None:
        # Forgotten together with the counts, so that nobody's address can be tried out later.
        self._secret = secrets.token_bytes(32)
        self._since = now
        self._taken: Counter[bytes] = Counter()


@lru_cache(maxsize=8)
def _proxies(trusted: str) -> Proxies:
    return Proxies(trusted)


def _packed(text: str) -> bytes | None:
    """Give an address in 4 or 16 bytes; an IPv4 one that is written as IPv6 in 4."""
    try:
        packed = inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return None
    return packed.removeprefix(_MAPPED)


def _is_public(packed: bytes) -> bool:
    """Tell whether an address can belong to somebody on the internet (RFC 6890)."""
    first, second = packed[0], packed[1]
    if len(packed) == _V6:
        return first >> 5 == 1
    if first in {0, 10, 127} or first >= 224:
        return False
    return (first, second) not in {(192, 168), (169, 254)} and not (
        (first == 172 and 16 <= second < 32) or (first == 100 and 64 <= second < 128)
    )


def _home(text: str) -> str:
    """Give what one household or company has in common of an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        # A zone ("%eth0") is this machine's own word for a link and no part of the address.
        return str(ip_network((int(address), 8 * _HOME_BYTES), strict=False))
    return str(address)
