"""How a file is written and what its columns are, found out before the first line is imported.

One pass over the whole file gives its SHA-256 and looks at every byte that isn't ASCII, so that an
umlaut in the last line counts as much as one in the first.
"""

from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from charset_normalizer import from_bytes

from mailprefs.errors import BadFile
from mailprefs.jobs.imports.columns import Columns, recognise, suits
from mailprefs.jobs.imports.reading import CHUNK, Form, Reader, Record, Shape, Unreadable

DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

# Longest first: the mark of UTF-32 begins like that of UTF-16.
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32-le", "UTF-32"),
    (b"\0\0\xfe\xff", "utf-32-be", "UTF-32"),
    (b"\xef\xbb\xbf", "utf-8", "UTF-8"),
    (b"\xff\xfe", "utf-16-le", "UTF-16"),
    (b"\xfe\xff", "utf-16-be", "UTF-16"),
)
_SINGLE_BYTE = {
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "cp1253": "Windows-1253",
}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PDF = b"%PDF-"
# Bytes that no text in one of our encodings has, but for a slip; what isn't text has one in ten.
_CONTROLS = bytes(range(9)) + bytes(range(14, 32))
_MOST_CONTROLS = 0.05
_FEW_CONTROLS = 8
_WIDE = ("utf-16", "utf-32")
_SAMPLE_BYTES = 1 << 18
_SAMPLE_RECORDS = 20
_SAMPLE_LINES = 1_000


class Examined(NamedTuple):
    """What a file is: how it is written, how long, and the SHA-256 of its bytes."""

    form: Form
    columns: Columns
    size: int
    digest: bytes


class _Bytes(NamedTuple):
    """What one pass over a file's bytes gives: its lines that aren't ASCII, as far as they fit."""

    size: int
    digest: bytes
    start: bytes
    unusual: list[bytes]


def examine(path: Path, mapping: Mapping[str, str]) -> Examined:
    """Find out how the file at *path* is written and what its columns are.

    :raises BadFile: if it can't be read, is empty or no text, or has no column of addresses.
    """
    if path.is_dir():
        raise BadFile(f"{path} is a folder; give the CSV file in it.")
    try:
        with path.open("rb") as file:
            seen = _all_bytes(file)
            form = _form(seen, path.name, mapping)
            columns = _columns(Reader(file, form).header(), path.name, mapping)
    except OSError as error:
        raise BadFile(f"{path.name} can't be read: {error.strerror}.") from error
    return Examined(form, columns, seen.size, seen.digest)


def _all_bytes(file: BinaryIO) -> _Bytes:
    digest, size, start, kept = sha256(), 0, b"", 0
    unusual: list[bytes] = []
    while chunk := file.read(CHUNK):
        start = start or chunk
        digest.update(chunk)
        size += len(chunk)
        if not chunk.isascii() and kept < _SAMPLE_BYTES:
            # The first and the last line may be cut, and a character with them.
            whole = chunk.splitlines()[1 if size > len(chunk) else 0 :]
            found = [
                line
                for line in (whole[:-1] if len(chunk) == CHUNK else whole)
                if not line.isascii()
            ]
            unusual += found
            kept += sum(map(len, found))
    return _Bytes(size, digest.digest(), start, unusual)


def _form(seen: _Bytes, name: str, mapping: Mapping[str, str]) -> Form:
    """Say how the file is written: its encoding by its bytes, its delimiter by its first lines."""
    if not seen.start.strip():
        raise BadFile(f"{name} is empty; it needs a first line that names its columns.")
    if seen.start.startswith(_WORKBOOKS):
        raise BadFile(f"{name} is a spreadsheet; save it as a CSV file first.")
    encoding, called, skip = _encoding(seen)
    if seen.start.startswith(_PDF) or (not encoding.startswith(_WIDE) and _is_binary(seen.start)):
        raise BadFile(f"{name} isn't a text file; an import takes a CSV file.")
    forms = [Form(encoding, called, skip, delimiter) for delimiter in DELIMITERS]
    return max(forms, key=lambda form: _suitability(seen.start, form, mapping))


def _encoding(seen: _Bytes) -> tuple[str, str, int]:
    """Give the encoding, what people call it, and how many bytes its mark takes."""
    for mark, encoding, called in _MARKS:
        if seen.start.startswith(mark):
            return encoding, called, len(mark)
    # Text of two bytes a character without a mark: every other byte of a header is zero.
    for half, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        halves = seen.start[half:200:2]
        if halves.count(0) * 2 > len(halves):
            return encoding, "UTF-16", 0
    broken = sum(not _is_utf8(line) for line in seen.unusual)
    # A few broken lines among good ones are refused one by one; they don't change the others.
    if broken * 2 <= len(seen.unusual):
        return "utf-8", "UTF-8", 0
    encoding = _single_byte(b"\n".join(seen.unusual[:_SAMPLE_LINES]))
    return encoding, _SINGLE_BYTE[encoding], 0


def _single_byte(sample: bytes) -> str:
    """Guess among the encodings with one byte a character; Western European unless it can't be.

    charset-normalizer tells scripts apart (Cyrillic, Greek) but takes Western for Central European
    text. There, letters decide: Polish read as Western has signs inside its names.
    """
    found = from_bytes(sample, cp_isolation=list(_SINGLE_BYTE)).best()
    if found is not None and found.encoding in {"cp1251", "cp1253"}:
        return found.encoding
    return max(("cp1252", "cp1250"), key=lambda encoding: _letters(sample, encoding))


def _letters(sample: bytes, encoding: str) -> int:
    return sum(letter.isalpha() for letter in sample.decode(encoding, "replace"))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_binary(start: bytes) -> bool:
    """Tell whether a file's first bytes hold more control characters than a text could."""
    sample = start[:_SAMPLE_BYTES]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls > max(_FEW_CONTROLS, _MOST_CONTROLS * len(sample))


def _suitability(start: bytes, form: Form, mapping: Mapping[str, str]) -> tuple[bool, float, int]:
    """Say how well a form suits the first lines: columns known, lines alike, many columns."""
    reader = Reader(BytesIO(start), form)
    header = reader.header()
    if not isinstance(header, Record):
        return False, 0, 0
    width = len(header.fields)
    records = list(islice(reader.records(Shape(width, 0)), _SAMPLE_RECORDS))
    alike = sum(isinstance(record, Record) for record in records) / (len(records) or 1)
    return suits(header.fields, mapping), alike if width > 1 else 0, width


def _columns(header: Record | Unreadable | None, name: str, mapping: Mapping[str, str]) -> Columns:
    if header is None:
        raise BadFile(f"{name} is empty; it needs a first line that names its columns.")
    if isinstance(header, Unreadable):
        raise BadFile(
            f"{name}: its first line, which names the columns, can't be read. {header.reason}"
        )
    try:
        return recognise(header.fields, mapping)
    except BadFile as error:
        raise BadFile(f"{name}: {error}") from None
