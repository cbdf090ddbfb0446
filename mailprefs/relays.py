"""Apple's privacy relays: the list of their addresses that Apple publishes.

Mail Privacy Protection fetches every picture through them, read or not, and calls itself exactly
``Mozilla/5.0``. With the list, which the operator loads, such a fetch is certain, and whoever else
calls himself so is found out. The same addresses carry people who browse by Private Relay: their
country is unknown.
"""

import csv
import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from mailprefs.errors import BadFile
from mailprefs.files import Followed

SOURCE: Final = "https://mask-api.icloud.com/egress-ip-ranges.csv"
FILE_NAME: Final = "apple-relays"
FRESH: Final = timedelta(days=30)
_FORMAT: Final = "mailprefs relays 1"
_WIDEST: Final = {4: 10, 6: 20}
"""The shortest prefix that is believed: a wider network would take in half of a continent."""
_V4_BYTES: Final = 4


class Ranges(NamedTuple):
    """First and last number of each range, in order: whole IPv4 addresses, or 64 bits of IPv6."""

    first: "array[int]"
    last: "array[int]"

    def hold(self, number: int) -> bool:
        """Tell whether *number* is in one of them."""
        place = bisect_right(self.first, number) - 1
        return place >= 0 and number <= self.last[place]


class RelayList(NamedTuple):
    """A loaded list, and when it was loaded."""

    loaded_at: datetime
    networks: int
    v4: Ranges
    v6: Ranges

    def hold(self, packed: bytes) -> bool:
        """Tell whether an address of 4 or 16 bytes is one of Apple's."""
        if len(packed) == _V4_BYTES:
            return self.v4.hold(int.from_bytes(packed, "big"))
        return self.v6.hold(int.from_bytes(packed[:8], "big"))

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether it still counts: Apple's addresses change."""
        return now - self.loaded_at <= FRESH


class Relays:
    """The list of one installation, as it stands at any moment."""

    def __init__(self, data_dir: Path, clock: Callable[[], datetime]) -> None:
        """Follow the list that ``load`` stores in *data_dir*."""
        self._followed = Followed(data_dir / FILE_NAME, read)
        self._clock = clock

    def hold(self, packed: bytes) -> bool | None:
        """Tell whether an address is one of Apple's; None: there is no fresh list to say so."""
        found = self._followed.current()
        if found is None or not found.is_fresh(self._clock()):
            return None
        return found.hold(packed)


def load(source: Path, data_dir: Path, *, now: datetime) -> RelayList:
    """Check Apple's list in *source*, and store it where every running process finds it.

    Each line begins with a network ("172.224.226.0/27,GB,..."); what follows isn't used. Nothing
    is stored unless every line is right.

    :raises BadFile: with the first line that is wrong.
    """
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            networks = list(_networks(file, source.name))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{source} can't be read as text; download it again: {SOURCE}") from error
    if not networks:
        raise BadFile(f"{source} holds no networks; download it again: {SOURCE}")
    v4 = _ranges((int(one[0]), int(one[-1])) for one in networks if one.version == _V4_BYTES)
    v6 = _ranges((int(one[0]) >> 64, int(one[-1]) >> 64) for one in networks if one.version == 6)
    made = RelayList(now, len(networks), v4, v6)
    _store(made, data_dir / FILE_NAME)
    return made


def read(path: Path) -> RelayList:
    """Read what ``load`` stored.

    :raises BadFile: if that is damaged.
    """
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline(500))
            if head["format"] != _FORMAT:
                raise BadFile(f"{path.name} is of another version; load Apple's list again.")
            arrays = [array("Q") for _ in range(4)]
            for one, word in zip(arrays, ("v4", "v4", "v6", "v6"), strict=True):
                one.fromfile(file, head[word])
        loaded_at = datetime.fromisoformat(head["loaded_at"])
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise BadFile(f"{path.name} is damaged; load Apple's list again.") from error
    v4, v6 = Ranges(*arrays[:2]), Ranges(*arrays[2:])
    return RelayList(loaded_at, head["networks"], v4, v6)


def _networks(lines: Iterable[str], name: str) -> Iterator[IPv4Network | IPv6Network]:
    for number, row in enumerate(csv.reader(lines), 1):
        text = row[0].strip() if row else ""
        if not text:
            continue
        try:
            network = ip_network(text)
        except ValueError as error:
            what = "doesn't begin with a network such as 172.224.226.0/27"
            raise BadFile(f"Line {number} of {name} {what}; nothing was loaded.") from error
        if network.prefixlen < _WIDEST[network.version] or network.is_private:
            what = "names a network that can't be Apple's"
            raise BadFile(f"Line {number} of {name} {what}; nothing was loaded.")
        yield network


def _ranges(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Put ranges in order, those that touch each other together."""
    first, last = array("Q"), array("Q")
    for begin, end in sorted(pairs):
        if last and begin <= last[-1] + 1:
            last[-1] = max(last[-1], end)
        else:
            first.append(begin)
            last.append(end)
    return Ranges(first, last)


def _store(made: RelayList, path: Path) -> None:
    head = {
        "format": _FORMAT,
        "loaded_at": made.loaded_at.isoformat(),
        "networks": made.networks,
        "v4": len(made.v4.first),
        "v6": len(made.v6.first),
    }
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        for one in (*made.v4, *made.v6):
            one.tofile(file)
    unfinished.replace(path)
