"""A CSV file as records, one at a time and in flat memory; what can't be read is told by line.

A quotation mark that is never closed doesn't swallow the lines below it: its line is refused, and
reading goes on with the next. Lines without a quotation mark, nearly all of an export, are split
directly; ``csv`` reads the others.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

CHUNK: Final = 1 << 18
LONGEST_RECORD: Final = 131_072
"""Bytes of one record; also csv's own limit of a field."""
LONGEST_FIELD: Final = 32_767
"""Characters of one field: as many as a cell of a spreadsheet holds."""

_TOO_LONG = f"This line is longer than {LONGEST_RECORD:,} bytes."
_FIELD_TOO_LONG = f"This field is longer than {LONGEST_FIELD:,} characters."
_NEVER_CLOSED = "A quotation mark opens a field here and is never closed."
_AFTER_QUOTE = "Text follows a closing quotation mark; a quotation mark inside a field is doubled."
_NUL = "There is a NUL character in this field."
_WRONG_BYTES = "There are bytes here that are not {}; save the file as UTF-8."

_ADDRESS_LIKE = re.compile(r"""["\s]*[^@\s"]+@[^@\s"]+\.[^@\s"]+["\s]*""")
_BLANK = b" \r\n"
# Excel's own note of the delimiter, on a line before the header.
_DELIMITER_NOTE = re.compile(rb'"?sep=[,;|\t]"?\s*')
# What a byte that doesn't belong to the encoding decodes to ("surrogateescape").
_WRONG = re.compile("[\ud800-\udfff]")


class Form(NamedTuple):
    """How a file is written: what Python calls its encoding, what people call it, and the rest.

    ``skip``: the bytes of a mark that stands before the text. ``delimiter``: one character.
    """

    encoding: str
    called: str
    skip: int
    delimiter: str

    @property
    def is_wide(self) -> bool:
        """Tell whether a character takes two bytes or more, so that lines can't be cut by byte."""
        return self.encoding.startswith(("utf-16", "utf-32"))


class Shape(NamedTuple):
    """What every record has in common: the number of its fields, and which one is the address."""

    width: int
    address: int


class Record(NamedTuple):
    """The fields of one record, and the number of its first line, counted from 1."""

    line: int
    fields: list[str]


class Unreadable(NamedTuple):
    """A line that can't be read: its number, its field counted from 0, and a sentence."""

    line: int
    column: int | None
    reason: str


class Reader:
    """The records of one open file; ``position`` is how many of its bytes have been read."""

    def __init__(self, file: BinaryIO, form: Form) -> None:
        """Begin at the first line of *file*, after the mark that may stand before it."""
        self.position = form.skip
        self._form = form
        # Wide encodings are read as UTF-8, in which a line can be cut by byte.
        self._encoding = "utf-8" if form.is_wide else form.encoding
        file.seek(form.skip)
        self._lines = _Lines(lines(self._chunks(file)))

    def header(self) -> Record | Unreadable | None:
        """Give the first record that isn't blank; None if there is none."""
        for number, line in self._lines:
            if number == 1 and _DELIMITER_NOTE.fullmatch(line):
                continue
            if (found := self._closely(number, line, None)) is not None:
                return found
        return None

    def records(self, shape: Shape) -> Iterator[Record | Unreadable]:
        """Give what follows, record by record; blank lines are passed over."""
        width, encoding, delimiter = shape.width, self._encoding, self._form.delimiter
        for number, line in self._lines:
            if b'"' not in line and b"\0" not in line and len(line) <= LONGEST_FIELD:
                try:
                    fields = line.decode(encoding).rstrip("\r\n").split(delimiter)
                except UnicodeDecodeError:
                    fields = []
                if len(fields) == width and (width > 1 or line.strip(_BLANK)):
                    yield Record(number, fields)
                    continue
            if (found := self._closely(number, line, shape)) is not None:
                yield found

    def _chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """Give the file piece by piece, in an encoding whose lines can be cut by byte."""
        decoder = None
        if self._form.is_wide:
            decoder = codecs.getincrementaldecoder(self._form.encoding)("surrogatepass")
        while chunk := file.read(CHUNK):
            self.position += len(chunk)
            yield chunk if decoder is None else _recoded(decoder, chunk)
        if decoder is not None and decoder.getstate()[0]:
            yield b"\xff"  # half a character at the end

    def _closely(self, number: int, line: bytes, shape: Shape | None) -> Record | Unreadable | None:
        """Read one record with all that may be wrong with it; None for a blank line."""
        if not line.strip(_BLANK):
            return None
        if len(line) > LONGEST_RECORD:
            return Unreadable(number, None, _TOO_LONG)
        taken = [(number, line)]
        texts = self._texts(taken, shape)
        try:
            fields = next(csv.reader(texts, strict=True, delimiter=self._form.delimiter))
        except csv.Error as error:
            self._lines.give_back(taken[1:])
            stray = len(taken) == 1 and "expected after" in str(error)
            return Unreadable(number, None, _AFTER_QUOTE if stray else _NEVER_CLOSED)
        if shape is not None and len(fields) != shape.width:
            # Over several lines, a quotation mark that was never closed is the likelier cause.
            self._lines.give_back(taken[1:])
            return Unreadable(number, None, _count(len(fields), shape.width))
        return self._unreadable_field(number, fields) or Record(number, fields)

    def _texts(self, taken: list[tuple[int, bytes]], shape: Shape | None) -> Iterator[str]:
        """Give csv the first line of *taken*, then as many more as it asks for, noting them."""
        size = len(taken[0][1])
        yield self._text(taken[0][1])
        for number, line in self._lines:
            taken.append((number, line))
            size += len(line)
            text = self._text(line)
            if size > LONGEST_RECORD or (shape is not None and self._begins(text, shape)):
                raise csv.Error(_NEVER_CLOSED)
            yield text

    def _text(self, line: bytes) -> str:
        return line.decode(self._encoding, "surrogateescape")

    def _begins(self, text: str, shape: Shape) -> bool:
        """Tell whether a line inside quotation marks looks like a record of its own."""
        pieces = text.rstrip("\r\n").split(self._form.delimiter)
        return len(pieces) == shape.width and bool(_ADDRESS_LIKE.fullmatch(pieces[shape.address]))

    def _unreadable_field(self, number: int, fields: list[str]) -> Unreadable | None:
        """Find the first field that can't be taken as it is."""
        for column, field in enumerate(fields):
            if _WRONG.search(field):
                return Unreadable(number, column, _WRONG_BYTES.format(self._form.called))
            if "\0" in field:
                return Unreadable(number, column, _NUL)
            if len(field) > LONGEST_FIELD:
                return Unreadable(number, column, _FIELD_TOO_LONG)
        return None


class _Lines:
    """Numbered lines, which can be given back to be read again."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = enumerate(source, start=1)
        self._returned: deque[tuple[int, bytes]] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> tuple[int, bytes]:
        return self._returned.popleft() if self._returned else next(self._source)

    def give_back(self, numbered: list[tuple[int, bytes]]) -> None:
        self._returned.extendleft(reversed(numbered))


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Cut *chunks* into lines, each with its end (``\n``, ``\r\n`` or ``\r``).

    Of a line that is longer than ``LONGEST_RECORD`` only a beginning is kept, still too long.
    """
    rest = b""
    for chunk in chunks:
        pieces = (rest + chunk).splitlines(keepends=True)
        # A \r at the end may be the first half of \r\n.
        rest = b"" if pieces[-1].endswith(b"\n") else pieces.pop()
        yield from pieces
        if len(rest) > LONGEST_RECORD:
            rest = rest[: LONGEST_RECORD + 1] + (b"\r" if rest.endswith(b"\r") else b"")
    if rest:
        yield rest


def _recoded(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bytes:
    """Give a piece of a wide encoding as UTF-8; a half pair stays one that is refused later."""
    return decoder.decode(chunk).encode("utf-8", "surrogatepass")


def _count(found: int, wanted: int) -> str:
    return f"There are {found} fields in this line, and {wanted} columns."
