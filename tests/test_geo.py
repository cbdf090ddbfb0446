"""A country at most, from a file that may be absent, damaged or old."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailprefs import files, geo
from mailprefs.errors import BadFile
from mailprefs.geo import Countries, opened
from tests.mmdb import write_mmdb

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
HELD = {
    "203.0.113.0/24": {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Berlin"}}},
    "198.51.100.0/24": {"country_code": "fr"},
    "192.0.2.0/25": {"country": {"iso_code": "Germany"}},
    "192.0.2.128/25": "DE",
    "2001:db8:1::/48": {"country": {"iso_code": "NL"}},
}


def written(path: Path, age: timedelta = timedelta(days=10)) -> Path:
    write_mmdb(path, HELD, built=int((NOW - age).timestamp()))
    return path


def countries(path: Path) -> Countries:
    return Countries(path, lambda: NOW)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.77", "DE"),
        ("198.51.100.1", "FR"),
        ("2001:db8:1:2::3", "NL"),
        ("8.8.8.8", None),
        ("::1", None),
        ("192.0.2.1", None),
        ("192.0.2.200", None),
        ("", None),
        ("nonsense", None),
        ("203.0.113.77:80", None),
    ],
)
def test_an_address_has_a_country_of_two_letters_or_none(
    tmp_path: Path, address: str, expected: str | None
) -> None:
    assert countries(written(tmp_path / "c.mmdb")).of(address) == expected


@pytest.mark.parametrize(("days", "expected"), [(91, "DE"), (400, "DE"), (401, None)])
def test_a_file_too_old_to_be_true_is_not_believed(
    tmp_path: Path, days: int, expected: str | None
) -> None:
    path = written(tmp_path / "c.mmdb", timedelta(days=days))
    assert countries(path).of("203.0.113.77") == expected


@pytest.mark.parametrize("content", [None, b"", b"<html>no</html>", b"\xab\xcd\xefMaxMind.com\xff"])
def test_without_a_readable_file_every_country_is_unknown(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "c.mmdb"
    if content is not None:
        path.write_bytes(content)
        with pytest.raises(BadFile, match="not a file of countries"):
            opened(path)
    assert countries(path).of("203.0.113.77") is None


def test_where_a_file_is_damaged_inside_the_country_is_unknown(tmp_path: Path) -> None:
    """It opens like any other: only looking up an address shows it."""
    path = written(tmp_path / "c.mmdb")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\x42DE", b"\x5fDE").replace(b"iso_code", b"\xff" * 8))
    opened(path)
    assert countries(path).of("203.0.113.77") is None


def test_without_its_reader_every_country_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(geo, "import_module", absent)
    path = written(tmp_path / "c.mmdb")
    with pytest.raises(BadFile, match=r"install mailprefs\[geo\]"):
        opened(path)
    assert countries(path).of("203.0.113.77") is None


def test_a_new_file_is_taken_and_one_overwritten_in_place_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "c.mmdb")
    held = countries(path)
    assert held.of("203.0.113.77") == "DE"
    monkeypatch.setattr(files, "LOOK_SECONDS", 0.0)
    path.write_bytes(b"")
    followed = held._followed  # noqa: SLF001 - half a minute is too long for a test
    assert held.of("203.0.113.77") == "DE"
    followed._look_at = 0.0  # noqa: SLF001 - as above
    assert held.of("203.0.113.77") is None
    written(path)
    followed._look_at = 0.0  # noqa: SLF001 - as above
    assert held.of("203.0.113.77") == "DE"
