"""An export as one HTML file to read: no script, nothing from elsewhere, in one language."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from html import escape
from string import Template
from typing import Final
from zoneinfo import ZoneInfo

from mailprefs import settings
from mailprefs.languages import Language, gettext_noop
from mailprefs.privacy.access.beside import fields, titles
from mailprefs.privacy.access.export import Export, Record, Section, Value
from mailprefs.privacy.access.telling import Field
from mailprefs.privacy.access.words import WORDS, YES_OR_NO

_TITLE: Final = gettext_noop("Everything we store about you")
_MADE: Final = gettext_noop("Made on %(moment)s. All times are those of the time zone %(zone)s.")
_ALL: Final = gettext_noop(
    "This is everything that is stored about you in the system that sends our e-mails."
)
_WITHHELD: Final = gettext_noop("What is stored and not shown")
_CONTENTS: Final = gettext_noop("Contents")
_OF_WORDS: Final = frozenset({"word", "actor", "bits", "open_kind", "open_reason", "client"})
_LONG: Final = 60
"""Characters from which a value gets a line of its own."""


def as_html(export: Export, language: Language) -> str:
    """Give an export as a self-contained HTML file in *language*."""
    body = "\n".join(_body(export, language))
    return _skeleton().substitute(
        language=escape(language.tag),
        direction=language.direction,
        title=escape(language.gettext(_TITLE)),
        body=body,
    )


def _body(export: Export, language: Language) -> Iterator[str]:
    zone = ZoneInfo(export.zone)
    made = language.moment(export.made_at.astimezone(zone))
    yield f"<p>{escape(language.gettext(_MADE, moment=made, zone=export.zone))}</p>"
    yield f"<p>{escape(language.gettext(_ALL))}</p>"
    yield f'<nav aria-label="{escape(language.gettext(_CONTENTS))}"><ul>'
    for one in export.sections:
        title = escape(language.gettext(titles()[one.key]))
        yield f'<li><a href="#{one.key}">{title}</a></li>'
    yield f'<li><a href="#not_shown">{escape(language.gettext(_WITHHELD))}</a></li>'
    yield "</ul></nav>"
    for one in export.sections:
        yield from _section(one, language, zone)
    yield '<section aria-labelledby="not_shown">'
    yield f'<h2 id="not_shown">{escape(language.gettext(_WITHHELD))}</h2><ul>'
    for held in export.withheld:
        yield f"<li>{escape(language.gettext(held.why))}</li>"
    yield "</ul></section>"


def _section(section: Section, language: Language, zone: ZoneInfo) -> Iterator[str]:
    title, n = language.gettext(titles()[section.key]), len(section.records)
    count = f' <span class="count">({escape(language.number(n))})</span>' if n > 1 else ""
    yield f'<section aria-labelledby="{section.key}">'
    yield f'<h2 id="{section.key}">{escape(title)}{count}</h2>'
    yield '<ul class="rows">'
    for record in section.records:
        yield f"<li><dl>{''.join(_record(section.key, record, language, zone))}</dl></li>"
    yield "</ul></section>"


def _record(key: str, record: Record, language: Language, zone: ZoneInfo) -> Iterator[str]:
    """Give each field that says something, with its label."""
    for field in fields()[key]:
        value = record.get(field.key)
        if value is None or value in ("", [], {}):
            continue
        said = _said(_in_words(field, value, language), language, zone)
        wide = ' class="wide"' if len(said) > _LONG else ""
        label = escape(language.gettext(field.label))
        yield f"<div{wide}><dt>{label}</dt><dd>{escape(said)}</dd></div>"


def _in_words(field: Field, value: Value, language: Language) -> Value:
    """Give the words for stored ones, where a column holds such."""
    if field.read not in _OF_WORDS:
        return value
    if isinstance(value, list):
        return [_word(str(one), language) for one in value]
    said = _word(str(value), language)
    # A product has the same name in every language.
    return said.title() if field.read == "client" and value not in WORDS else said


def _word(word: str, language: Language) -> str:
    known = WORDS.get(word)
    return word.replace("_", " ") if known is None else language.gettext(known)


def _said(value: Value | object, language: Language, zone: ZoneInfo) -> str:
    """Give a value as the language writes it."""
    if isinstance(value, bool):
        return language.gettext(YES_OR_NO[value])
    if isinstance(value, datetime):
        return language.moment(value.astimezone(zone))
    if isinstance(value, date):
        return language.date(datetime(value.year, value.month, value.day, tzinfo=zone))
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_said(one, language, zone)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(one, language, zone) for one in value)
    return str(value)


@cache
def _skeleton() -> Template:
    path = settings.templates_dir() / "export" / "person.html"
    return Template(path.read_text(encoding="utf-8"))
