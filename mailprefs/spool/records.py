"""The bytes of a segment: its header and its records."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from mailprefs.errors import BadFile

SUFFIX: Final = ".spool"
HEADER_BYTES: Final = 64
RECORD_BYTES: Final = 32
ID_BYTES: Final = 16

_MAGIC = b"MPSPOOL\x01"
_HEADER = Struct(">8s16sQ28x")
START: Final = Struct(">QQ")
"""How a record begins: whose it is, and when. Its ``rest`` follows, and then the checksum."""
_REST = Struct(">BBBB2sH4x")
_PARTS = Struct(">QQ12s")
_CHECKED = Struct(">28sI")
_CHECKSUM = Struct(">I")
_NO_COUNTRY = b"\0\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(NamedTuple):
    """One hit on a pixel: what is kept of it, and nothing of the person's device or IP address.

    ``subject`` is a delivery id, or the campaign's id where ``is_aggregate``. ``at_ms`` is the time
    in milliseconds since 1970 UTC. Kind, reason and client are the numbers of mailprefs.useragents,
    ``ruleset`` the table that gave them (up to 65,535); ``country`` two letters or None.
    """

    subject: int
    is_aggregate: bool
    at_ms: int
    kind: int
    reason: int
    client: int
    country: str | None
    ruleset: int

    @property
    def at(self) -> datetime:
        """Give the time of the hit, in UTC."""
        return _EPOCH + timedelta(milliseconds=self.at_ms)

    @property
    def rest(self) -> bytes:
        """Give the 12 bytes that many hits share: all but whose it is, when, and the checksum.

        struct.error or ValueError if a field can't be right.
        """
        country = self.country
        if country is not None and len(country) != len(_NO_COUNTRY):
            raise ValueError("a country has two letters")
        letters = country.encode("ascii") if country is not None else _NO_COUNTRY
        return _REST.pack(
            self.is_aggregate, self.kind, self.reason, self.client, letters, self.ruleset
        )


class Header(NamedTuple):
    """What stands at the start of a segment."""

    identity: bytes
    started_ms: int


def seed_of(identity: bytes) -> int:
    """Give what the checksums of a segment's records are continued from."""
    return crc32(identity)


def encode_header(header: Header) -> bytes:
    """Give the 64 bytes that a segment starts with."""
    body = _HEADER.pack(_MAGIC, header.identity, header.started_ms)
    return body + _CHECKSUM.pack(crc32(body))


def decode_header(data: bytes, path: Path) -> Header:
    """Read the first 64 bytes of *path*; errors.BadFile if it isn't a segment of this format."""
    if len(data) < HEADER_BYTES or crc32(data[:-4]) != _CHECKSUM.unpack(data[-4:])[0]:
        raise BadFile(f"{path.name} has no readable header; move it out of the spool.")
    magic, identity, started_ms = _HEADER.unpack(data[:-4])
    if magic != _MAGIC:
        raise BadFile(f"{path.name} is a segment of another version; read it with that version.")
    return Header(identity, started_ms)


def checked(data: memoryview, seed: int) -> list[bytes]:
    """Give the bodies (28 bytes) of whole records one behind the other, up to what is none."""
    bodies: list[bytes] = []
    for body, checksum in _CHECKED.iter_unpack(data[: len(data) // RECORD_BYTES * RECORD_BYTES]):
        if crc32(body, seed) != checksum:
            break
        bodies.append(body)
    return bodies


def key(body: bytes) -> bytes:
    """Give whose a record is and when it came, as bytes that stand in just that order."""
    return body[: START.size]


def parts(bodies: Sequence[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Give of each body whose it is, when (milliseconds since 1970 UTC), and its ``rest``."""
    return _PARTS.iter_unpack(b"".join(bodies))


def decode(body: bytes) -> Record:
    """Give the record that a body says."""
    subject, at_ms, rest = _PARTS.unpack(body)
    form, kind, reason, client, country, ruleset = _REST.unpack(rest)
    return Record(
        subject,
        bool(form),
        at_ms,
        kind,
        reason,
        client,
        None if country == _NO_COUNTRY else country.decode("ascii", "replace"),
        ruleset,
    )


def of_rest(rest: bytes) -> Record:
    """Give a record as a ``rest`` tells it, of nobody and no time."""
    return decode(bytes(START.size) + rest)
