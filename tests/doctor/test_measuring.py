"""The doctor looks at the files by which fetches are judged; neither is needed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailprefs import relays
from mailprefs.doctor.findings import Level
from mailprefs.doctor.measuring import of_measuring
from mailprefs.settings import Settings
from tests.mmdb import write_mmdb

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def look(folder: Path, country_db: Path | None = None) -> list[tuple[Level, str]]:
    settings = Settings(data_dir=folder, country_db=country_db)
    return [(one.level, one.sentence) for one in of_measuring(settings, NOW)]


def test_without_either_file_all_is_well(tmp_path: Path) -> None:
    ((level, said),) = look(tmp_path)
    assert level is Level.OK and said.startswith("There is none")


@pytest.mark.parametrize(
    ("days", "level", "word"),
    [
        (90, Level.OK, "made 24 Aug 2026"),
        (91, Level.WARNING, "91 days ago"),
        (401, Level.WARNING, "unknown"),
    ],
)
def test_a_file_of_countries_is_to_be_renewed_in_time(
    tmp_path: Path, days: int, level: Level, word: str
) -> None:
    path = tmp_path / "c.mmdb"
    write_mmdb(path, {"203.0.113.0/24": "DE"}, built=int((NOW - timedelta(days=days)).timestamp()))
    found, said = look(tmp_path, path)[0]
    assert found is level and word in said


def test_a_file_of_countries_that_is_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.mmdb"
    assert look(tmp_path, path)[0][0] is Level.WARNING
    path.write_bytes(b"no")
    level, said = look(tmp_path, path)[0]
    assert level is Level.WARNING and "not a file of countries" in said


@pytest.mark.parametrize(
    ("days", "level", "word"),
    [
        (0, Level.OK, "counts until"),
        (26, Level.WARNING, "only until"),
        (31, Level.WARNING, "counted until"),
    ],
)
def test_apples_list_is_to_be_renewed_each_month(
    tmp_path: Path, days: int, level: Level, word: str
) -> None:
    source = tmp_path / "list.csv"
    source.write_text("172.224.226.0/27,GB\n")
    relays.load(source, tmp_path, now=NOW - timedelta(days=days))
    found, said = look(tmp_path)[0]
    assert found is level and word in said
