"""The rows of one file as they are imported: persons, refused lines, and repetitions, in windows.

A window is sorted by address hash, so that a slice of it touches few pages of the index that is
sorted so: measured, a million rows write a quarter of the log that they would write unsorted.
"""

from collections.abc import Iterator
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple

from mailprefs.addresses import AddressHasher
from mailprefs.jobs.imports.columns import Columns
from mailprefs.jobs.imports.people import Person, PersonReader, Refusal
from mailprefs.jobs.imports.reading import Reader, Shape

WINDOW: Final = 50_000
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
    ``SHOWN`` of them. Memory: the window, and 16 bytes (96 in Python) an address.
    """

    def __init__(self, reader: Reader, columns: Columns, hasher: AddressHasher) -> None:
        """Make ready to read; nothing is read yet."""
        self.read = 0
        self.refusals: list[Refusal] = []
        self._reader = reader
        self._shape = Shape(len(columns.names), columns.address)
        self._people = PersonReader(columns, hasher)
        self._seen: set[bytes] = set()

    @property
    def position(self) -> int:
        """Give how many bytes of the file have been read."""
        return self._reader.position

    def windows(self) -> Iterator[tuple[int, list[Row]]]:
        """Give the rows window by window, each with the number of rows before it."""
        rows = self._rows()
        while window := list(islice(rows, WINDOW)):
            first, self.read = self.read, self.read + len(window)
            persons = [row for row in window if isinstance(row, Person)]
            others: list[Row] = [row for row in window if not isinstance(row, Person)]
            yield first, [*others, *sorted(persons, key=attrgetter("address_hash"))]

    def _rows(self) -> Iterator[Row]:
        seen, refusals = self._seen, self.refusals
        for record in self._reader.records(self._shape):
            row = self._people.person(record)
            if isinstance(row, Refusal):
                if len(refusals) < SHOWN:
                    refusals.append(row)
                yield row
            elif row.address_hash in seen:
                yield Repetition(row.line)
            else:
                seen.add(row.address_hash)
                yield row
