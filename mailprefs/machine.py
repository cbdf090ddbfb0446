"""What one machine has left: the disks under the database and the spool, and hits that wait."""

import os
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import make_url

from mailprefs import spool
from mailprefs.errors import BadFile
from mailprefs.settings import Settings
from mailprefs.spool import Segment
from mailprefs.spool.writing import MAX_BYTES

GIGABYTE: Final = 10**9
_MOST_LOOKED_AT: Final = 64
_FOLDERS: Final = {"data": "the data directory", "spool": "the spool", "database": "the database"}


class Disk(NamedTuple):
    """A file system under something of ours, in bytes; *holds* says of what, within a sentence."""

    holds: str
    free: int
    total: int

    @property
    def is_filling(self) -> bool:
        """Tell whether somebody should make room: under 5 %, or under 1 GB.

        On a large disk 20 GB are room enough.
        """
        return self.free < max(GIGABYTE, min(self.total // 20, 20 * GIGABYTE))

    @property
    def is_full(self) -> bool:
        """Tell whether writing is about to fail."""
        return self.free < GIGABYTE // 5


class SpoolLevel(NamedTuple):
    """How full the pixel's spool is, and since when a hit has waited to be counted."""

    used: int
    most: int
    waiting_since: datetime | None
    unreadable: int

    @property
    def share(self) -> float:
        """Give how much of its bound is used, from 0 to 1."""
        return self.used / self.most


class Machine(NamedTuple):
    """One machine as it stands now."""

    name: str
    disks: tuple[Disk, ...]
    spool: SpoolLevel
    # Why the file of the ledger's heads can't be written; None if it can, or isn't asked for.
    heads: str | None = None


def look(settings: Settings, positions: Mapping[bytes, int]) -> Machine:
    """Look at this machine; *positions* says up to where each segment of the spool is counted."""
    spool_level = level(settings.spool_dir, positions)
    return Machine(name(), disks(settings), spool_level, unwritable(settings.ledger_heads))


def unwritable(file: Path | None) -> str | None:
    """Say why a file can't be appended to, or made; None if it can. Nothing is changed."""
    if file is None:
        return None
    try:
        if file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
            return None
        folder = next(one for one in file.absolute().parents if one.exists())
        if not folder.is_dir():
            return "a part of its path is a file"
        return None if os.access(folder, os.W_OK | os.X_OK) else "its directory can't be written to"
    except OSError as error:
        return error.strerror or type(error).__name__


def name() -> str:
    """Give this machine's own name."""
    return socket.gethostname()[:64] or "this machine"


def disks(settings: Settings) -> tuple[Disk, ...]:
    """Give the file systems under data directory, spool and database, each of them once."""
    places = {"data": settings.data_dir, "spool": settings.spool_dir}
    if (file := database_file(settings)) is not None:
        places["database"] = file.parent
    found: dict[int, list[str]] = {}
    at: dict[int, Path] = {}
    for what, path in places.items():
        existing = next((one for one in (path, *path.absolute().parents) if one.exists()), None)
        if existing is not None:
            device = existing.stat().st_dev
            found.setdefault(device, []).append(_FOLDERS[what])
            at.setdefault(device, existing)
    return tuple(_disk(_listed(held), at[device]) for device, held in found.items())


def database_file(settings: Settings) -> Path | None:
    """Give SQLite's file; None where the database is a server's."""
    url = make_url(settings.database)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def level(directory: Path, positions: Mapping[bytes, int]) -> SpoolLevel:
    """Look at the spool in *directory*, which may be absent."""
    segments = spool.segments(directory)
    return SpoolLevel(
        used=sum(one.size for one in segments),
        most=MAX_BYTES,
        waiting_since=min(_waiting(segments, positions), default=None),
        unreadable=len(spool.unreadable(directory)),
    )


def _waiting(segments: Iterable[Segment], positions: Mapping[bytes, int]) -> Iterable[datetime]:
    """Give the time of the first uncounted hit of each segment; of the oldest segments only."""
    behind = (one for one in segments if one.has_more(positions.get(one.identity, 0)))
    for segment in islice(behind, _MOST_LOOKED_AT):
        try:
            records, _ = spool.read(segment.path, positions.get(segment.identity, 0), 1)
        except BadFile:  # counted and removed just now
            continue
        yield from (record.at for record in records)


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _disk(holds: str, path: Path) -> Disk:
    stat = os.statvfs(path)
    # What is kept for the system's administrator is no room of ours.
    return Disk(holds, stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize)


def in_words(size: int) -> str:
    """Write a number of bytes for people: 64 kB, 820 MB, 1.4 GB."""
    if size < 1_000_000:
        return f"{-(-size // 1_000)} kB"
    if size < GIGABYTE:
        return f"{size // 1_000_000} MB"
    return f"{size / GIGABYTE:.1f} GB" if size < 100 * GIGABYTE else f"{size // GIGABYTE:,} GB"


def age(since: datetime, now: datetime) -> str:
    """Write how long ago something was: 40 seconds, 12 minutes, 3 hours, 2 days."""
    seconds = max(0, int((now.astimezone(UTC) - since).total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        n = seconds // size
        if n >= 2 or (n == 1 and unit != "second"):
            return f"{n} {unit}" if n == 1 else f"{n} {unit}s"
    return "a moment"
