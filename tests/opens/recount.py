"""The counts of opens once more, in plain Python: no SQL, no batches, nothing of the product's."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

HUMAN = {1, 2}
MACHINE = {4, 5}
SCANNER, TOO_FAST, NOBODY = 4, 11, 0


class Hit(NamedTuple):
    """One fetch: whose, when (UTC), and what it looked like."""

    delivery: int
    at: datetime
    kind: int
    client: int = 3
    country: str | None = None


@dataclass
class Person:
    """What is known of one delivery."""

    sent: datetime
    delivered: datetime | None = None
    refused: bool = False
    rows: dict[int, Hit] = field(default_factory=dict)
    kept: list[Hit] = field(default_factory=list)
    bits: int = 0

    def is_fast(self, at: datetime) -> bool:
        """Tell whether nobody can have read it by then."""
        return at < self.sent + timedelta(seconds=5) or (
            self.delivered is not None and at < self.delivered
        )


class Recount:
    """Deliveries, and the sums that outlive their rows."""

    def __init__(self, people: dict[int, datetime]) -> None:
        """Begin with deliveries by id, and when each was handed over."""
        self.people = {one: Person(sent) for one, sent in people.items()}
        self.cells: Counter[tuple[str, str, int]] = Counter()
        self.totals: Counter[int] = Counter({0: len(people)})

    def hits(self, hits: list[Hit]) -> None:
        """Count what comes in at once, the earliest first."""
        for hit in sorted(hits, key=lambda one: one.at):
            person = self.people[hit.delivery]
            if person.refused:
                continue
            if hit.kind in HUMAN and person.is_fast(hit.at):
                self._row(person, hit._replace(kind=SCANNER, client=NOBODY, country=None))
            else:
                if hit.kind in HUMAN and person.delivered is None:
                    person.kept.append(hit)
                self._row(person, hit)
            self._settle(person)

    def tell(self, delivery: int, at: datetime) -> None:
        """Say when a message was delivered: the earliest word of it stands."""
        person = self.people[delivery]
        is_first = person.delivered is None
        person.delivered = at if person.delivered is None else min(at, person.delivered)
        if person.refused:
            return
        if is_first:
            fast = sorted((one for one in person.kept if person.is_fast(one.at)), key=_time)
            for kind in {one.kind for one in fast}:
                self._unrow(person, person.rows.pop(kind))
                slow = [x for x in person.kept if x.kind == kind and not person.is_fast(x.at)]
                for one in sorted(slow, key=_time)[:1]:
                    self._row(person, one)
            for one in fast[:1]:
                self._row(person, one._replace(kind=SCANNER, client=NOBODY, country=None))
            person.kept.clear()
        self._settle(person)

    def refuse(self, delivery: int) -> None:
        """Take the rows away; the sums stay."""
        person = self.people[delivery]
        person.refused = True
        person.rows.clear()
        person.kept.clear()

    def _row(self, person: Person, hit: Hit) -> None:
        if hit.kind not in person.rows:
            person.rows[hit.kind] = hit
            self.cells.update(cells(hit))

    def _unrow(self, person: Person, hit: Hit) -> None:
        self.cells.subtract(cells(hit))

    def _settle(self, person: Person) -> None:
        human = 4 if person.rows.keys() & HUMAN else 0
        fetched = 8 if person.rows.keys() - MACHINE else 0
        bits = (1 if person.delivered else 0) | human | fetched
        self.totals[person.bits] -= 1
        self.totals[bits] += 1
        person.bits = bits


def _time(hit: Hit) -> datetime:
    return hit.at


def cells(hit: Hit) -> list[tuple[str, str, int]]:
    """Give the cells in which an open counts, in a zone half an hour off."""
    local = hit.at + timedelta(hours=5, minutes=30)
    found = [("hour", f"{local:%Y-%m-%dT%H}", hit.kind), ("client", str(hit.client), hit.kind)]
    return found + ([("country", hit.country, hit.kind)] if hit.country else [])
