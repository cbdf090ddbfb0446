"""Fetches of the pixel, and a batch of them put in order before anybody has to wait for it."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import Final, NamedTuple

from mailprefs.opens.periods import micros
from mailprefs.useragents import Client, OpenKind, Reason


class Fetch(NamedTuple):
    """One fetch of a pixel: which, when, and what its request said; no address, no user agent.

    ``delivery_id`` is None where the pixel names only its campaign.
    """

    campaign_id: int
    delivery_id: int | None
    at: datetime
    kind: OpenKind
    reason: Reason
    ruleset: int
    client: Client
    country: str | None = None


class Said(NamedTuple):
    """What the request of a fetch said, in numbers, as many fetches share it."""

    kind: int
    reason: int
    ruleset: int
    client: int
    country: str | None


Hit = tuple[int, Said]
"""A fetch of one delivery's pixel: when (microseconds since 1970 UTC), and what was said."""


class Gathered(NamedTuple):
    """A batch of fetches in order: by delivery, the earliest first, and loads that name nobody.

    ``loads`` are added up by campaign, time (microseconds since 1970 UTC) and kind.
    """

    by_delivery: dict[int, list[Hit]]
    loads: Counter[tuple[int, int, int]]

    @property
    def campaigns(self) -> set[int]:
        """Give the ids of all campaigns that it is about."""
        return {one >> 32 for one in self.by_delivery} | {one for one, _, _ in self.loads}


def gather(hits: Iterable[tuple[int, int | None, int, Said]]) -> Gathered:
    """Put *hits* (campaign, delivery or None, when, what was said) in order.

    Deliveries by their ids, so that all writers lock alike. The same twice is once, but for loads.
    """
    found: dict[int, list[Hit]] = {}
    loads: Counter[tuple[int, int, int]] = Counter()
    for campaign_id, delivery_id, at, said in hits:
        if delivery_id is None:
            loads[campaign_id, at, said.kind] += 1
        elif delivery_id in found:
            found[delivery_id].append((at, said))
        else:
            found[delivery_id] = [(at, said)]
    for delivery_id, several in found.items():
        if len(several) > 1:
            found[delivery_id] = sorted(dict.fromkeys(several), key=_AT)
    return Gathered({one: found[one] for one in sorted(found)}, loads)


def told(fetch: Fetch) -> tuple[int, int | None, int, Said]:
    """Give a fetch as ``gather`` takes it."""
    # Plain numbers: those of an enumeration are slower to compare and to write.
    said = Said(int(fetch.kind), int(fetch.reason), fetch.ruleset, int(fetch.client), fetch.country)
    return fetch.campaign_id, fetch.delivery_id, micros(fetch.at), said


_AT: Final = itemgetter(0)
