"""``mailprefs opens``: why an example is judged as it is, and Apple's list."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mailprefs.cli.main import main

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPREFS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MAILPREFS_TOKEN_KEYS", sha256(b"no link").hexdigest())


def call(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> str:
    assert main(["opens", *words]) == 0
    return capsys.readouterr().out


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(capsys, ["explain", *words, "--json"]))
    assert sum(one["decides"] for one in found["rules"]) == 1
    return found


@pytest.mark.parametrize(
    ("words", "kind", "reason"),
    [
        ([CHROME], "direct", "browser"),
        ([CHROME, "--after", "4.9"], "scanner", "too_fast"),
        ([CHROME, "--after", "5"], "direct", "browser"),
        ([""], "unknown", "not_told"),
        (["curl/8.5.0"], "bot", "http_library"),
        (["curl/8.5.0", "--after", "1"], "bot", "http_library"),
        (["Mozilla/5.0"], "prefetched", "apple_privacy"),
        (["Mozilla/5.0", "--ip", "172.224.226.5"], "prefetched", "apple_privacy"),
    ],
)
def test_it_says_what_decided(
    capsys: pytest.CaptureFixture[str], words: list[str], kind: str, reason: str
) -> None:
    found = explained(capsys, *words)
    assert (found["kind"], found["reason"]) == (kind, reason)


def test_with_apples_list_it_says_who_is_apple(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = tmp_path / "egress.csv"
    source.write_text("172.224.226.0/27,GB,GB-EN,London,\n")
    assert ": 1 networks" in call(capsys, ["apple-list", str(source)])
    assert explained(capsys, "Mozilla/5.0", "--ip", "172.224.226.5")["confidence"] == "high"
    assert explained(capsys, "Mozilla/5.0", "--ip", "8.8.8.8")["kind"] == "unknown"


def test_for_people_it_shows_the_rules_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    shown = call(capsys, ["explain", "Firefox/11.0 (via ggpht.com GoogleImageProxy)"])
    lines = shown.splitlines()
    assert lines[0].endswith("Apple's Mail Privacy Protection? no")
    assert lines[2].startswith(">  3") and "yes: “ggpht.com”" in lines[2]
    assert lines[4].startswith("Proxied: a mail provider's image proxy")


def test_what_is_no_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["opens", "explain", "x", "--ip", "8.8.8"]) == 2
    assert "must be an IP address" in capsys.readouterr().err


def test_a_wrong_list_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("<html>")
    assert main(["opens", "apple-list", str(tmp_path / "page.html")]) != 0
    assert "nothing was loaded" in capsys.readouterr().err
