"""What a fetch of a pixel is: by its user agent, and where that isn't enough, by who asks.

Who asks is looked at only where it decides something, while the request runs. No address and
nothing made of one is kept, but for keyed numbers in memory: they count for ten seconds, and the
first fetch after twenty forgets them.
"""

import secrets
import threading
from collections import deque
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from mailprefs.geo import Countries
from mailprefs.relays import Relays
from mailprefs.spool import Record
from mailprefs.useragents import RULESET, Client, OpenKind, Reason, Verdict, classify
from mailprefs.web.parts import Parts
from mailprefs.web.visitors import Place, Proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

BURST_PEOPLE: Final = 5
BURST_SECONDS: Final = 10.0
_KEY_SECONDS: Final = 86_400.0
_MOST_PLACES: Final = 16_384
_KEY_BYTES: Final = 8


class Bursts:
    """Tells a scanner by this: from one place, five people's pictures within ten seconds.

    In memory only, by a number that a random key makes of address and campaign; the key is drawn
    anew each day. Whoever wasn't seen for twenty seconds is forgotten by the next fetch of anybody;
    when too many places are under way, the older half is forgotten early.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new_key_at = 0.0

    def has(self, place: bytes, subject: int, at: float) -> bool:
        """Note one fetch of a delivery's picture at a time (in seconds); tell if it is of a burst.

        The first four of a burst can't be known for it; only what follows is labelled.
        """
        with self._lock:
            if not self._new_key_at - _KEY_SECONDS <= at < self._new_key_at:
                self._begin(at)
            self._forget(at)
            mac = self._keyed.copy()
            mac.update(place + (subject >> 32).to_bytes(8, "big"))
            return self._is_full(mac.digest(), subject, at)

    def _begin(self, at: float) -> None:
        self._keyed = blake2b(key=secrets.token_bytes(32), digest_size=_KEY_BYTES)
        self._new_key_at = at + _KEY_SECONDS
        self._window = at // BURST_SECONDS
        self._recent: dict[bytes, deque[tuple[float, int]]] = {}
        self._older: dict[bytes, deque[tuple[float, int]]] = {}

    def _forget(self, at: float) -> None:
        window = at // BURST_SECONDS
        # Threads come here a little out of order: one window back is no reason.
        if window - self._window not in {-1.0, 0.0}:
            self._older = self._recent if window - self._window == 1 else {}
            self._recent, self._window = {}, window

    def _is_full(self, key: bytes, subject: int, at: float) -> bool:
        seen = self._recent.get(key)
        if seen is None:
            seen = self._older.pop(key, None) or deque(maxlen=BURST_PEOPLE)
            if len(self._recent) >= _MOST_PLACES:
                self._older, self._recent = self._recent, {}
            self._recent[key] = seen
        while seen and not 0 <= at - seen[0][0] <= BURST_SECONDS:
            seen.popleft()
        if all(one != subject for _, one in seen):
            seen.append((at, subject))
        return len(seen) >= BURST_PEOPLE


class Known(NamedTuple):
    """What follows from a user agent alone: the ``rest`` of an open's record, and of a load's.

    *asks*: who asks may change the verdict, or has a country.
    """

    opened: bytes
    loaded: bytes
    asks: bool
    verdict: Verdict


class Judge:
    """Decides what is recorded of a fetch, besides whose it is and when."""

    def __init__(self, parts: Parts) -> None:
        """Follow the files that the installation may have."""
        settings = parts.settings
        self._proxies = Proxies(settings.trusted_proxies)
        self._relays = Relays(settings.data_dir, parts.clock)
        path = settings.country_db
        self._countries = Countries(path, parts.clock) if path else None
        self._bursts = Bursts()

    def rest(
        self, environ: "WSGIEnvironment", verdict: Verdict, delivery: int | None, at: float
    ) -> bytes | None:
        """Give a record's ``rest`` by who asks; None where that can't be told.

        *verdict*: what the user agent alone says; *delivery*: None for a link that counts loads.
        """
        place = self._proxies.place(environ)
        if place is None:
            return None
        return _rest(*self._looked_at(verdict, place, delivery, at), delivery is None)

    def _looked_at(
        self, verdict: Verdict, place: Place, delivery: int | None, at: float
    ) -> tuple[Verdict, str | None]:
        is_relay = self._relays.hold(place.packed)
        if verdict.reason is Reason.APPLE_PRIVACY:
            return of_apple(verdict, is_relay=is_relay), None
        # Behind Apple's relays many people share an address, and none of them lives there.
        if is_relay:
            return verdict, None
        if delivery is not None and self._bursts.has(place.home, delivery, at):
            return Verdict(OpenKind.SCANNER, Reason.BURST, Client.UNKNOWN), None
        return verdict, self._countries.of(place.text) if self._countries else None


def of_apple(verdict: Verdict, *, is_relay: bool | None) -> Verdict:
    """Judge a fetch that calls itself as Apple's does, by Apple's list if there is a fresh one."""
    if is_relay is None:
        return verdict
    if is_relay:
        return verdict._replace(reason=Reason.APPLE_LISTED)
    return Verdict(OpenKind.UNKNOWN, Reason.APPLE_UNLISTED, Client.UNKNOWN)


@lru_cache(maxsize=4096)
def known(user_agent: str) -> Known:
    """Give what follows from a user agent; at most LONGEST characters of it are to be given."""
    verdict = classify(user_agent)
    asks = verdict.kind is OpenKind.DIRECT or verdict.reason is Reason.APPLE_PRIVACY
    return Known(_rest(verdict, None, False), _rest(verdict, None, True), asks, verdict)


@lru_cache(maxsize=4096)
def _rest(verdict: Verdict, country: str | None, loads: bool) -> bytes:  # noqa: FBT001 - of a cache
    kind, reason, client = verdict
    return Record(0, loads, 0, kind, reason, client, country, RULESET).rest
