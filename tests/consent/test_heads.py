"""Signed heads: nobody without the keys makes or changes one."""

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from mailprefs.consent.entries import Head
from mailprefs.consent.heads import Seal
from mailprefs.errors import BadFile

NOW = datetime(2026, 11, 22, 4, 0, 0, 123, tzinfo=UTC)
OLD, NEW = sha256(b"the old key").digest(), sha256(b"the new key").digest()
HEAD = Head(7, bytes(range(32)))


def test_a_line_says_where_the_ledger_ended_and_is_known_again() -> None:
    line = Seal([NEW]).sign(HEAD, NOW).line()
    said = json.loads(line)
    assert (said["seq"], said["hash"], said["at"]) == (
        7,
        HEAD.entry_hash.hex(),
        "2026-11-22T04:00:00Z",
    )
    assert Seal([NEW]).read([line, "", line], where="heads") == [HEAD, HEAD]


def test_lines_of_an_older_key_are_known_and_the_newest_one_signs() -> None:
    line = Seal([OLD]).sign(HEAD, NOW).line()
    assert Seal([OLD, NEW]).read([line], where="heads") == [HEAD]
    assert Seal([OLD, NEW]).sign(HEAD, NOW) == Seal([NEW]).sign(HEAD, NOW)
    with pytest.raises(BadFile, match="Line 1 of heads"):
        Seal([NEW]).read([line], where="heads")


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 8},
        {"seq": "7"},
        {"hash": bytes(32).hex()},
        {"hash": "zz"},
        {"at": "2026-11-23T04:00:00Z"},
        {"signature": "A" * 16},
        {"signature": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_changed_line_is_told_by_its_number(change: dict[str, object]) -> None:
    good = Seal([NEW]).sign(HEAD, NOW)
    wrong = json.dumps(good.document() | change)
    with pytest.raises(BadFile, match="Line 2 of heads"):
        Seal([NEW]).read([good.line(), wrong], where="heads")


@pytest.mark.parametrize("line", ["{", "[]", "7", "null", "{}", '{"seq": 7', "\x00", "ü"])
def test_what_is_no_head_is_told_by_its_number(line: str) -> None:
    with pytest.raises(BadFile, match="Line 1 of heads"):
        Seal([NEW]).read([line], where="heads")
