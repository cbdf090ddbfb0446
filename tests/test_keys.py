import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprefs import keys
from mailprefs.errors import BadSetting

GOOD = "j3Wc0vX9eQm2Zr7TtB4uYkHsL1oNpA6gFdViKx8wCyE"
OTHER = "4be07a91c65d238f10f7ae52d98c3b6469ff05271e84d3cab8506b2d7cf4913e"


def test_a_key_may_be_written_as_base64url_or_as_hexadecimal() -> None:
    raw = secrets.token_bytes(32)
    text = {"hex": raw.hex(), "upper": raw.hex().upper()}
    assert {keys.parse_one(one, setting="K") for one in text.values()} == {raw}
    assert keys.parse_one("_-" + GOOD[2:], setting="K")[:1] == b"\xff"
    assert keys.parse_one(GOOD + "=", setting="K") == keys.parse_one(GOOD, setting="K")


def test_a_list_keeps_its_order() -> None:
    first, second = keys.parse_list(f" {GOOD} ,\n{OTHER}", setting="K")
    assert first.hex().startswith("8f759cd2f5fd790")
    assert second == bytes.fromhex(OTHER)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (",", "key 1 of 2, is empty"),
        (f"{GOOD},", "key 2 of 2, is empty"),
        (GOOD[:42], "holds 31 bytes"),
        (OTHER[:62], "holds 31 bytes"),
        ("changeme", "is a placeholder"),
        ("your-secret-key-goes-here-your-secret-key-goes-here", "is a placeholder"),
        ("<put the key here, please>", "is neither base64url nor hexadecimal"),
        (f"'{GOOD}'", "is neither base64url nor hexadecimal"),
        (f"{GOOD}\u200b", "is neither base64url nor hexadecimal"),
        ("00" * 32, "repeats itself"),
        ("A" * 43, "repeats itself"),
        ("0123456789abcdef" * 4, "repeats itself"),
        (bytes(range(32)).hex(), "repeats itself"),
        (f"{GOOD},{OTHER},{GOOD}=", "key 3 is the same as key 1"),
    ],
)
def test_a_key_that_can_be_guessed_is_refused_in_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(BadSetting) as refused:
        keys.parse_list(text, setting="MAILPREFS_KEYS")
    sentence = str(refused.value)
    assert sentence.startswith("MAILPREFS_KEYS") and reason in sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_a_single_key_takes_no_list() -> None:
    with pytest.raises(BadSetting, match="takes a single key"):
        keys.parse_one(f"{GOOD},{OTHER}", setting="K")


@given(st.text(min_size=6))
def test_a_refusal_never_shows_the_text_of_a_key(text: str) -> None:
    marked = f"{text[:3]}!QZQ!{text[3:]}"
    with pytest.raises(BadSetting) as refused:
        keys.parse_list(marked, setting="K")
    assert "QZQ" not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_new_key_is_accepted_and_never_the_same() -> None:
    made = {keys.new_key() for _ in range(200)}
    assert len(made) == 200
    assert all(len(keys.parse_one(one, setting="K")) == 32 for one in made)
