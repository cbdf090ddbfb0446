"""How the sandbox misbehaves, when it is told to: each way in which a vendor or a network fails."""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from mailprefs import errors


class Kind(StrEnum):
    """One way to misbehave; only ``delay``, ``accept_late`` and those named "after" accept."""

    DELAY = "delay"
    """Accept, and answer *seconds* later."""
    ACCEPT_LATE = "accept_late"
    """Accept only *seconds* later, whether anybody still waits for the answer or not."""
    DROP_AFTER = "drop_after"
    """Accept, and close the connection without an answer."""
    ERROR_AFTER = "error_after"
    """Accept, and answer 500."""
    DROP_BEFORE = "drop_before"
    """Close the connection without an answer, and accept nothing."""
    TOO_MANY = "too_many"
    """Answer 429, with *retry_after* where one is given."""
    TOO_FAST = "too_fast"
    """Answer 429 to every call beyond *calls* in any one second, and behave to all others."""
    REFUSE_ADDRESS = "refuse_address"
    """Answer 400 for *address*, in requests that hold it; without one, for the first recipient."""
    REFUSE_MESSAGE = "refuse_message"
    """Answer 400 for the message."""
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too_large"
    """Answer 413, with the HTML page that a proxy makes."""
    ERROR = "error"
    """Answer 500, and accept nothing."""
    UNAVAILABLE = "unavailable"
    REDIRECT = "redirect"
    TEST_ONLY = "test_only"
    """Answer 200 and accept nothing, as the vendor's own sandbox mode does."""


ACCEPTING = frozenset({Kind.DELAY, Kind.ACCEPT_LATE, Kind.DROP_AFTER, Kind.ERROR_AFTER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """One way to misbehave: for the next *times* requests that it concerns, or for ever (None).

    *seconds* is waited before any answer, *retry_after* goes with 429, *address* with a refusal,
    *calls* with ``too_fast``.
    """

    kind: Kind
    times: int | None = None
    seconds: float = 0.0
    retry_after: float | None = None
    address: str | None = None
    calls: int | None = None

    def concerns(self, addresses: Collection[str]) -> bool:
        """Tell whether a request to these (lower-case) addresses meets this mood."""
        return self.address is None or self.address.lower() in addresses


class Moods:
    """The moods in force, first come first served; safe to share between threads."""

    def __init__(self, moods: Iterable[Mood] = ()) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._moods = list(moods)
        self._taken: deque[float] = deque()

    def take(self, addresses: Collection[str]) -> Mood | None:
        """Give the mood that a request to *addresses* meets, and count it down."""
        with self._lock:
            for position, mood in enumerate(self._moods):
                if not mood.concerns(addresses) or not self._is_met(mood):
                    continue
                if mood.times is not None:
                    self._moods[position] = replace(mood, times=mood.times - 1)
                    if mood.times <= 1:
                        del self._moods[position]
                return mood
        return None

    def _is_met(self, mood: Mood) -> bool:
        """Tell whether a call meets a mood; one that is not too fast is counted, and met by none.

        Whatever second one looks at, so many calls were taken in it at most.
        """
        if mood.kind is not Kind.TOO_FAST:
            return True
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - 1:
            self._taken.popleft()
        if len(self._taken) >= (mood.calls or 1):
            return True
        self._taken.append(now)
        return False

    def waited(self, mood: Mood) -> bool:
        """Wait for a mood's seconds; False as soon as the sandbox is closed, which waits for it."""
        return not self._closed.wait(mood.seconds)

    def close(self) -> None:
        """End all waiting."""
        self._closed.set()

    def put(self, moods: Iterable[Mood]) -> None:
        """Replace all moods; with none, the sandbox behaves again."""
        with self._lock:
            self._moods = list(moods)

    def now(self) -> list[dict[str, Any]]:
        """List the moods in force as plain objects."""
        with self._lock:
            return [asdict(mood) for mood in self._moods]


def read(wish: object) -> list[Mood]:
    """Read one mood or a list of them from JSON.

    :raises BadInput: with what can be asked for.
    """
    wishes = wish if isinstance(wish, list) else [wish]
    return [_read(one) for one in wishes]


def _read(wish: object) -> Mood:
    known: dict[str, type | tuple[type, ...]] = {
        "kind": str, "times": int, "seconds": (int, float), "retry_after": (int, float),
        "address": str, "calls": int,
    }  # fmt: skip
    if not isinstance(wish, dict) or wish.get("kind") not in list(Kind):
        raise errors.BadInput(f"A mood has a kind, one of: {', '.join(Kind)}.")
    given = {name: value for name, value in wish.items() if value is not None}
    for name, value in given.items():
        if name not in known or isinstance(value, bool) or not isinstance(value, known[name]):
            raise errors.BadInput(f"A mood has {', '.join(known)}; {len(given)} were given.")
    if given["kind"] == Kind.TOO_FAST and given.get("calls", 0) < 1:
        raise errors.BadInput("A mood too_fast says how many calls a second are taken: calls.")
    if given.get("times", 1) < 1 or given.get("seconds", 0) < 0:
        raise errors.BadInput("A mood's times are at least 1 and its seconds not below 0.")
    return Mood(**{**given, "kind": Kind(given["kind"])})
