"""What is unknown of a campaign, and until when the vendor's events may settle it by themselves.

Events of a call whose answer was lost come minutes after it, if the vendor took it. A decision
before the settle time is over is made without what they would tell, so every door says until when
that is, and asks again before it lets somebody decide earlier.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.deliveries import unknown
from mailprefs.deliveries.unknown import Unknown
from mailprefs.schema.events import VendorEventRow


class Calls(NamedTuple):
    """Calls of which the same is known: how many, to how many people, and when they ended."""

    calls: int
    people: int
    first: datetime
    last: datetime
    reason: str
    is_second: bool
    settles_at: datetime

    @property
    def what(self) -> str:
        """Say how many calls to how many people these are."""
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        return f"{calls}, {in_people(self.people)}"

    @property
    def why(self) -> str:
        """Say why nobody knows what became of them."""
        second = "It was their second call." if self.calls == 1 else "These were second calls."
        return f"{self.reason} {second}" if self.is_second else self.reason

    def span(self, zone: str = "UTC") -> str:
        """Say when they ended: ``22 Nov 2026, 13:47:12 to 13:47:30 UTC``."""
        first = times.written(self.first, zone, seconds=True)
        last = times.written(self.last, zone, seconds=True)
        if first == last:
            return last
        day, _, clock = last.partition(", ")
        earlier_day, _, earlier = first.partition(", ")
        if day != earlier_day:
            return f"{first} to {last}"
        return f"{day}, {earlier.rpartition(' ')[0]} to {clock}"


class Undecided(NamedTuple):
    """What is unknown of one campaign as somebody sees it who may have to decide.

    *settles_at* is until when events may settle the last of it; None where nothing is unknown.
    *heard_at* is when the newest event of any call came, if that was after the oldest of these.
    """

    batches: list[Unknown]
    calls: list[Calls]
    settles_at: datetime | None
    heard_at: datetime | None
    is_early: bool

    @property
    def people(self) -> int:
        """Give of how many people it is unknown."""
        return sum(one.people for one in self.batches)

    @property
    def newest(self) -> int:
        """Give the newest hand-over of these; 0 if there is none."""
        return max((one.hand_over_id for one in self.batches), default=0)

    def heard(self, zone: str = "UTC") -> str:
        """Say whether events come at all, which is what the settling depends on."""
        if self.heard_at is None:
            return "No event has come from the vendor since."
        return (
            f"Events do come: the last one at {times.written(self.heard_at, zone, seconds=True)}."
        )

    def early(self, follows: str, zone: str = "UTC") -> str | None:
        """Say that it is early to decide, and what *follows* from it; None if it isn't early."""
        if not self.is_early or self.settles_at is None:
            return None
        until = times.written(self.settles_at, zone)
        return f"Events usually settle this by {until}; deciding now may {follows}."


def look(session: Session, campaign_id: int, *, settle_time: float, now: datetime) -> Undecided:
    """Look at what is unknown of one campaign; events settle it within *settle_time* seconds.

    :raises NotFound: for an unknown campaign.
    """
    batches = unknown.listed(session, campaign_id)
    if not batches:
        return Undecided([], [], None, None, is_early=False)
    settle = timedelta(seconds=settle_time)
    settles_at = settle + max(one.since for one in batches)
    heard = session.scalar(select(func.max(VendorEventRow.received_at)))
    is_since = heard is not None and heard > min(one.since for one in batches)
    return Undecided(
        batches,
        _alike(batches, settle),
        settles_at,
        heard if is_since else None,
        is_early=now < settles_at,
    )


def in_people(n: int) -> str:
    """Say how many people."""
    return "1 person" if n == 1 else f"{n:,} people"


def _alike(batches: Iterable[Unknown], settle: timedelta) -> list[Calls]:
    """Put those together of which the same is known, the oldest first."""
    found: dict[tuple[str, bool], list[Unknown]] = {}
    for one in batches:
        found.setdefault((one.reason, one.is_second), []).append(one)
    return [
        Calls(
            len(some),
            sum(one.people for one in some),
            min(one.since for one in some),
            max(one.since for one in some),
            reason,
            is_second,
            settle + max(one.since for one in some),
        )
        for (reason, is_second), some in found.items()
    ]
