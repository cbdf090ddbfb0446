"""The files by which fetches of the pixel are judged: countries, and Apple's addresses."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mailprefs import geo, relays, times
from mailprefs.doctor.findings import Finding, ok, warning
from mailprefs.errors import BadFile
from mailprefs.settings import Settings

_SOON: Final = timedelta(days=5)
_LOAD: Final = f"Download {relays.SOURCE}, then: mailprefs opens apple-list FILE"


def of_measuring(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Check both files; neither is needed, and an old one is as none."""
    if settings.country_db is not None:
        yield _of_countries(settings.country_db, now)
    yield _of_relays(settings.data_dir, now)


def _of_countries(path: Path, now: datetime) -> Finding:
    area, todo = "Countries", "Put a newer file there; the service takes it by itself."
    try:
        file = geo.opened(path)
    except BadFile as error:
        return warning(area, f"Every country is unknown. {error}", "Mend that, or unset it.")
    except OSError as error:
        said = f"Every country is unknown: the file can't be read ({error.strerror})."
        return warning(area, said, "See that MAILPREFS_COUNTRY_DB names a readable file.")
    made, age = times.written(file.built_at), file.age(now)
    if age > geo.TOO_OLD:
        said = f"The file was made {made}, too long ago to be true; every country is unknown."
        return warning(area, said, todo)
    if age > geo.AGEING:
        said = f"The file was made {made}, {age.days} days ago. After 400 it isn't believed."
        return warning(area, said, todo)
    return ok(area, f"The file was made {made}.")


def _of_relays(data_dir: Path, now: datetime) -> Finding:
    area, path = "Apple's list", data_dir / relays.FILE_NAME
    if not path.exists():
        said = "There is none: what calls itself Apple's privacy proxy is believed, less surely."
        return ok(area, said)
    try:
        found = relays.read(path)
    except (BadFile, OSError):
        return warning(area, "It can't be read, and is as none.", _LOAD)
    until = found.loaded_at + relays.FRESH
    if not found.is_fresh(now):
        return warning(area, f"It counted until {times.written(until)}.", _LOAD)
    if until - now < _SOON:
        return warning(area, f"It counts only until {times.written(until)}.", _LOAD)
    return ok(area, f"{found.networks:,} networks; it counts until {times.written(until)}.")
