"""How the sandbox's account is set wrongly, when it is told to be: each thing that doctor finds."""

import threading
from collections.abc import Iterable
from enum import StrEnum


class Wrong(StrEnum):
    """One way in which an account can be set wrongly."""

    FORBIDDEN = "forbidden"
    """The key may send mail and read nothing."""
    NO_WEBHOOK = "no_webhook"
    WEBHOOK_OFF = "webhook_off"
    WEBHOOK_ELSEWHERE = "webhook_elsewhere"
    UNSIGNED = "unsigned"
    OTHER_KEY = "other_key"
    EVENTS_MISSING = "events_missing"
    EVENTS_OF_TRACKING = "events_of_tracking"
    TRACKING_ON = "tracking_on"
    SENDER_UNKNOWN = "sender_unknown"
    ONE_SENDER = "one_sender"
    """The From address is verified by itself, and its domain isn't authenticated."""
    CLOCK = "clock"
    """Its clock is ten minutes ahead of ours."""


class Account:
    """What is wrong with the account at the moment; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: frozenset[Wrong] = frozenset()

    @property
    def wrong(self) -> frozenset[Wrong]:
        """Give what is wrong now."""
        with self._lock:
            return self._wrong

    def be(self, wrong: Iterable[Wrong]) -> None:
        """Be wrong in these ways from now on; with none, be as it should be."""
        with self._lock:
            self._wrong = frozenset(wrong)
