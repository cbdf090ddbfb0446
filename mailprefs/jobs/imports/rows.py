"""The rows of one file as they are imported: persons, refused lines, and repetitions, in windows.

A window is sorted by address hash, so that a slice of it touches few pages of the index that is
sorted so: measured with 300,000 people on SQLite, a third of the log that unsorted rows write.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple

from mailprefs.addresses import AddressHasher
from mailprefs.jobs.imports.columns import Columns
from mailprefs.jobs.imports.people import Person, PersonReader, Refusal
from mailprefs.jobs.imports.reading import Reader, Shape

WINDOW: Final = 20_000
"""Rows of a window; part of an import's identity, because its order depends on it."""
SHOWN: Final = 1_000
"""Refused lines that are kept at hand; the database holds them all."""


class Repetition(NamedTuple):
    """A line whose address stands further up in the file; only the first of them counts."""

    line: int


Row = Person | Refusal | Repetition


class Rows:
    """The rows of one file, whose header has been read.

    ``read``: how many were read. ``position``: how many bytes of the file. ``refusals``: the first
    ``SHOWN`` of them.
    """

    def __init__(
        self,
        reader: Reader,
        columns: Columns,
        hasher: AddressHasher,
        *,
        takes_a_no: bool = False,
    ) -> None:
        """Make ready to read; nothing is read yet. *takes_a_no*: the file says who left."""
        self.read = 0
        self.refusals: list[Refusal] = []
        self._reader = reader
        self._shape = Shape(len(columns.names), columns.address)
        self._people = PersonReader(columns, hasher, takes_a_no=takes_a_no)
        self._seen = Seen()

    @property
    def position(self) -> int:
        """Give how many bytes of the file have been read."""
        return self._reader.position

    def windows(self) -> Iterator[tuple[int, list[Row]]]:
        """Give the rows window by window, each with the number of rows before it.

        Whoever takes a window empties it, so that no two are in memory.
        """
        rows = self._rows()
        while window := _ordered(islice(rows, WINDOW)):
            first, self.read = self.read, self.read + len(window)
            yield first, window

    def _rows(self) -> Iterator[Row]:
        refusals = self.refusals
        for record in self._reader.records(self._shape):
            row = self._people.person(record)
            if isinstance(row, Refusal):
                if len(refusals) < SHOWN:
                    refusals.append(row)
                yield row
            elif self._seen.add(row.address_hash):
                yield row
            else:
                yield Repetition(row.line)


class Seen:
    """Hashes that have been met, in a fifth of a set's memory: 20 MB for a million of 16 bytes."""

    def __init__(self) -> None:
        """Begin with none."""
        # By their first two bytes; the rest stands one after the other.
        self._rests = [bytearray() for _ in range(1 << 16)]

    def add(self, key: bytes) -> bool:
        """Tell whether *key* is new; from now on it isn't."""
        rest, met = key[2:], self._rests[key[0] << 8 | key[1]]
        at = met.find(rest)
        while at >= 0 and at % len(rest):
            at = met.find(rest, at + 1)
        if at >= 0:
            return False
        met += rest
        return True


def _ordered(window: Iterable[Row]) -> list[Row]:
    """Give refused lines and repetitions as they come, then persons by address hash."""
    others: list[Row] = []
    persons: list[Person] = []
    for row in window:
        if isinstance(row, Person):
            persons.append(row)
        else:
            others.append(row)
    persons.sort(key=attrgetter("address_hash"))
    return others + persons
