"""For how long things are kept: the periods, and how an operator changes them.

``vendor_events: 3 days; ledger: 60 months because our regulator asks for it``. Shorter needs no
reason, longer does, and it is shown wherever the periods are.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

_ONE: Final = re.compile(
    r"(\w+)\s*:\s*(\d{1,4})\s*(days?|months?)(?:\s+because\s+(.+))?", re.DOTALL
)
_LIKE: Final = "such as vendor_events: 3 days; ledger: 60 months because our regulator asks for it"
_DAYS_OF_A_MONTH: Final = 30.44


class Unit(StrEnum):
    """What a period is counted in; months are those of the calendar."""

    DAYS = "days"
    MONTHS = "months"


class Period(NamedTuple):
    """So many days or months, and, where that is longer than usual, why."""

    number: int
    unit: Unit
    because: str | None = None

    def __str__(self) -> str:
        """Say it in words."""
        unit = self.unit.value
        return f"{self.number} {unit.removesuffix('s') if self.number == 1 else unit}"

    @property
    def days(self) -> float:
        """Give about how many days it is, to compare it with others."""
        return self.number * (1 if self.unit is Unit.DAYS else _DAYS_OF_A_MONTH)

    def before(self, now: datetime) -> datetime:
        """Give the instant that lies so long before *now*; what is older is kept no longer."""
        if self.unit is Unit.DAYS:
            return now - timedelta(days=self.number)
        return months_before(now, self.number)


class Known(NamedTuple):
    """A period as it is unless somebody changes it, and the shortest that still works."""

    usual: Period
    least: Period


def _days(number: int, least: int = 1) -> Known:
    return Known(Period(number, Unit.DAYS), Period(least, Unit.DAYS))


def _months(number: int, least: int = 1) -> Known:
    return Known(Period(number, Unit.MONTHS), Period(least, Unit.MONTHS))


KNOWN: Final[Mapping[str, Known]] = MappingProxyType(
    {
        # Until the vendor has told when a message was delivered.
        "undecided": _days(3),
        # A campaign is recorded for 90 days, and its numbers are final only after that.
        "evidence": _months(13, least=4),
        "details": _days(30),
        "links": _months(13, least=4),
        "notices": _months(36, least=4),
        "single_values": _days(7),
        "single_messages": _months(13),
        "hand_overs": _months(13),
        # The vendor repeats an event for 24 hours, and its copies count once.
        "vendor_events": _days(7, least=2),
        "malformed_events": _days(7, least=2),
        # The rule of soft bounces looks at 30 days.
        "soft_bounces": _days(60, least=31),
        "reconciliations": _days(30, least=15),
        # "Once a week at most" looks at a week.
        "last_promotions": _days(14, least=8),
        "reasons_given": _days(30, least=7),
        "apple": _days(60),
        "unconfirmed": _days(30),
        # A confirmation link is good for three days.
        "sign_ups": _days(7, least=4),
        "ledger": _months(36),
        "lifts": _months(36),
        "import_refusals": _days(90),
        "inbound": _days(30, least=4),
        # A link is good for three days.
        "data_requests": _months(13),
        "disclosures": _months(36),
        "legal_holds": _months(36),
        "sign_in_links": _days(7),
        "alarms": _months(12),
        "positions": _days(100, least=95),
        "presences": _days(1),
    }
)
"""Every period that there is, by the name of its rule."""


def usual() -> dict[str, Period]:
    """Give every period as it is unless somebody changes it."""
    return {name: known.usual for name, known in KNOWN.items()}


def read(text: str) -> dict[str, Period]:
    """Give every period, as changed by *text*.

    :raises ValueError: saying which part names no rule, can't be read, is too short, or is longer
        than usual without a reason.
    """
    periods = usual()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = _ONE.fullmatch(part)
        if found is None:
            msg = f"{part!r} can't be read; write it {_LIKE}"
            raise ValueError(msg)
        name, number, unit, because = found.groups()
        if name not in KNOWN:
            msg = f"there is no rule {name}; there are {', '.join(KNOWN)}"
            raise ValueError(msg)
        word = Unit.DAYS if unit.startswith("day") else Unit.MONTHS
        periods[name] = _allowed(name, Period(int(number), word, because))
    return periods


def _allowed(name: str, period: Period) -> Period:
    known = KNOWN[name]
    if period.days < known.least.days:
        msg = f"{name} has to be kept for {known.least} at least, as it is needed so long"
        raise ValueError(msg)
    if period.days <= known.usual.days:
        return period._replace(because=None)
    if period.because is None:
        msg = f"{name} is kept for {known.usual}; for longer say why: {name}: {period} because ..."
        raise ValueError(msg)
    return period


def months_before(now: datetime, months: int) -> datetime:
    """Give the same time so many months ago, or the last day of that month where it has no such."""
    count = now.year * 12 + now.month - 1 - months
    year, month = count // 12, count % 12 + 1
    return now.replace(year=year, month=month, day=min(now.day, monthrange(year, month)[1]))
