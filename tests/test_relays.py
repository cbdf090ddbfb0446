"""Apple's list: every line checked, stored whole or not at all, believed for thirty days."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from mailprefs import relays
from mailprefs.errors import BadFile
from mailprefs.relays import Relays

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LIST = """\
172.224.226.0/31,GB,GB-EN,London,
172.224.226.2/31,GB,GB-EN,London,
104.28.30.0/24,BE,BE-BRU,Brussels,

2a02:26f7:c9c8:4000::/64,US,US-CA,San Francisco,
2a02:26f7:d000::/45,DE,,,
"""


def source(tmp_path: Path, text: str = LIST) -> Path:
    path = tmp_path / "egress-ip-ranges.csv"
    path.write_text(text, encoding="utf-8")
    return path


def packed(text: str) -> bytes:
    return ip_address(text).packed


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("172.224.225.255", False),
        ("172.224.226.0", True),
        ("172.224.226.3", True),
        ("172.224.226.4", False),
        ("104.28.30.255", True),
        ("0.0.0.1", False),
        ("255.255.255.255", False),
        ("2a02:26f7:c9c8:4000:1:2:3:4", True),
        ("2a02:26f7:c9c8:4001::", False),
        ("2a02:26f7:d007:ffff::1", True),
        ("2a02:26f7:d008::1", False),
    ],
)
def test_an_address_is_one_of_apples_or_not(tmp_path: Path, address: str, expected: bool) -> None:  # noqa: FBT001 - a table
    made = relays.load(source(tmp_path), tmp_path, now=NOW)
    assert made.networks == 5
    assert made.hold(packed(address)) is expected
    assert Relays(tmp_path, lambda: NOW).hold(packed(address)) is expected


def test_without_a_fresh_list_nobody_can_say(tmp_path: Path) -> None:
    one = packed("172.224.226.0")
    assert Relays(tmp_path, lambda: NOW).hold(one) is None
    relays.load(source(tmp_path), tmp_path, now=NOW)
    assert Relays(tmp_path, lambda: NOW + timedelta(days=30)).hold(one) is True
    assert Relays(tmp_path, lambda: NOW + timedelta(days=30, seconds=1)).hold(one) is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "holds no networks"),
        ("\n\n", "holds no networks"),
        ("<html><title>Not found</title>", "Line 1 of .* begin with a network"),
        ("172.224.226.0/31,GB\n172.224.226.5/31,GB\n", "Line 2"),
        ("172.224.226.0/31,GB\n10.0.0.0/24\n", "Line 2 of .* can't be Apple's"),
        ("0.0.0.0/0", "can't be Apple's"),
        ("2a02::/16", "can't be Apple's"),
        (f'172.224.226.0/31,"{"x" * 200_000}"', "can't be read as text; download it again"),
    ],
)
def test_a_list_with_one_wrong_line_changes_nothing(tmp_path: Path, text: str, match: str) -> None:
    relays.load(source(tmp_path), tmp_path, now=NOW)
    with pytest.raises(BadFile, match=match):
        relays.load(source(tmp_path, text), tmp_path, now=NOW)
    assert Relays(tmp_path, lambda: NOW).hold(packed("104.28.30.7")) is True


@pytest.mark.parametrize("damage", [b"", b"{}\n", b'{"format": "mailprefs relays 1"}\n', b"\xff\n"])
def test_a_damaged_store_is_as_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / relays.FILE_NAME).write_bytes(damage)
    with pytest.raises(BadFile, match=r"damaged|another version"):
        relays.read(tmp_path / relays.FILE_NAME)
    assert Relays(tmp_path, lambda: NOW).hold(packed("104.28.30.7")) is None


def test_a_cut_store_is_as_none(tmp_path: Path) -> None:
    relays.load(source(tmp_path), tmp_path, now=NOW)
    path = tmp_path / relays.FILE_NAME
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadFile, match="damaged"):
        relays.read(path)
