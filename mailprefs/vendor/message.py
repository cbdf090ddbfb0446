"""What is handed to a vendor, what it answers, and the events it reports: neutral shapes.

Nothing here knows a vendor's field names and nothing imports a third-party package, so that
everything above the seam, and every fake in a test, speaks these words only. No shape shows an
address, a merge value or a body when it is printed: a ``repr`` ends in logs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, Self, overload

from mailprefs.policy import MessageClass


class Personal(NamedTuple):
    """One recipient's part of a request.

    *substitutions* maps each tag of the mailing's bodies to this
    person's text (never empty); *headers* are the person's own message headers.
    """

    address: str
    name: str | None
    substitutions: Mapping[str, str]
    headers: Mapping[str, str]
    delivery_id: int

    def __repr__(self) -> str:
        """Name the delivery only."""
        return f"Personal(delivery_id={self.delivery_id})"


@dataclass(frozen=True, slots=True, repr=False)
class People(Sequence[Personal]):
    """Everybody's part of one request, column by column: the same tags and headers for all.

    Columns, because a campaign makes and quotes a million values, and one call for each of them
    costs more than the value. Whoever wants one person's part takes it by position.
    """

    addresses: Sequence[str]
    names: Sequence[str | None]
    delivery_ids: Sequence[int]
    substitutions: Mapping[str, Sequence[str]]
    headers: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, people: Sequence[Personal]) -> Self:
        """Give *people* as columns.

        :raises ValueError: unless all of them have the same tags and headers.
        """
        first = people[0] if people else Personal("", None, {}, {}, 0)
        for one in people:
            if (one.substitutions.keys(), one.headers.keys()) != (
                first.substitutions.keys(),
                first.headers.keys(),
            ):
                msg = "the people of one request have the same tags and headers"
                raise ValueError(msg)
        return cls(
            [one.address for one in people],
            [one.name for one in people],
            [one.delivery_id for one in people],
            {tag: [one.substitutions[tag] for one in people] for tag in first.substitutions},
            {name: [one.headers[name] for one in people] for name in first.headers},
        )

    def __len__(self) -> int:
        """Count the people."""
        return len(self.addresses)

    @overload
    def __getitem__(self, position: int) -> Personal: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Personal]: ...
    def __getitem__(self, position: int | slice) -> Personal | Sequence[Personal]:
        """Give one person's part, or those of some."""
        if isinstance(position, slice):
            return [self[one] for one in range(*position.indices(len(self)))]
        return Personal(
            self.addresses[position],
            self.names[position],
            {tag: column[position] for tag, column in self.substitutions.items()},
            {name: column[position] for name, column in self.headers.items()},
            self.delivery_ids[position],
        )

    def __repr__(self) -> str:
        """Say how many they are."""
        return f"People({len(self)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """One request: the content that all its people share, and the people, in order.

    *attempt* is the hexadecimal id of the hand-over that this request belongs to. *ip_pool* names
    the vendor's pool for the class, or is None where there is none. *begin_by* is the instant of
    this machine's monotonic clock (seconds) after which no byte of it may leave any more, because
    what it was made by may no longer hold.
    """

    message_class: MessageClass
    from_address: str = field(repr=False)
    from_name: str = field(repr=False)
    reply_to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    ip_pool: str | None = None
    campaign_id: int
    attempt: str
    people: People = field(repr=False)
    begin_by: float = math.inf


class Verdict(StrEnum):
    """What one hand-over came to; the send ledger decides by nothing else."""

    ACCEPTED = "accepted"
    """The vendor queued all of it."""
    REFUSED_ADDRESS = "refused_address"
    """Nothing was accepted; the people at ``Outcome.refused`` are why, the rest may go again."""
    REFUSED_MESSAGE = "refused_message"
    """Nothing was accepted and the same content will be refused again: stop the campaign."""
    LATER = "later"
    """Nothing was accepted; everybody waits ``Outcome.retry_after`` seconds or longer."""
    NOT_CONNECTED = "not_connected"
    """Nothing was accepted: the request never reached the vendor whole."""
    NOT_BEGUN = "not_begun"
    """Nothing was accepted: the time in which the request had to begin was over before it did."""
    NOT_ALLOWED = "not_allowed"
    """Nothing was accepted: key, sender identity or credits; all sending pauses."""
    TOO_LARGE = "too_large"
    """Nothing was accepted; the same people in smaller requests may pass."""
    UNCLEAR = "unclear"
    """It may have been accepted: never sent again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one hand-over.

    *status* is the HTTP status or None where there was no answer; *message_id* the vendor's id of
    the request; *refused* the positions in ``Mailing.people``; *retry_after* in seconds; *reason* a
    sentence for staff, without addresses and without the key.
    """

    verdict: Verdict
    status: int | None = None
    message_id: str | None = None
    refused: tuple[int, ...] = ()
    retry_after: float | None = None
    reason: str = ""


class Vendor(Protocol):
    """Whoever carries mail: the real adapter, or a fake in a test."""

    def hand_over(self, mailing: Mailing) -> Outcome:
        """Send one request, once, and tell what became of it; raise nothing for its failures."""
        ...

    def close(self) -> None:
        """Close what is kept open; a later ``hand_over`` opens it again."""
        ...


class Event(StrEnum):
    """What the vendor can report of one delivery, in the words of django-anymail."""

    QUEUED = "queued"
    SENT = "sent"
    REJECTED = "rejected"
    FAILED = "failed"
    BOUNCED = "bounced"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIBED = "subscribed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorEvent:
    """One event as the vendor reported it, without address, IP address, user agent or free text.

    *event_id* is the vendor's (it was seen to be absent, and to change on copies); *natural_key* is
    made from delivery, word, time and repetition, so the same happening has the same key on every
    copy. *vendor_word* is the vendor's own name of the event; *attempt* the hand-over id that was
    sent along; *message_id* the id which ``Outcome.message_id`` had. *status* is an enhanced or
    three-digit SMTP code, *type* the vendor's class of a bounce, *reason* one of a few known words.
    *address_hash* is the keyed hash of whom it names, to compare with and never to keep.
    """

    event_id: str | None
    natural_key: str
    kind: Event
    vendor_word: str
    occurred_at: datetime
    delivery_id: int | None = None
    campaign_id: int | None = None
    attempt: str | None = None
    message_id: str | None = None
    status: str | None = None
    type: str | None = None
    reason: str | None = None
    address_hash: bytes | None = field(default=None, repr=False)


class MalformedOne(NamedTuple):
    """An event that can't be read: why, as a sentence, and a digest by which copies are known."""

    sentence: str
    digest: str


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """What one webhook request held: the events, and those that can't be read."""

    events: tuple[VendorEvent, ...]
    malformed: tuple[MalformedOne, ...] = ()


class Attached(NamedTuple):
    """An attachment of a mail to us: what it is called, and nothing of what it holds."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, repr=False)
class InboundMail:
    """A mail that somebody wrote to us, as texts of a bounded length without control characters.

    *sender* is the From header, *address* the address in it or "". *text* is the plain text.
    *identity* is the same for every copy of the mail. *is_automatic*: a program wrote it, and none
    is ever answered. *is_proven*: the sender's domain vouches for it (DKIM or SPF).
    """

    sender: str
    address: str
    subject: str
    text: str
    identity: str
    attachments: tuple[Attached, ...] = ()
    is_automatic: bool = False
    is_proven: bool = False
