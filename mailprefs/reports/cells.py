"""Which numbers about opens may be shown: one rule for staff, pages, exports and programs alike.

A number about few people tells of each of them, and so does "everybody" or "nobody". A cell is
shown exactly only if at least ``LEAST_PEOPLE`` stand behind it and at least ``FEWEST`` of them did
and did not open.

Nothing here reads a database or a clock.
"""

from enum import StrEnum
from typing import Any, Final, NamedTuple

from mailprefs.reports.statistic import Seen

LEAST_PEOPLE: Final = 20
"""People behind a number (k), at least."""
FEWEST: Final = 3
"""Opens, and non-opens, at least; fewer are told as "under" or "over"."""
ROUNDED_TO: Final = 5
"""Analysts and programs get counts to the next five, and rates made of those."""


class Shown(StrEnum):
    """How a cell may be shown."""

    EXACT = "exact"
    UNDER = "under"
    OVER = "over"
    WITHHELD = "withheld"


class Cell(NamedTuple):
    """How many of how many, as it may be shown: what may not is None.

    ``under`` and ``over`` give in ``rate`` the bound that the true rate is under or over.
    """

    shown: Shown
    n: int | None
    of: int | None
    rate: float | None

    def as_json(self) -> dict[str, Any]:
        """Give the cell as JSON; rates to three decimals, a tenth of a percent."""
        rate = None if self.rate is None else round(self.rate, 3)
        return {"shown": self.shown.value, "n": self.n, "of": self.of, "rate": rate}


def cell(n: int, of: int) -> Cell:
    """Give *n* of *of* people as it may be shown."""
    if of < LEAST_PEOPLE:
        return Cell(Shown.WITHHELD, None, None, None)
    if n < FEWEST:
        return Cell(Shown.UNDER, None, of, FEWEST / of)
    if of - n < FEWEST:
        return Cell(Shown.OVER, None, of, 1 - FEWEST / of)
    return Cell(Shown.EXACT, n, of, n / of)


def may_be_split(seen: Seen) -> bool:
    """Tell whether the Apple people and the others may be shown apart."""
    return cell(seen.others_opened, seen.others).shown is Shown.EXACT


def releasable(seen: Seen) -> Seen:
    """Give what was seen without what would tell of few people.

    Fewer than three Apple people are counted with the others; of the Apple people only as many
    surely opened as their own cell may show, so that no hidden number can be computed from a shown
    one. Both only lower the confirmed rate, which says "at least".
    """
    if seen.apple < FEWEST:
        return seen._replace(apple=0, others_opened=seen.opened, apple_opened=0)
    shown = cell(seen.apple_opened, seen.apple).shown
    if shown is Shown.EXACT:
        return seen
    bound = seen.apple - FEWEST if shown is Shown.OVER else 0
    return seen._replace(apple_opened=bound)


def rounded(seen: Seen) -> Seen:
    """Give what was seen in fives, parts never larger than their whole."""
    delivered = _fives(seen.delivered)
    apple = min(_fives(seen.apple), delivered)
    return Seen(
        delivered=delivered,
        apple=apple,
        others_opened=min(_fives(seen.others_opened), delivered - apple),
        apple_opened=min(_fives(seen.apple_opened), apple),
        loaded=min(_fives(seen.loaded), delivered),
    )


def _fives(n: int) -> int:
    return (n + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO
