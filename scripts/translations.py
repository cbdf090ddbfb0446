"""Keep the languages' files in step with the sentences in templates and code.

    .venv/bin/python scripts/translations.py            bring every language's file up to date
    .venv/bin/python scripts/translations.py it sv      and begin files of new languages
    .venv/bin/python scripts/translations.py --check    only say what is missing, in error or unused

A new or changed sentence is empty in each file until somebody translates it; one that is gone is
taken out. Comments of translators stay.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from babel import Locale
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po

from mailprefs import languages

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "mailprefs" / "languages"
KEYWORDS: Final[dict[str, Any]] = {"gettext": None, "ngettext": (1, 2), "gettext_noop": None}
_JINJA: Final = {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}
# Babel's own has many (11 to 99) and other (100 to 102) in each other's place.
_PLURALS: Final = {
    "ar": "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 "
    ": n%100>=11 && n%100<=99 ? 4 : 5);"
}
_HELD: Final = re.compile(
    r"%\([a-z_]+\)s|%%|\{\{ [a-z_]+ \}\}"  # what is filled in, by gettext and by the merge language
    r"|</?[a-z]+[^>]*>"  # markup
)


class Found(NamedTuple):
    """A sentence in templates or code: its forms (one, or one and many), and the file it is in."""

    forms: tuple[str, ...]
    file: str


@cache
def sentences() -> tuple[Found, ...]:
    """Give every sentence that recipients are shown, file by file; read once, for it takes long."""
    return tuple(_sentences())


def _sentences() -> Iterator[Found]:
    for path in sorted((ROOT / "mailprefs").rglob("*.py")):
        yield from _extracted("python", path)
    for path in sorted((ROOT / "templates" / "public").glob("*.html")):
        yield from _extracted("jinja2.ext:babel_extract", path)
    for path in sorted((ROOT / "templates" / "email").glob("*/*")):
        for sentence in languages.marked(path.read_text(encoding="utf-8")):
            yield Found((sentence,), path.relative_to(ROOT).as_posix())


def wanted(tag: str) -> Catalog:
    """Give all sentences as a language's file has them, none translated."""
    catalog = Catalog(locale=Locale.parse(tag, sep="-"), fuzzy=False)
    for found in sentences():
        catalog.add(_id(found.forms), locations=[(found.file, 0)])
    return catalog


def read(path: Path) -> Catalog:
    """Give a language's file as it is."""
    with path.open("rb") as file:
        return read_po(file, locale=Locale.parse(path.stem, sep="-"))


def updated(tag: str, known: Catalog | None) -> str:
    """Give a language's file with all sentences, as far as *known* translates them."""
    catalog = wanted(tag)
    for message in catalog:
        before = known.get(message.id) if known else None
        if before and not before.fuzzy and message.id:
            message.string = before.string
            message.user_comments = before.user_comments
    body = BytesIO()
    write_po(body, catalog, width=100, omit_header=True, include_lineno=False)
    return _header(tag) + body.getvalue().decode()


def problems(path: Path, asked: Catalog) -> list[str]:
    """Say what is wrong with a language's file, given the sentences that are *asked* for."""
    catalog = read(path)
    told = [f"{path.name}: nobody says this any more: {one}" for one in catalog.obsolete]
    told += [
        f"{path.name}: nobody says this any more: {message.id}"
        for message in catalog
        if message.id and asked.get(message.id) is None
    ]
    for message in asked:
        if message.id:
            wrong = _wrong(message, catalog.get(message.id))
            told += [f"{path.name}: {wrong}: {message.id}"] if wrong else []
    return told


def held(text: str) -> Counter[str]:
    """Count what a translation has to keep as it is: what is filled in, and markup."""
    return Counter(_HELD.findall(text))


def main(arguments: list[str]) -> int:
    """Bring the files up to date, or only check them; give the exit code."""
    paths = sorted(FOLDER.glob("*.po"))
    if arguments == ["--check"]:
        told = [one for path in paths for one in problems(path, wanted(path.stem))]
        sys.stdout.writelines(f"{one}\n" for one in told)
        return 1 if told else 0
    for path in (*paths, *(FOLDER / f"{tag}.po" for tag in arguments)):
        known = read(path) if path.exists() else None
        path.write_text(updated(path.stem, known), encoding="utf-8")
    return 0


def _extracted(method: str, path: Path) -> Iterator[Found]:
    options = {} if method == "python" else _JINJA
    name = path.relative_to(ROOT).as_posix()
    for _, message, _, _ in extract_from_file(method, path, KEYWORDS, options=options):
        yield Found((message,) if isinstance(message, str) else tuple(message), name)


def _id(forms: tuple[str, ...]) -> str | tuple[str, ...]:
    return forms[0] if len(forms) == 1 else forms


def _wrong(asked: Message, given: Message | None) -> str | None:
    """Say what is wrong with one translation; None where nothing is."""
    if given is None:
        return "not there"
    if given.fuzzy:
        return "fuzzy"
    source = [asked.id] if isinstance(asked.id, str) else list(asked.id)
    said = given.string or ""
    forms = [said] if isinstance(said, str) else list(said)
    if not all(form and form.strip() for form in forms):
        return "not translated"
    # A form for one or two things may say so in words.
    fits = (held(form) in (held(one) for one in source) for form in forms)
    is_plural = len(source) > 1
    if not is_plural and not all(fits):
        return "other placeholders or markup than"
    if is_plural and not all(held(form) <= held(source[-1]) for form in forms):
        return "other placeholders or markup than"
    return None


def _header(tag: str) -> str:
    plurals = _PLURALS.get(tag) or str(get_plural(tag.replace("-", "_")))
    return (
        f"# {Locale.parse(tag, sep='-').get_display_name('en')}\n"
        'msgid ""\n'
        'msgstr ""\n'
        f'"Language: {tag}\\n"\n'
        '"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {plurals}\\n"\n\n'
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
