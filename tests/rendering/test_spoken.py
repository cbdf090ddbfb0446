"""Mails in the reader's language: what mailprefs adds speaks it, and lines begin where they do."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from mailprefs import languages
from mailprefs.errors import BadTemplate
from mailprefs.languages import Language
from mailprefs.policy import LegalPurpose
from mailprefs.rendering import markup
from mailprefs.rendering.composing import Source, compose, compose_template
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.rendering.person import Origin, Person, preview

EVERY = languages.every()
OTHERS = [one for one in EVERY if one.tag != "en"]
BODY = "# Title\n\n- a\n\n> b\n\n| c | d |\n|---|--:|\n| 1 | 2 |\n"
Make = Callable[..., Person]


def sentences_of(*names: str) -> set[str]:
    """Give the English sentences of some mails, without those that are one word."""
    from mailprefs.settings import templates_dir  # noqa: PLC0415 - the files as they lie there

    found = {
        sentence
        for name in names
        for path in (templates_dir() / "email" / name).iterdir()
        for sentence in languages.marked(path.read_text())
    }
    return {re.sub(r"\{\{.*?\}\}.*", "", one).strip() for one in found if " " in one}


@pytest.mark.parametrize("language", OTHERS, ids=lambda one: one.tag)
def test_the_footer_of_a_newsletter_is_in_the_language_of_its_text(
    newsletter: Letterhead, language: Language
) -> None:
    content = compose(Source("x", f"language: {language.tag}\n\nx"), newsletter)
    assert content.language == language.tag
    assert f'<html lang="{language.tag}" dir="{language.direction}"' in content.html
    # What MJML says of each section would turn the sentences of the other direction around.
    assert set(re.findall(r"[^-]direction:(\w+)", content.html)) == {language.direction}
    for body in (content.html, content.text):
        for sentence in sentences_of("newsletter"):
            assert sentence not in body
    assert language.gettext("What we measure") in content.html
    assert language.gettext("Unsubscribe with one click:") in content.text


@pytest.mark.parametrize("language", OTHERS, ids=lambda one: one.tag)
@pytest.mark.parametrize("purpose", LegalPurpose)
def test_an_administrative_message_says_why_it_comes_in_its_own_language(
    notice: Letterhead, language: Language, purpose: LegalPurpose
) -> None:
    letterhead = replace(notice, language=language.tag, purpose=purpose)
    content = compose(Source("x", "x"), letterhead)
    assert "You get this message" not in content.html + content.text
    for sentence in sentences_of("notice"):
        assert sentence not in content.html + content.text


@pytest.mark.parametrize("language", EVERY, ids=lambda one: one.tag)
def test_a_system_mail_is_whole_in_every_language(
    notice: Letterhead, origin: Origin, person: Make, language: Language
) -> None:
    letterhead = replace(notice, language=language.tag, purpose=LegalPurpose.ACCOUNT)
    content = compose_template("fresh_link", letterhead)
    shown = preview(content, origin, person(1, first_name="Maria"))
    assert shown.subject == language.gettext("Your link to your e-mail settings")
    for part in (shown.text, shown.html):
        assert "Maria" in part and "{" not in re.sub(
            r"<style.*?</style>", "", part, flags=re.DOTALL
        )
    if language.tag != "en":
        for sentence in sentences_of("fresh_link", "notice"):
            assert sentence not in shown.subject + shown.text + shown.html
    nameless = preview(content, origin, person(1, first_name=""))
    assert "Maria" not in nameless.text
    assert language.gettext("Hello there,") in nameless.text


def test_arabic_lines_begin_on_the_right(newsletter: Letterhead) -> None:
    html = compose(Source("x", f"language: ar\n\n{BODY}"), newsletter).html
    assert "text-align:right" in html
    assert "border-right:3px" in html and "border-left:3px" not in html
    assert "padding:0 24px 0 0" in html and "padding:0 0 0 24px" not in html
    english = compose(Source("x", BODY), newsletter).html
    assert "border-left:3px" in english and "padding:0 0 0 24px" in english


def test_mirroring_exchanges_sides_and_nothing_else() -> None:
    style = '<p style="margin:1px 2px 3px 4px;border-left:0;text-align:right;padding:2px">left</p>'
    there = markup.mirrored(style)
    assert there == (
        '<p style="margin:1px 4px 3px 2px;border-right:0;text-align:left;padding:2px">left</p>'
    )
    assert markup.mirrored(there) == style


def test_an_mjml_design_says_its_language_itself(newsletter: Letterhead) -> None:
    body = "<mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body>"
    content = compose(Source("x", f'<mjml lang="fr">{body}</mjml>', "mjml"), newsletter)
    assert content.language == "fr"
    assert languages.find("fr").gettext("What we measure") in content.html  # type: ignore[union-attr]  # it is there
    assert (
        'dir="rtl"'
        in compose(Source("x", f'<mjml lang="he">{body}</mjml>', "mjml"), newsletter).html
    )
    assert compose(Source("x", f"<mjml>{body}</mjml>", "mjml"), newsletter).language == "en"


def test_a_language_without_a_file_gets_the_english_footer(newsletter: Letterhead) -> None:
    content = compose(Source("x", "language: nl\n\nHallo"), newsletter)
    assert (content.language, "Choose topics" in content.html) == ("nl", True)
    assert compose(Source("x", "language: PT-br\n\nx"), newsletter).language == "pt-BR"


@pytest.mark.parametrize("said", ["german language", "d", "de_DE", "x" * 17, "de-"])
def test_what_is_no_language_is_refused_with_a_sentence(newsletter: Letterhead, said: str) -> None:
    with pytest.raises(BadTemplate, match="write a code such as de, fr or pt-BR"):
        compose(Source("x", f"language: {said}\n\nx"), newsletter)
