"""One language: its sentences, its plurals, and how it writes dates and numbers (Unicode CLDR)."""

from datetime import datetime
from functools import cache, cached_property
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_datetime_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations

FOLDER: Final = Path(__file__).parent
"""Where the ``.po`` files are."""
RIGHT_TO_LEFT: Final = "rtl"
_SOURCE: Final = "en"
# English as most of the world writes dates: day before month, 24 hours.
_AS_WRITTEN: Final = {"en": "en-GB"}


class Language:
    """One language, known by its BCP 47 *tag*; its file is read when the first sentence is asked.

    Sentences hold ``%(name)s`` for values and ``%%`` for a per cent sign. One without a translation
    comes as it is, in English.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._locale = Locale.parse(_AS_WRITTEN.get(tag, tag), sep="-")

    @property
    def name(self) -> str:
        """Give what its speakers call it, for the beginning of a line."""
        name = Locale.parse(self.tag, sep="-").get_display_name() or self.tag
        return name[:1].upper() + name[1:]

    @property
    def direction(self) -> str:
        """Give ``ltr`` or ``rtl``, as HTML's dir says it."""
        return direction(self.tag)

    @cached_property
    def sentences(self) -> NullTranslations:
        """Give the sentences, unformatted, as the standard library's gettext holds them."""
        if self.tag == _SOURCE:
            return NullTranslations()
        path = FOLDER / f"{self.tag}.po"
        compiled = BytesIO()
        with path.open("rb") as file:
            write_mo(compiled, read_po(file))
        compiled.seek(0)
        return Translations(compiled)

    def knows(self, message: str) -> bool:
        """Tell whether a sentence can be said in this language."""
        return self.tag == _SOURCE or self.sentences.gettext(message) != message

    def gettext(self, message: str, /, **values: object) -> str:
        """Give *message* in this language, with *values* in it."""
        return self.sentences.gettext(message) % self._written(values)

    def ngettext(self, one: str, many: str, /, n: int, **values: object) -> str:
        """Give the form for *n* things; ``%(n)s`` stands for the number in it."""
        return self.sentences.ngettext(one, many, n) % self._written({"n": n, **values})

    def number(self, n: float) -> str:
        """Give a number with this language's separators."""
        return format_decimal(n, locale=self._locale)

    def date(self, instant: datetime) -> str:
        """Give the day of an instant, in the zone that it is in: 23 November 2026."""
        return format_date(instant, "long", locale=self._locale)

    def moment(self, instant: datetime) -> str:
        """Give the day and the time of an instant, in the zone that it is in."""
        time = format_time(instant, "short", tzinfo=instant.tzinfo, locale=self._locale)
        pattern = get_datetime_format("medium", locale=self._locale)
        return str(pattern).format(time, self.date(instant))

    def _written(self, values: dict[str, object]) -> dict[str, object]:
        return {
            name: self.number(value) if isinstance(value, int | float) else value
            for name, value in values.items()
        }

    def __repr__(self) -> str:
        return f"Language({self.tag!r})"


ENGLISH: Final = Language(_SOURCE)


@cache
def every() -> tuple[Language, ...]:
    """Give all languages, in order of their own names."""
    others = (Language(path.stem) for path in FOLDER.glob("*.po"))
    return tuple(sorted((ENGLISH, *others), key=lambda language: language.name.casefold()))


def direction(tag: str) -> str:
    """Give ``ltr`` or ``rtl`` for any tag, also of a language that has no file here."""
    try:
        locale = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return "ltr"
    return RIGHT_TO_LEFT if locale.character_order == "right-to-left" else "ltr"


def gettext_noop(message: str) -> str:
    """Give *message* as it is, and mark it for translation where it is shown."""
    return message
