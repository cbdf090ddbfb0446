"""Breakdowns of a campaign's opens, such as by day: what of them may be told, again and again.

A table tells some of its cells; all others are one sum, the **rest**, so that the cells and the
rest always make the total. Whoever has kept an earlier table can subtract it, so the rule is one
about what is *added* since: a cell is told anew only if it has changed by enough, a cell is told
apart for the first time only if it is large enough, and what is added to the rest is never so
little, or so alone, that somebody could say whose it is.

Nothing here reads a database or a clock.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mailprefs.reports.cells import USUAL, Rule, fives

MANY: Final = 2
"""Cells that must share a rest, at least."""


class Table(NamedTuple):
    """What is told: some ``cells``, the sum of all others (``rest``), and the ``total``.

    ``hidden`` names the values that are in the rest, where all that there can be are known.
    """

    cells: dict[str, int]
    rest: int
    total: int
    hidden: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the table as it is stored."""
        return self._asdict() | {"hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Table":
        """Read what ``as_json`` gave."""
        sums = (document["rest"], document["total"])
        return cls(dict(document["cells"]), *sums, tuple(document["hidden"]))

    def rounded(self) -> "Table":
        """Give the table in fives."""
        cells = {value: fives(n) for value, n in self.cells.items()}
        return Table(cells, fives(self.rest), fives(self.total), self.hidden)


class Counted(NamedTuple):
    """The exact counts of one table.

    *counts* by value; those of *total* that have no value are counted with the rest. *values*: all
    that there can be, None where nobody can list them. *least*: how many a cell needs to be told
    apart from the rest. *of*: how many people could have opened. *grows*: there will be other
    values later, such as days.
    """

    counts: Mapping[str, int]
    total: int
    of: int
    least: int
    values: frozenset[str] | None = None
    grows: bool = False


class _Draft:
    """A table in the making: which cells are told anew, and what that leaves in the rest."""

    def __init__(self, counted: Counted, before: Table | None, rule: Rule) -> None:
        self._counted = counted
        self._before = before or Table({}, 0, 0)
        self._is_first = before is None
        self._rule = rule
        self._anew = {value: n for value, n in counted.counts.items() if self._may_be_told(value)}

    def _may_be_told(self, value: str) -> bool:
        n = self._counted.counts[value]
        told = self._before.cells.get(value)
        if told is None:
            # New values swell the rest, and so would no longer hide what was alone in it before.
            is_late = self._counted.grows and value in self._before.hidden
            return n >= self._counted.least and not is_late
        return abs(n - told) >= self._rule.fewest

    @property
    def table(self) -> Table:
        cells = self._before.cells | self._anew
        total = self._counted.total
        hidden = sorted((self._counted.values or frozenset()) - cells.keys())
        rest = total - sum(cells.values())
        return Table(dict(sorted(cells.items())), rest, total, tuple(hidden))

    def tells_nobody(self) -> bool:
        """Tell whether what is in the rest, and what was added to it, is nobody's alone."""
        table = self.table
        values = self._counted.values
        hidden = MANY if values is None else len(table.hidden)
        if not hidden and not table.rest and not self._before.rest:
            return True
        unchanged = len(self._before.cells.keys() - self._anew.keys())
        added = table.rest - self._before.rest
        enough = added >= self._rule.fewest and hidden + unchanged >= MANY
        return enough and (values is None or not self._is_full(table.rest, hidden, unchanged))

    def _is_full(self, rest: int, hidden: int, unchanged: int) -> bool:
        """Tell whether each cell in the rest must be as large as one in it can be."""
        return rest == hidden * (self._counted.least - 1) + unchanged * (self._rule.fewest - 1)

    def leave_out(self) -> bool:
        """Leave the last cell to the rest; tell whether there was one.

        The last by its name, so the latest day or hour: an order that doesn't depend on the counts,
        because the choice of the smallest would tell that all others are larger.
        """
        if not self._anew:
            return False
        del self._anew[max(self._anew)]
        return True


def told(counted: Counted, before: Table | None = None, rule: Rule = USUAL) -> Table | None:
    """Give the table to tell now to people who know the one *before*; None if none may be told.

    It stays the one before unless at least ``rule.people`` opens have been added.
    """
    if not _is_tellable(counted, rule):
        return before
    if before is not None and counted.total - before.total < rule.people:
        return before
    draft = _Draft(counted, before, rule)
    while not draft.tells_nobody():
        if not draft.leave_out():
            return before
    return draft.table


def _is_tellable(counted: Counted, rule: Rule) -> bool:
    """Tell whether the total itself may be told."""
    enough = counted.of >= rule.people and counted.total >= rule.fewest
    return enough and counted.of - counted.total >= rule.fewest
