"""The open rate, honestly: what is certain, and an estimate that says how sure it is.

Apple's Mail Privacy Protection loads every picture by itself, so a load of such a person's message
says nothing. The people without it do show whether they read; the estimate supposes that the others
open as often, and its interval covers only what is unknown: the opens of the Apple people.

Nothing here reads a database or a clock.
"""

from datetime import timedelta
from enum import StrEnum
from math import sqrt
from typing import Final, NamedTuple

Z_95: Final = 1.959964
"""Standard deviations on both sides of a normal distribution that hold 95 % of it."""

LEAST_OTHERS: Final = 100
"""People without Apple's proxy, at least, from whom the others are estimated."""
LEAST_OF_EACH: Final = 10
"""Of them, at least so many opened, and so many did not."""
MOST_APPLE: Final = 0.8
"""Share of people behind Apple's proxy above which too much would be guessed."""
WIDEST: Final = 0.10
"""Width of an interval that still says something."""
SETTLED_AFTER: Final = timedelta(hours=48)
"""Most opens come within two days; before that, a rate is still growing."""
LEAST_SHARE: Final = 0.20
"""Share of delivered messages that may be measured, below which they stand for nobody else."""
LESS, MORE = 0.8, 1.25
"""How much less, or more, often than the others the Apple people may open."""


class Seen(NamedTuple):
    """What was seen of one campaign's delivered messages that may be measured person by person.

    ``delivered`` (D) of them all; of these ``apple`` (M) to people behind Apple's proxy, of whom
    ``apple_opened`` (C) surely read; of the others, ``others_opened`` (H) opened. ``loaded`` (F)
    had their picture loaded by anybody who is not a scanner or a bot, a person or not.
    """

    delivered: int
    apple: int
    others_opened: int
    apple_opened: int
    loaded: int

    @property
    def others(self) -> int:
        """Count the people whose opens can be seen (N)."""
        return self.delivered - self.apple

    @property
    def opened(self) -> int:
        """Count the people who surely opened (H + C)."""
        return self.others_opened + self.apple_opened


class Estimate(NamedTuple):
    """An estimated open rate, its 95 % interval, and the range if the Apple people differ."""

    rate: float
    low: float
    high: float
    low_if_less: float
    high_if_more: float


class Doubt(StrEnum):
    """Why an estimate is not shown."""

    NOT_MEASURED = "nothing_measured"
    YOUNG = "younger_than_48_hours"
    FEW_OTHERS = "too_few_people"
    FEW_OF_EACH = "too_few_opens_or_too_few_without"
    MOSTLY_APPLE = "mostly_apple"
    LOW_SHARE = "few_allow_measurement"
    WIDE = "interval_too_wide"
    RULES_CHANGED = "ruleset_changed"

    @property
    def sentence(self) -> str:
        """Say it to the person who looks for the number."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Doubt.NOT_MEASURED: "No delivered message of this campaign may be measured.",
    Doubt.YOUNG: "The campaign is younger than 48 hours; most opens are still to come.",
    Doubt.FEW_OTHERS: (
        f"Fewer than {LEAST_OTHERS} people read without Apple’s privacy proxy; "
        "that is too few to estimate from."
    ),
    Doubt.FEW_OF_EACH: (
        f"Fewer than {LEAST_OF_EACH} of the people whose opens can be seen opened, "
        f"or fewer than {LEAST_OF_EACH} did not."
    ),
    Doubt.MOSTLY_APPLE: (
        f"More than {MOST_APPLE:.0%} of the people are behind Apple’s privacy proxy; "
        "most of the number would be a guess."
    ),
    Doubt.LOW_SHARE: (
        f"Fewer than {LEAST_SHARE:.0%} of the delivered messages may be measured; "
        "these people need not be like the rest."
    ),
    Doubt.WIDE: f"The interval would be wider than {WIDEST * 100:.0f} points.",
    Doubt.RULES_CHANGED: (
        "The rules that tell people from machines changed while this campaign was counted, so its "
        "opens weren’t all counted alike."
    ),
}


class Difference(NamedTuple):
    """How much more often one campaign was opened than another, with its 95 % interval."""

    points: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Tell whether chance alone doesn't explain it: the interval excludes no difference."""
        return self.low > 0 or self.high < 0


def estimate(seen: Seen) -> Estimate:
    """Estimate the open rate of everybody who may be measured.

    The opens of N people are known exactly and only those of M are predicted, so the interval is
    Wilson's with the effective size N * D / M; with M = 0 it is the observed rate itself. What
    surely was opened bounds it from below, everybody behind the proxy opening from above.

    :raises ValueError: when no person's opens can be seen (N = 0).
    """
    if seen.others <= 0:
        msg = "an estimate needs people whose opens can be seen"
        raise ValueError(msg)
    observed = seen.others_opened / seen.others
    least = seen.opened / seen.delivered
    most = (seen.others_opened + seen.apple) / seen.delivered
    below, above = _wilson(observed, seen)
    return Estimate(
        rate=max(observed, least),
        low=max(below, least),
        high=min(max(above, least), most),
        low_if_less=max(_scaled(below, LESS, seen), least),
        high_if_more=min(max(_scaled(above, MORE, seen), least), most),
    )


def difference(one: Seen, other: Seen) -> Difference:
    """Compare the estimated rates of two campaigns, as if their readers had come by chance.

    Newcombe's interval (1998, method 10) from the Wilson intervals of the people whose opens can
    be seen. Unlike the interval of one rate, it holds chance in who read, too: the question is
    whether the one message is opened more often, not whether it happened to be.

    :raises ValueError: when no person's opens can be seen in one of them (N = 0).
    """
    first, second = estimate(one).rate, estimate(other).rate
    low_one, high_one = _around(first, one.others)
    low_other, high_other = _around(second, other.others)
    points = first - second
    return Difference(
        points,
        points - sqrt((first - low_one) ** 2 + (high_other - second) ** 2),
        points + sqrt((high_one - first) ** 2 + (second - low_other) ** 2),
    )


def doubts(
    seen: Seen, *, age: timedelta | None, share: float, rulesets: int = 1
) -> tuple[Doubt, ...]:
    """List every reason not to show the estimate, none for one that may be shown.

    *age* counts from the campaign's first hand-over (None before it); *share* is the part of all
    delivered messages that may be measured; *rulesets* is how many tables of rules told people from
    machines in this campaign.
    """
    if seen.delivered == 0:
        return (Doubt.NOT_MEASURED,)
    held = {
        Doubt.YOUNG: age is None or age < SETTLED_AFTER,
        Doubt.FEW_OTHERS: seen.others < LEAST_OTHERS,
        Doubt.FEW_OF_EACH: min(seen.others_opened, seen.others - seen.others_opened)
        < LEAST_OF_EACH,
        Doubt.MOSTLY_APPLE: seen.apple / seen.delivered > MOST_APPLE,
        Doubt.LOW_SHARE: share < LEAST_SHARE,
        Doubt.WIDE: _is_wide(seen),
        Doubt.RULES_CHANGED: rulesets > 1,
    }
    return tuple(doubt for doubt, holds in held.items() if holds)


def _wilson(observed: float, seen: Seen) -> tuple[float, float]:
    """Give Wilson's 95 % interval around the rate of the N, for the whole of D."""
    if seen.apple == 0:
        return observed, observed
    return _around(observed, seen.others * seen.delivered / seen.apple)


def _around(observed: float, size: float) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a rate observed in a sample of *size*."""
    spread = Z_95 * Z_95 / size
    centre = (observed + spread / 2) / (1 + spread)
    half = Z_95 * sqrt(observed * (1 - observed) / size + spread / (4 * size)) / (1 + spread)
    return centre - half, centre + half


def _scaled(bound: float, factor: float, seen: Seen) -> float:
    """Give a bound of the whole if the Apple people's part of it is *factor* times as large."""
    predicted = bound * seen.delivered - seen.others_opened
    return (seen.others_opened + factor * predicted) / seen.delivered


def _is_wide(seen: Seen) -> bool:
    if seen.others <= 0:
        return True
    found = estimate(seen)
    return found.high - found.low > WIDEST
