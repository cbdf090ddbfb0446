"""Which numbers about opens may be shown: one rule for staff, pages, exports and programs alike.

A number about few people tells of each of them, and so does "everybody" or "nobody". A cell is
shown exactly only if at least ``Rule.people`` stand behind it and at least ``Rule.fewest`` of them
did and did not open. And since whoever keeps yesterday's numbers can subtract them from today's,
what was added to a number obeys the rule as well: it grows by at least ``Rule.fewest`` or not.

Nothing here reads a database or a clock.
"""

from enum import StrEnum
from typing import Any, Final, NamedTuple

from mailprefs.reports.statistic import Seen

LEAST_PEOPLE: Final = 20
"""People behind a number (k), at least, unless a setting says otherwise; never under ten."""
FEWEST: Final = 3
"""Opens, and non-opens, at least; fewer are told as "under" or "over"."""
ROUNDED_TO: Final = 5
"""Analysts and programs get counts to the next five, and rates made of those."""


class Rule(NamedTuple):
    """How many people a number needs behind it, and how many of them on either side."""

    people: int = LEAST_PEOPLE
    fewest: int = FEWEST


USUAL: Final = Rule()


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


WITHHELD: Final = Cell(Shown.WITHHELD, None, None, None)


class Totals(NamedTuple):
    """What may be told of a campaign's totals, exactly.

    ``seen`` holds the numbers to tell, the parts in it only if ``split``. ``confirmed`` and
    ``reported`` say how those two may be told. ``least`` is how many of the people have been told
    of as nearly all: no later number may show that they were fewer.
    """

    seen: Seen
    split: bool
    confirmed: Shown
    reported: Shown
    least: int = 0


def cell(n: int, of: int, rule: Rule = USUAL) -> Cell:
    """Give *n* of *of* people as it may be shown."""
    if of < rule.people:
        return WITHHELD
    if n < rule.fewest:
        return Cell(Shown.UNDER, None, of, min(rule.fewest / of, 1.0) if of else 1.0)
    if of - n < rule.fewest:
        return Cell(Shown.OVER, None, of, max(1 - rule.fewest / of, 0.0))
    return Cell(Shown.EXACT, n, of, n / of)


def may_be_split(seen: Seen, rule: Rule = USUAL) -> bool:
    """Tell whether the Apple people and the others may be shown apart."""
    return cell(seen.others_opened, seen.others, rule).shown is Shown.EXACT


def releasable(seen: Seen, rule: Rule = USUAL) -> Seen:
    """Give what was seen without what would tell of few people.

    Fewer than three Apple people are counted with the others; of the Apple people only as many
    surely opened as their own cell may show, so that no hidden number can be computed from a shown
    one. Both only lower the confirmed rate, which says "at least".
    """
    if seen.apple < rule.fewest:
        return _together(seen)
    shown = cell(seen.apple_opened, seen.apple, rule).shown
    if shown is Shown.EXACT:
        return seen
    bound = seen.apple - rule.fewest if shown is Shown.OVER else 0
    return seen._replace(apple_opened=bound)


def totals(exact: Seen, before: Totals | None = None, rule: Rule = USUAL) -> Totals:
    """Give what may be told of *exact* to people who were told *before*."""
    # Whether the parts are told must not hang on parts that are too small to be told.
    apart = exact if exact.apple >= rule.fewest else _together(exact)
    split = may_be_split(apart, rule)
    seen = releasable(apart, rule) if split else _together(exact)
    if before is not None:
        seen = _steady(seen, before, rule)
    least = before.least if before else 0
    confirmed = cell(exact.opened, exact.delivered, rule).shown
    if confirmed is Shown.OVER:
        least = max(least, exact.delivered)
    if confirmed is Shown.EXACT and seen.opened < least:
        confirmed = Shown.WITHHELD
    return Totals(
        seen=seen,
        split=split and confirmed is Shown.EXACT,
        confirmed=confirmed,
        reported=_reported(exact, seen, confirmed, rule),
        least=least,
    )


def may_follow(new: Totals, before: Totals, rule: Rule = USUAL) -> bool:
    """Tell whether *new* totals may be told to people who know those *before*.

    Not if just as many more opened as joined, which may be the same people. And what was told
    exactly isn't hidden again, because the old number would still bound it.
    """
    joined = new.seen.delivered - before.seen.delivered
    least, most = _bounds(before, rule)
    # More opened by so many, as far as somebody can tell who knows what was told.
    fewer, more = new.seen.opened - most, new.seen.opened - least
    alike = joined > 0 and fewer < joined + rule.fewest and more > joined - rule.fewest
    kept = before.reported is not Shown.EXACT or new.reported is Shown.EXACT
    return kept and not alike


def rounded(seen: Seen) -> Seen:
    """Give what was seen in fives, parts never larger than their whole."""
    delivered = fives(seen.delivered)
    apple = min(fives(seen.apple), delivered)
    return Seen(
        delivered=delivered,
        apple=apple,
        others_opened=min(fives(seen.others_opened), delivered - apple),
        apple_opened=min(fives(seen.apple_opened), apple),
        loaded=min(fives(seen.loaded), delivered),
    )


def fives(n: int) -> int:
    """Give *n* to the next five."""
    return (n + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO


def _bounds(totals: Totals, rule: Rule) -> tuple[int, int]:
    """Give between which numbers the openers lie for somebody who was told *totals*."""
    if totals.confirmed is Shown.UNDER:
        return 0, rule.fewest - 1
    if totals.confirmed is Shown.OVER:
        return totals.seen.delivered - rule.fewest + 1, totals.seen.delivered
    return totals.seen.opened, totals.seen.opened


def _together(seen: Seen) -> Seen:
    return seen._replace(apple=0, others_opened=seen.opened, apple_opened=0)


def _steady(new: Seen, before: Totals, rule: Rule) -> Seen:
    """Leave a number as it was told unless it has changed by enough to be told anew."""
    old = before.seen

    def told(now: int, then: int, most: int) -> int:
        return min(then if abs(now - then) < rule.fewest else now, most)

    if before.reported is Shown.EXACT:
        new = new._replace(loaded=told(new.loaded, old.loaded, new.delivered))
    if before.confirmed is not Shown.EXACT or bool(new.apple) != bool(old.apple):
        return new
    return new._replace(
        others_opened=told(new.others_opened, old.others_opened, new.others),
        apple_opened=told(new.apple_opened, old.apple_opened, new.apple),
    )


def _reported(exact: Seen, seen: Seen, confirmed: Shown, rule: Rule) -> Shown:
    """Say how the reported number may be told beside the confirmed one.

    Where the people behind Apple's proxy are told apart, some of them lie between the two: if those
    are too few, a subtraction would tell how many of them surely opened.
    """
    shown = cell(exact.loaded, exact.delivered, rule).shown
    if confirmed is Shown.WITHHELD:
        return Shown.WITHHELD
    between = seen.loaded - seen.opened
    is_close = seen.apple > 0 and between < rule.fewest
    if shown is Shown.EXACT and confirmed is Shown.EXACT and is_close:
        return Shown.UNDER
    return shown
