"""Which language somebody is spoken to in: their own, else what the browser asks for."""

import time

import pytest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from mailprefs import languages
from mailprefs.languages import Language

TAGS = {"ar", "de", "en", "es", "fr", "ja", "pt-BR"}


def asked(header: str, own: str | None = None) -> str:
    return languages.best(own, parse_accept_header(header, LanguageAccept)).tag


def test_seven_languages_are_spoken_each_under_its_own_name() -> None:
    assert {one.tag for one in languages.every()} == TAGS
    assert [one.name for one in languages.every()] == [
        "Deutsch", "English", "Español", "Français", "Português (Brasil)", "العربية", "日本語",
    ]  # fmt: skip


def test_arabic_is_written_from_the_right_and_the_others_from_the_left() -> None:
    assert {one.tag for one in languages.every() if one.direction == "rtl"} == {"ar"}
    assert languages.direction("he") == "rtl"
    assert languages.direction("nl") == "ltr"
    assert languages.direction("no such thing") == "ltr"


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [
        ("de", "de"), ("DE", "de"), ("de-AT", "de"), ("de_CH", "de"), ("de-Latn-DE", "de"),
        ("pt", "pt-BR"), ("pt-br", "pt-BR"), ("pt-PT", "pt-BR"), ("es-419", "es"), ("ar-EG", "ar"),
        ("en-GB", "en"), ("ja-JP-u-ca-japanese", "ja"),
        ("d", None), ("dex", None), ("zh-Hant-TW", None), ("", None), (None, None), ("-", None),
        ("*", None), ("../de", None),
    ],
)  # fmt: skip
def test_a_tag_finds_its_language_or_a_near_one(tag: str | None, spoken: str | None) -> None:
    found = languages.find(tag)
    assert (found.tag if isinstance(found, Language) else None) == spoken


@pytest.mark.parametrize(
    ("header", "spoken"),
    [
        ("de-AT, de;q=0.9, en;q=0.8", "de"),
        ("en-US, de;q=0.9", "en"),
        ("pt;q=0.3, ja;q=0.31", "ja"),
        ("pt", "pt-BR"),
        ("nl, sv;q=0.9, fr;q=0.1", "fr"),
        ("zh-TW, zh;q=0.9", "en"),
        ("*", "en"),
        ("nl, *;q=0.5", "en"),
        ("en;q=0, *;q=0.5", "de"),
        ("de-AT;q=0, fr;q=0, ja;q=0.001", "ja"),
        ("fr;q=0", "en"),
        ("es;q=1.000", "es"),
        ("", "en"),
        (";;;,,q=1", "en"),
        ("de;q=high, fr", "fr"),
        ("ar" + ",xx" * 3000, "ar"),
    ],
)
def test_the_browser_asks_by_weight_and_near_languages_count(header: str, spoken: str) -> None:
    """RFC 9110, section 12.5.4; a range finds its language as RFC 4647, section 3.4 looks it up."""
    assert asked(header) == spoken


@pytest.mark.parametrize(
    ("own", "header", "spoken"),
    [
        ("fr", "de", "fr"),
        ("fr-CA", "de", "fr"),
        ("nl", "de", "de"),
        (None, "de", "de"),
        ("", "", "en"),
    ],
)
def test_a_persons_own_language_comes_first(own: str | None, header: str, spoken: str) -> None:
    assert asked(header, own) == spoken


def test_a_thousand_ranges_are_answered_as_quickly_as_a_thousand_words_are_read() -> None:
    """What a browser asks for is anybody's to write, and each page reads it."""
    refused = ", ".join(["de;q=0", *(f"de-{n:04}" for n in range(1_000))])
    begun = time.process_time()
    assert asked(refused) == "en"
    assert time.process_time() - begun < 0.2
