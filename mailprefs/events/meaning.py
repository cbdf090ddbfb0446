"""What an event says: of the delivery, of the mailbox, and of the person. Pure rules.

A bounce is hard unless it is one of these, which say nothing against the address for good:

* the vendor calls it ``blocked``: refused this time, and not on its own list of bounces;
* the code is a temporary one (4xx, RFC 3463 section 3.1), or says that the mailbox is full (5.2.2);
* it is about us and not about the mailbox: policy (5.7.x), content, reputation or volume.

What is about us doesn't count as a soft bounce of the mailbox either. A ``dropped`` message was
never tried: the vendor repeats what stands on its own lists.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from mailprefs.policy import SuppressionReason
from mailprefs.vendor.message import Event, VendorEvent


class Fact(StrEnum):
    """What can become known of one delivery; each is counted once."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    BLOCKED = "blocked"
    DROPPED = "dropped"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


class Meaning(NamedTuple):
    """What follows from one event.

    *suppression*: what it says against the address. *leaves*: the person left promotional mail.
    *is_echo*: the vendor only repeats its own list. *is_soft*: the mailbox refused for now.
    """

    fact: Fact | None = None
    suppression: SuppressionReason | None = None
    leaves: bool = False
    is_echo: bool = False
    is_soft: bool = False

    @property
    def takes(self) -> bool:
        """Tell whether it can take a permission away, and so needs the gate."""
        return self.suppression is not None or self.leaves or self.is_soft


TRACKING: Final = frozenset({Event.OPENED, Event.CLICKED})
"""Kinds that come only from a vendor that tracks."""
_NOTHING: Final = Meaning()
_HARD: Final = Meaning(Fact.BOUNCED, SuppressionReason.HARD_BOUNCE)
_PLAIN: Final = {
    Event.QUEUED: Meaning(Fact.QUEUED),
    Event.DELIVERED: Meaning(Fact.DELIVERED),
    Event.DEFERRED: Meaning(Fact.DEFERRED),
    Event.COMPLAINED: Meaning(Fact.COMPLAINED, SuppressionReason.COMPLAINED, leaves=True),
    Event.UNSUBSCRIBED: Meaning(Fact.UNSUBSCRIBED, leaves=True),
}
_DROPPED: Final = {
    "bounced": SuppressionReason.HARD_BOUNCE,
    "invalid": SuppressionReason.INVALID,
    "complained": SuppressionReason.COMPLAINED,
}
_ABOUT_US: Final = frozenset({"content", "reputation", "volume", "message", "quota"})
_ABOUT_US_CODE: Final = "5.7."
_FULL: Final = "5.2.2"
_TEMPORARY: Final = "4"
_BLOCKED: Final = "blocked"


def meaning(event: VendorEvent) -> Meaning:
    """Give what follows from *event*; nothing for a kind that says nothing of a delivery."""
    if event.kind is Event.REJECTED:
        return _dropped(event.reason)
    if event.kind is Event.BOUNCED:
        return _HARD if is_hard(event.type, event.status, event.reason) else _blocked(event)
    return _PLAIN.get(event.kind, _NOTHING)


def is_hard(kind: str | None, status: str | None, reason: str | None) -> bool:
    """Tell whether a bounce says that the address can't be mailed at all."""
    code = status or ""
    return not (
        kind == _BLOCKED
        or code.startswith((_TEMPORARY, _ABOUT_US_CODE))
        or code == _FULL
        or reason in _ABOUT_US
    )


def _dropped(reason: str | None) -> Meaning:
    return Meaning(
        Fact.DROPPED,
        _DROPPED.get(reason or ""),
        leaves=reason in {"unsubscribed", "complained"},
        is_echo=True,
    )


def _blocked(event: VendorEvent) -> Meaning:
    about_us = event.reason in _ABOUT_US or (event.status or "").startswith(_ABOUT_US_CODE)
    return Meaning(Fact.BLOCKED, is_soft=not about_us)
