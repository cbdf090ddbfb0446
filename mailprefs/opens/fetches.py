"""Fetches of the pixel, and a batch of them put in order before anybody has to wait for it."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

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


class Gathered(NamedTuple):
    """A batch of fetches in order: by delivery, the earliest first, and loads that name nobody."""

    by_delivery: dict[int, list[Fetch]]
    loads: list[Fetch]

    @property
    def campaigns(self) -> set[int]:
        """Give the ids of all campaigns that it is about."""
        return {one >> 32 for one in self.by_delivery} | {one.campaign_id for one in self.loads}


def gather(fetches: Iterable[Fetch]) -> Gathered:
    """Put *fetches* in order; deliveries by their ids, so that all writers lock alike."""
    found: dict[int, list[Fetch]] = {}
    loads: list[Fetch] = []
    for fetch in fetches:
        if fetch.delivery_id is None:
            loads.append(fetch)
        elif fetch.delivery_id in found:
            found[fetch.delivery_id].append(fetch)
        else:
            found[fetch.delivery_id] = [fetch]
    for several in found.values():
        if len(several) > 1:
            several.sort(key=_at)
    return Gathered({one: found[one] for one in sorted(found)}, loads)


def _at(fetch: Fetch) -> datetime:
    return fetch.at
