"""How a language says things: sentences, forms for numbers, dates."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from mailprefs import languages
from mailprefs.languages import Language
from scripts import translations

INSTANT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ONE, MANY = "%(n)s topic of %(name)s", "%(n)s topics of %(name)s"
OTHERS = [one.tag for one in languages.every() if one.tag != "en"]


def speaking(tag: str, *forms: str) -> Language:
    """Give a language that has one sentence, in these forms."""
    catalog = translations.wanted(tag)
    source = translations.updated(tag, catalog).split("\n\n", maxsplit=1)[0]
    source += f'\n\nmsgid "{ONE}"\nmsgid_plural "{MANY}"\n'
    source += "".join(f'msgstr[{i}] "{form}"\n' for i, form in enumerate(forms))
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(source.encode())))
    compiled.seek(0)
    language = Language(tag)
    language.sentences = Translations(compiled)
    return language


def test_english_is_said_as_it_stands_in_the_source() -> None:
    english = languages.ENGLISH
    assert english.gettext("Version %(version)s", version="7") == "Version 7"
    assert english.gettext("100 %%") == "100 %"
    assert english.ngettext(ONE, MANY, 1, name="x") == "1 topic of x"
    assert english.ngettext(ONE, MANY, 1200, name="x") == "1,200 topics of x"


def test_arabic_has_six_forms_and_japanese_one() -> None:
    arabic = speaking("ar", "zero", "one", "two", "few", "many", "other")
    said = [arabic.ngettext(ONE, MANY, n, name="x") for n in (0, 1, 2, 3, 10, 11, 99, 100, 103)]
    assert said == ["zero", "one", "two", "few", "few", "many", "many", "other", "few"]
    japanese = speaking("ja", "%(n)s: %(name)s")
    assert {japanese.ngettext(ONE, MANY, n, name="x") for n in (0, 1, 7)} == {
        "0: x",
        "1: x",
        "7: x",
    }


@pytest.mark.parametrize("tag", OTHERS)
def test_the_forms_are_those_of_unicode(tag: str) -> None:
    """Two numbers share a form in the file exactly if they share a category in CLDR."""
    rule = Locale.parse(tag, sep="-").plural_form
    n_forms = len({rule(n) for n in range(1000)})
    language = speaking(tag, *(str(i) for i in range(n_forms)))
    used = {(rule(n), language.ngettext(ONE, MANY, n, name="")) for n in range(1000)}
    assert len(used) == n_forms == len({form for _, form in used})


def test_dates_and_numbers_are_written_as_the_language_writes_them() -> None:
    said = {one.tag: one.date(INSTANT) for one in languages.every()}
    assert said == {
        "ar": "23 نوفمبر 2026",
        "de": "23. November 2026",
        "en": "23 November 2026",
        "es": "23 de noviembre de 2026",
        "fr": "23 novembre 2026",
        "ja": "2026年11月23日",
        "pt-BR": "23 de novembro de 2026",
    }
    german = Language("de")
    assert german.moment(INSTANT) == "23. November 2026, 09:30"
    assert german.number(1234567.5) == "1.234.567,5"


def test_a_value_is_never_taken_for_a_part_of_the_sentence() -> None:
    assert Language("de").gettext("Hello %(name)s", name="%(x)s {{ y }}") == "Hello %(x)s {{ y }}"
