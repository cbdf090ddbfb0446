"""Every sentence that recipients see is said in every language, with all that belongs in it."""

from pathlib import Path

import pytest
from babel.messages import Catalog

from mailprefs.languages.language import FOLDER
from scripts import translations

FILES = sorted(FOLDER.glob("*.po"))
SENTENCE = "Privacy policy: {{ policy_url }}"
LINK = 'Questions? Write to <a href="%(url)s"><bdi>%(contact)s</bdi></a>'


@pytest.fixture(scope="module")
def asked() -> Catalog:
    return translations.wanted("de")


def broken(tmp_path: Path, old: str, new: str) -> Path:
    """Give a copy of the German file with one place changed."""
    path = tmp_path / "de.po"
    source = (FOLDER / "de.po").read_text()
    assert old in source
    path.write_text(source.replace(old, new, 1))
    return path


def test_sentences_are_found_in_pages_code_and_mails(asked: Catalog) -> None:
    places = {place.partition("/")[0] for message in asked for place, _ in message.locations}
    assert places == {"mailprefs", "templates"}
    for sentence in (SENTENCE, LINK, "Your topics are saved", "Unsubscribe?"):
        assert asked.get(sentence) is not None, sentence


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sentence_is_translated_and_none_is_left_over(path: Path, asked: Catalog) -> None:
    assert translations.problems(path, asked) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_as_the_script_writes_it(path: Path) -> None:
    """What nobody says any more is taken out, and the order is that of the files."""
    assert translations.updated(path.stem, translations.read(path)) == path.read_text()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('msgid "Undo"', 'msgid "Undoo"', "not there: Undo"),
        ('msgstr "Sprache"', 'msgstr ""', "not translated: Language"),
        ('msgstr "Sprache"', 'msgstr " "', "not translated: Language"),
        ('#: templates/public/base.html\nmsgid "Language"', '#, fuzzy\nmsgid "Language"', "fuzzy"),
        ("erklärung: {{ policy_url }}", "erklärung: {{ policy }}", "other placeholders or markup"),
        (
            'an <a href=\\"%(url)s\\"><bdi>%(contact)s</bdi></a>',
            "an %(contact)s",
            "other placeholders",
        ),
        ("</bdi> abmelden?", " abmelden?", "other placeholders"),
    ],
)
def test_what_is_missing_or_wrong_is_told(
    tmp_path: Path, asked: Catalog, old: str, new: str, told: str
) -> None:
    found = translations.problems(broken(tmp_path, old, new), asked)
    assert any(told in one for one in found), found


def test_a_sentence_that_nobody_says_any_more_is_told(tmp_path: Path, asked: Catalog) -> None:
    path = tmp_path / "de.po"
    source = (FOLDER / "de.po").read_text()
    path.write_text(f'{source}\nmsgid "Long gone"\nmsgstr "Lange her"\n')
    assert translations.problems(path, asked) == ["de.po: nobody says this any more: Long gone"]
    path.write_text(f'{source}\n#~ msgid "Long gone"\n#~ msgstr "Lange her"\n')
    assert "nobody says this any more" in translations.problems(path, asked)[0]


def test_a_new_language_begins_as_one_file_in_which_nothing_is_said_yet() -> None:
    begun = translations.updated("it", None)
    assert '"Language: it\\n"' in begun
    assert begun.count('msgstr ""') == begun.count("msgid ")
