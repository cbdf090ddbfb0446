"""The vendor's suppression lists, as the sandbox keeps them: who bounced, complained or left.

They are filled by what the sandbox was told to report (``fates``), and hold mail back as the
vendor's do: a message to somebody on a list is accepted, and then dropped.
"""

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

NAMES: Final = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")
_DROPS: Final = {
    "bounces": "Bounced Address",
    "invalid_emails": "Invalid",
    "spam_reports": "Spam Reporting Address",
    "unsubscribes": "Unsubscribed Address",
}
"""What the vendor writes of a message that it drops; a block holds nothing back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One address on one list, since when (Unix seconds), and what was said."""

    email: str
    created: int
    reason: str = ""
    status: str = ""


class Lists:
    """All lists of one sandbox; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: dict[str, dict[str, Entry]] = {name: {} for name in NAMES}

    def put(self, name: str, email: str, *, reason: str = "", status: str = "") -> None:
        """Put an address on a list, as of now."""
        entry = Entry(email=email, created=int(time.time()), reason=reason, status=status)
        with self._lock:
            self._lists[name][email.lower()] = entry

    def take_off(self, name: str, email: str) -> bool:
        """Take an address off a list; tell whether it was there."""
        with self._lock:
            return self._lists[name].pop(email.lower(), None) is not None

    def page(self, name: str, *, since: int, until: int, limit: int, skip: int) -> list[Any]:
        """List a part of a list as plain objects, newest first."""
        with self._lock:
            found = [one for one in self._lists[name].values() if since <= one.created <= until]
        found.sort(key=lambda one: (-one.created, one.email))
        return [asdict(one) for one in found[skip : skip + limit]]

    def of(self, name: str, email: str) -> list[dict[str, Any]]:
        """Give what one list holds of one address."""
        with self._lock:
            entry = self._lists[name].get(email.lower())
        return [] if entry is None else [asdict(entry)]

    def drops(self, email: str, *, bypass_unsubscribes: bool) -> str | None:
        """Give why mail to an address is dropped; None if it isn't."""
        with self._lock:
            for name, reason in _DROPS.items():
                is_bypassed = name == "unsubscribes" and bypass_unsubscribes
                if email.lower() in self._lists[name] and not is_bypassed:
                    return reason
        return None
