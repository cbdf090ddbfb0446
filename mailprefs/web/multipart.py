"""A posted form read from a file, part by part, in little memory, however large or broken it is.

Flask's own reading gives texts, in which bytes of other encodings are lost, and refuses what is
large or malformed. Here the bytes are kept, of each field a bounded number; of a file, its name.
"""

from collections.abc import Iterator
from functools import partial
from typing import IO, Final, NamedTuple
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from mailprefs.vendor.message import Attached

LARGEST_FIELD: Final = 2_000_000
"""Bytes that are kept of one field."""
_MOST_FIELDS: Final = 200
_MOST_FILES: Final = 200
_AT_ONCE: Final = 64 * 1024


class Posted(NamedTuple):
    """The fields of a form, and what its files are called."""

    fields: dict[str, bytes]
    files: list[Attached]


def read(body: IO[bytes], content_type: str) -> Posted:
    """Read a form as far as it can be read; what is no form at all is one field, ``text``."""
    kind, options = parse_options_header(content_type)
    if kind == "multipart/form-data" and options.get("boundary"):
        return _parts(body, options["boundary"])
    whole = body.read(LARGEST_FIELD)
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_qsl(whole.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        return Posted({name: value.encode("latin-1", "replace") for name, value in pairs}, [])
    return Posted({"text": whole} if whole else {}, [])


def _parts(body: IO[bytes], boundary: str) -> Posted:
    fields: dict[str, bytearray] = {}
    files: list[Attached] = []
    into: bytearray | None = None
    try:
        for event in _events(body, MultipartDecoder(boundary.encode("latin-1", "replace"))):
            if isinstance(event, Field):
                is_new = event.name not in fields and len(fields) < _MOST_FIELDS
                into = fields.setdefault(event.name, bytearray()) if is_new else None
            elif isinstance(event, File):
                into = None
                if len(files) < _MOST_FILES:
                    kind = event.headers.get("Content-Type", "")
                    files.append(Attached(event.filename or "", kind))
            elif isinstance(event, Data) and into is not None:
                into += event.data[: LARGEST_FIELD - len(into)]
    except ValueError:
        # Torn or malformed from here on: what came before it counts.
        pass
    return Posted({name: bytes(value) for name, value in fields.items()}, files)


def _events(body: IO[bytes], decoder: MultipartDecoder) -> Iterator[Event]:
    for piece in iter(partial(body.read, _AT_ONCE), b""):
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), NeedData):
            yield event
            if isinstance(event, Epilogue):
                return
    decoder.receive_data(None)
