"""Breakdowns as they are shown: each cell with its words and its share of the people."""

from typing import Any, Final, NamedTuple

from mailprefs.reports.releases import Released
from mailprefs.reports.tables import Table
from mailprefs.useragents import Client

TITLES: Final = {
    "day": "By day",
    "hour": "By hour",
    "country": "By country",
    "client": "By mail program",
}
RESTS: Final = {
    "day": "Other days, together",
    "hour": "Other hours, together",
    "country": "Elsewhere, or unknown",
    "client": "Other or unknown",
}
MEANING: Final = (
    "First opens by each person’s own mail program, and by image proxies while somebody looked. "
    "Who used both is in it twice, so these are opens, not people."
)


class Part(NamedTuple):
    """One line of a breakdown."""

    value: str
    label: str
    opens: int
    rate: float


class Breakdown(NamedTuple):
    """A breakdown of a campaign's opens: its parts and the rest make the total.

    ``hidden`` names the values that are in the rest, where they can be named.
    """

    name: str
    of: int
    parts: tuple[Part, ...]
    rest: Part
    total: int
    hidden: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Give the heading."""
        return TITLES[self.name]

    @property
    def lines(self) -> tuple[Part, ...]:
        """Give the parts, and the rest if there is one."""
        return (*self.parts, self.rest) if self.rest.opens or self.hidden else self.parts

    def as_json(self) -> dict[str, Any]:
        """Give the breakdown as JSON; rates to three decimals."""
        return {
            "of": self.of,
            "cells": [
                {"value": one.value, "label": one.label, "opens": one.opens, "rate": _share(one)}
                for one in self.parts
            ],
            "rest": {
                "label": self.rest.label,
                "opens": self.rest.opens,
                "rate": _share(self.rest),
                "values": list(self.hidden),
            },
            "total": self.total,
        }


def breakdowns(numbers: Released, of: int, *, rounded: bool) -> tuple[Breakdown, ...]:
    """Give all breakdowns that were released; *of* is the number of people measured."""
    found = dict(numbers.by)
    hours = _together(numbers.hours)
    if hours is not None:
        found["hour"] = hours
    return tuple(
        _breakdown(name, found[name].rounded() if rounded else found[name], of)
        for name in TITLES
        if name in found
    )


def _together(hours: dict[str, Table]) -> Table | None:
    """Give the hours of all days as one table."""
    if not hours:
        return None
    tables = list(hours.values())
    cells = {hour: n for table in tables for hour, n in table.cells.items()}
    hidden = tuple(hour for table in tables for hour in table.hidden)
    rest, total = sum(table.rest for table in tables), sum(table.total for table in tables)
    return Table(dict(sorted(cells.items())), rest, total, hidden)


def _breakdown(name: str, table: Table, of: int) -> Breakdown:
    parts = [Part(value, _label(name, value), n, _rate(n, of)) for value, n in table.cells.items()]
    if name in {"country", "client"}:
        parts.sort(key=lambda one: (-one.opens, one.label))
    rest = Part("", RESTS[name], table.rest, _rate(table.rest, of))
    hidden = table.hidden if name in {"day", "hour"} else ()
    return Breakdown(name, of, tuple(parts), rest, table.total, hidden)


def _label(name: str, value: str) -> str:
    if name == "client":
        return Client(int(value)).label
    return value.replace("T", " ") + ":00" if name == "hour" else value


def _rate(n: int, of: int) -> float:
    return min(n / of, 1.0) if of else 0.0


def _share(part: Part) -> float:
    return round(part.rate, 3)
