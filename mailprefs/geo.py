"""Which country an IP address belongs to, by a file that the operator provides; never more.

No file is shipped. MAILPREFS_COUNTRY_DB names one in MaxMind's format (.mmdb), which the extra
``geo`` reads. It is asked while a request runs; the address is forgotten with the request. Without
a file, with one that can't be read, or with one that is too old to be true, every country is
unknown, and nothing else changes.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from mailprefs.errors import BadFile
from mailprefs.files import Followed

AGEING: Final = timedelta(days=90)
"""From this age on, the doctor asks for a newer file."""
TOO_OLD: Final = timedelta(days=400)
"""From this age on, nothing is believed: networks have moved."""
_LETTERS: Final = 2


class Reader(Protocol):
    """What looks an address up."""

    def get(self, address: str, /) -> Any:  # noqa: ANN401 - whatever the file holds
        """Give what the file holds about an address, None for nothing."""
        ...


class CountryFile(NamedTuple):
    """An opened file, and when it was made."""

    built_at: datetime
    reader: Reader

    def age(self, now: datetime) -> timedelta:
        """Give how old what it says is."""
        return now - self.built_at

    def country(self, address: str) -> str | None:
        """Give the two letters (ISO 3166-1) of the country of an address, None if it isn't there.

        Files hold them as ``country.iso_code`` or as ``country_code``.
        """
        try:
            found = self.reader.get(address)
        except (ValueError, RuntimeError):
            # No address, or an IPv6 one in a file of IPv4; or the file is damaged just there, which
            # opening it doesn't show (its reader's error is a RuntimeError).
            return None
        if not isinstance(found, dict):
            return None
        country = found.get("country")
        code = country.get("iso_code") if isinstance(country, dict) else found.get("country_code")
        if not isinstance(code, str) or len(code) != _LETTERS or not code.isascii():
            return None
        return code.upper() if code.isalpha() else None


class Countries:
    """The countries of one installation, as its file stands at any moment."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        """Follow the file at *path*."""
        self._followed = Followed(path, opened)
        self._clock = clock

    def of(self, address: str) -> str | None:
        """Give the country of an address, None where it is unknown."""
        file = self._followed.current()
        if file is None or file.age(self._clock()) > TOO_OLD:
            return None
        return file.country(address)


def opened(path: Path) -> CountryFile:
    """Open a file of countries; a later change of the file on disk doesn't reach what is opened.

    :raises BadFile: when the extra is missing, or it isn't such a file.
    :raises OSError: when it can't be read.
    """
    try:
        maxminddb = import_module("maxminddb")
    except ImportError:
        raise BadFile(
            "MAILPREFS_COUNTRY_DB is set, but its reader isn't installed: install mailprefs[geo]."
        ) from None
    # The reader maps the file into memory: one that is overwritten in place would end the process.
    with tempfile.NamedTemporaryFile(prefix="mailprefs-countries-") as copy:
        copy.write(path.read_bytes())
        copy.flush()
        try:
            reader = maxminddb.open_database(copy.name)
            built_at = datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
        except (maxminddb.InvalidDatabaseError, ValueError, OverflowError, OSError):
            raise BadFile(f"{path.name} is not a file of countries (.mmdb).") from None
    return CountryFile(built_at, reader)
