"""What becomes of mail once the sandbox took it, where it is told: bounces, complaints and so on.

Without a fate a message is processed and then delivered. Which messages meet one hangs on their
address and on nothing else, so that a run can be repeated.
"""

import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from mailprefs import errors
from mailprefs.sandbox.records import Copy


class Kind(StrEnum):
    """One thing that can happen to a message, in the vendor's word where it has one."""

    BOUNCE = "bounce"
    """The mailbox refuses for good; the address goes on the list of bounces."""
    BLOCKED = "blocked"
    """The mailbox refuses for now."""
    INVALID = "invalid"
    """The vendor drops it, because the address can't exist."""
    DROPPED = "dropped"
    """The vendor drops it, with *reason*."""
    DEFERRED = "deferred"
    """The mailbox asks to try later, and takes it then."""
    SPAMREPORT = "spamreport"
    """Delivered, and then marked as spam; the address goes on that list."""
    UNSUBSCRIBE = "unsubscribe"
    """Delivered, and then left by the vendor's link; the address goes on that list."""
    GROUP_UNSUBSCRIBE = "group_unsubscribe"
    GROUP_RESUBSCRIBE = "group_resubscribe"


class Told(NamedTuple):
    """One event to be posted, and the list on which the address goes by it, if any."""

    word: str
    fields: Mapping[str, object]
    list_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """One fate: of *address*, or of a *share* (0 to 1) of all addresses.

    *status* and *reason* are what the events say, where the kind has such a thing.
    """

    kind: Kind
    address: str | None = None
    share: float = 1.0
    status: str | None = None
    reason: str | None = None

    def concerns(self, email: str) -> bool:
        """Tell whether mail to this address meets this fate; the same each time."""
        if self.address is not None:
            return self.address.lower() == email.lower()
        drawn = zlib.crc32(f"{self.kind} {email.lower()}".encode()) / 2**32
        return drawn < self.share

    def after_processed(self) -> list[Told]:
        """List what happens to a message that the vendor has processed."""
        return [*_REFUSED[self.kind](self)] if self.kind in _REFUSED else self._delivered()

    def _delivered(self) -> list[Told]:
        told = [Told("delivered", {})]
        if self.kind is Kind.DEFERRED:
            return [Told("deferred", {"attempt": "1", "response": self.reason or _LATER}), *told]
        return [*told, Told(self.kind.value, {}, _LISTS.get(self.kind))]


_LATER: Final = "451 4.7.1 try again later"
_LISTS: Final = {Kind.SPAMREPORT: "spam_reports", Kind.UNSUBSCRIBE: "unsubscribes"}


def _bounced(fate: Fate) -> list[Told]:
    status = fate.status or "5.1.1"
    reason = fate.reason or f"550 {status} no such user here"
    return [Told("bounce", {"type": "bounce", "status": status, "reason": reason}, "bounces")]


def _blocked(fate: Fate) -> list[Told]:
    status = fate.status or "4.2.2"
    reason = fate.reason or f"452 {status} mailbox full"
    return [Told("bounce", {"type": "blocked", "status": status, "reason": reason}, "blocks")]


_REFUSED: Final = {Kind.BOUNCE: _bounced, Kind.BLOCKED: _blocked}


class Fates:
    """The fates in force, the first that concerns a message wins; safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fates: tuple[Fate, ...] = ()

    def put(self, fates: Iterable[Fate]) -> None:
        """Replace all fates; with none, all mail is delivered."""
        with self._lock:
            self._fates = tuple(fates)

    def now(self) -> list[dict[str, Any]]:
        """List the fates in force as plain objects."""
        return [asdict(fate) for fate in self._fates]

    def of(self, copy: Copy) -> Fate | None:
        """Give the fate that one message meets."""
        return next((fate for fate in self._fates if fate.concerns(copy.email)), None)


def read(wish: object) -> list[Fate]:
    """Read one fate or a list of them from JSON.

    :raises BadInput: with what can be asked for.
    """
    return [_read(one) for one in (wish if isinstance(wish, list) else [wish])]


def _read(wish: object) -> Fate:
    known: dict[str, type | tuple[type, ...]] = {
        "kind": str, "address": str, "share": (int, float), "status": str, "reason": str,
    }  # fmt: skip
    if not isinstance(wish, dict) or wish.get("kind") not in list(Kind):
        raise errors.BadInput(f"A fate has a kind, one of: {', '.join(Kind)}.")
    given = {name: value for name, value in wish.items() if value is not None}
    for name, value in given.items():
        if name not in known or isinstance(value, bool) or not isinstance(value, known[name]):
            raise errors.BadInput(f"A fate has {', '.join(known)} and nothing else.")
    if not 0 <= given.get("share", 1) <= 1:
        raise errors.BadInput("A fate's share is between 0 and 1.")
    return Fate(**{**given, "kind": Kind(given["kind"])})
