"""How many recipients may go in which time, as an operator writes it: ``1000/hour, 20000/day``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mailprefs.policy import MessageClass

_PERIODS: Final[Mapping[str, str]] = {
    "s": "second", "sec": "second", "second": "second",
    "h": "hour", "hour": "hour",
    "d": "day", "day": "day",
}  # fmt: skip
_ONE: Final = re.compile(r"([0-9_]+(?:\.[0-9]+)?)\s*(?:/|per\s|an?\s)\s*([a-z]+)", re.IGNORECASE)
_LIKE: Final = "such as 20/second, 1000/hour, 20000/day"
_RAMP_LIKE: Final = "the most recipients of day 1, day 2 and so on, such as 500, 1000, 5000"
_LARGEST: Final = 1_000_000_000
LONGEST_RAMP: Final = 365


class Rate(NamedTuple):
    """At most so many recipients in a second, in an hour, in a day; 0 where nothing is set."""

    second: float = 0.0
    hour: int = 0
    day: int = 0

    def parts(self) -> Iterator[tuple[str, float]]:
        """Give each period that is limited, with its limit."""
        for period, most in zip(self._fields, self, strict=True):
            if most:
                yield period, most


NO_RATE: Final = Rate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Everything that limits how many recipients go: for all, by class, and for new domains.

    *ramp* is the most of a From domain's first day, second day and so on; after its end the domain
    is warm and nothing of this limits it. Days of *classes* and *everything* are those of *zone*.
    """

    everything: Rate = NO_RATE
    classes: Mapping[MessageClass, Rate] = field(default_factory=dict)
    ramp: tuple[int, ...] = ()
    zone: str = "UTC"

    @property
    def is_set(self) -> bool:
        """Tell whether anything is limited at all."""
        return bool(self.ramp or any(self.everything) or any(map(any, self.classes.values())))


NONE: Final = Limits()


def read(text: str) -> Rate:
    """Read limits such as ``20/second, 1000/hour, 20000/day``, in any order; empty: none.

    :raises ValueError: with what is expected, without a name in front.
    """
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        matched = _ONE.fullmatch(part)
        period = _PERIODS.get(matched[2].lower()) if matched else None
        if matched is None or period is None:
            msg = f"must be recipients in a second, an hour or a day, {_LIKE}"
            raise ValueError(msg)
        if period in found:
            msg = f"must name each of second, hour and day once at most, {_LIKE}"
            raise ValueError(msg)
        found[period] = _bounded(matched[1], whole=period != "second")
    return Rate(found.get("second", 0.0), int(found.get("hour", 0.0)), int(found.get("day", 0.0)))


def read_ramp(text: str) -> tuple[int, ...]:
    """Read a plan such as ``500, 1000, 5000``; empty: none.

    :raises ValueError: with what is expected, without a name in front.
    """
    parts = [part.strip().replace("_", "") for part in text.split(",")] if text.strip() else []
    if any(not part.isdecimal() or not 0 < int(part[:12]) <= _LARGEST for part in parts):
        msg = f"must be {_RAMP_LIKE}"
        raise ValueError(msg)
    if len(parts) > LONGEST_RAMP:
        msg = f"must end after {LONGEST_RAMP} days at most"
        raise ValueError(msg)
    return tuple(map(int, parts))


def _bounded(digits: str, *, whole: bool) -> float:
    """Give a limit's number.

    :raises ValueError: for 0, for far too much, and for part of a recipient in an hour or a day.
    """
    number = float(digits.replace("_", "") or 0)
    if not 0 < number <= _LARGEST or (whole and not number.is_integer()):
        msg = f"must be more than 0 recipients, in whole numbers an hour and a day, {_LIKE}"
        raise ValueError(msg)
    return number
