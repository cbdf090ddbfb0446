"""Who asks, for as long as the request runs, and how often somebody may ask.

An IP address is read here, turned into a count in memory, and forgotten: it is never stored, logged
or put in a queue.
"""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from mailprefs.settings import Settings

_MOST_VISITORS: Final = 50_000
_IPV6_HOME: Final = 64


def visitor(environ: Mapping[str, Any], settings: Settings) -> str:
    """Give the visitor's address: the peer's, or what our own web servers say it is.

    ``X-Forwarded-For`` is read from the right and only as far as each hop is one of
    MAILPREFS_TRUSTED_PROXIES: anybody can write the rest. An IPv6 address counts by its network,
    because one home has 2 to the 64 of them.
    """
    trusted = [
        ip_network(part.strip(), strict=False)
        for part in settings.trusted_proxies.split(",")
        if part.strip()
    ]
    current = str(environ.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    while hops and _is_one_of(current, trusted):
        current = hops.pop() or current
    return _home(current)


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


def _is_one_of(text: str, networks: list[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)


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
        return str(ip_network((int(address), _IPV6_HOME), strict=False))
    return str(address)
