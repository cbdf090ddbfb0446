"""One record of a file as one person, or the reason why it can't be one.

What is refused names the line, the field and the reason, never what stood there.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final, NamedTuple
from zoneinfo import available_timezones

from mailprefs.addresses import Address, AddressHasher, normalise
from mailprefs.errors import BadAddress, BadInput
from mailprefs.jobs.imports.columns import Columns
from mailprefs.jobs.imports.reading import Record, Unreadable
from mailprefs.jobs.imports.regions import folded, region_code
from mailprefs.policy import SuppressionReason

LONGEST_NAME: Final = 200
LONGEST_VALUE: Final = 2_000

# What other systems write into a column that says who left, and why a person is then kept out.
_NOES = {
    SuppressionReason.UNSUBSCRIBED: """
        unsubscribed unsubscribe unsub optout optedout nonsubscribed notsubscribed neversubscribed
        suppressed blocked blocklisted blacklisted removed deleted no false n 0 nein non
        abgemeldet abbestellt desabonne desinscrit desuscrito baja disiscritto uitgeschreven
        wypisany avmeldt avregistrerad frameldt
    """,
    SuppressionReason.COMPLAINED: """
        complained complaint complainer spam spamcomplaint markedasspam reportedspam abuse
        abusecomplaint
    """,
    SuppressionReason.HARD_BOUNCE: "bounced bounce hardbounce hardbounced cleaned undeliverable",
    SuppressionReason.INVALID: "invalid invalidemail invalidaddress",
}
_NO = {word: reason.value for reason, words in _NOES.items() for word in words.split()}

_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_]([a-zA-Z]{4}))?(?:[-_]([a-zA-Z]{2}|\d{3}))?")
_LANGUAGES = {
    "da": "danish danisch danois dansk",
    "de": "german deutsch allemand aleman tedesco duits niemiecki",
    "en": "english englisch anglais ingles inglese engels angielski",
    "es": "spanish spanisch espagnol espanol spagnolo spaans castellano",
    "fi": "finnish finnisch finnois suomi",
    "fr": "french franzosisch francais frances francese frans francuski",
    "it": "italian italienisch italien italiano italiaans",
    "nl": "dutch niederlandisch neerlandais nederlands holandes olandese",
    "no": "norwegian norwegisch norvegien norsk",
    "pl": "polish polnisch polonais polski",
    "pt": "portuguese portugiesisch portugais portugues portoghese",
    "sv": "swedish schwedisch suedois svenska",
    "cs": "czech tschechisch tcheque cestina",
    "ru": "russian russisch russe русский",
    "uk": "ukrainian ukrainisch ukrainien українська",
    "tr": "turkish turkisch turc turkce",
    "el": "greek griechisch grec ελληνικα",
    "hu": "hungarian ungarisch hongrois magyar",
    "ro": "romanian rumanisch roumain romana",
    "ja": "japanese japanisch japonais 日本語",
    "zh": "chinese chinesisch chinois 中文",
}
_LANGUAGE_CODES = {name: code for code, names in _LANGUAGES.items() for name in names.split()}

_NOT_CARRIED = (
    "There is a letter outside ASCII (such as ü) before the @-sign, and the vendor doesn't carry "
    "such addresses; ask this person for another one."
)


class Person(NamedTuple):
    """What one line says of one person; None and a missing attribute say nothing.

    ``says_no``: why to keep the person out, if a column of the file says that they left.
    ``attributes``: names with values, as a tuple, because the collector of garbage looks again and
    again at the dictionaries of a whole window.
    """

    line: int
    address: str
    address_hash: bytes
    first_name: str | None
    last_name: str | None
    language: str | None
    region: str | None
    zone: str | None
    attributes: tuple[tuple[str, str], ...]
    says_no: str | None = None


class Refusal(NamedTuple):
    """A line that isn't imported: its number, the field if it is one field's fault, and why."""

    line: int
    field: str | None
    reason: str


class PersonReader:
    """Makes persons of records, for one file's columns."""

    def __init__(
        self, columns: Columns, hasher: AddressHasher, *, takes_a_no: bool = False
    ) -> None:
        """Look up once where each field stands; with *takes_a_no* the whole file says no."""
        self._takes_a_no = takes_a_no
        self._columns = columns
        self._hasher = hasher
        self._address = columns.address
        # In the order of Person's fields.
        self._cells: list[tuple[str, int | None, Callable[[str], str]]] = [
            ("first_name", columns.places.get("first_name"), _name),
            ("last_name", columns.places.get("last_name"), _name),
            ("language", columns.places.get("language"), language_tag),
            ("region", columns.places.get("region"), _region),
            ("zone", columns.places.get("zone"), _zone),
        ]
        self._attributes = tuple(columns.attributes.items())
        self._answers = columns.answers

    def person(self, found: Record | Unreadable) -> Person | Refusal:
        """Give the person of one record, or why there is none."""
        if isinstance(found, Unreadable):
            return Refusal(found.line, self._columns.name(found.column), found.reason)
        line, fields = found
        says_no = self._no(fields) if self._answers else None
        try:
            known = normalise(fields[self._address])
            self._check_carried(known, says_no)
        except BadAddress as error:
            return Refusal(line, "email", str(error))
        values: list[str | None] = []
        for field, place, cleaned in self._cells:
            try:
                values.append(_cell(fields, place, cleaned))
            except BadInput as error:
                return Refusal(line, field, str(error))
        attributes: list[tuple[str, str]] = []
        for field, place in self._attributes:
            try:
                if value := _cell(fields, place, _value):
                    attributes.append((field, value))
            except BadInput as error:
                return Refusal(line, field, str(error))
        address_hash = self._hasher.hash(known.key)
        first_name, last_name, language, region, zone = values
        return Person(
            line,
            known.address,
            address_hash,
            first_name,
            last_name,
            language,
            region,
            zone,
            tuple(attributes),
            says_no,
        )

    def _check_carried(self, known: Address, says_no: str | None) -> None:
        """Refuse an address that no mail of ours could reach, but never a no from it.

        It may be on file from elsewhere. Domains are in ASCII already.

        :raises BadAddress: for a local part that isn't.
        """
        if not (known.address.isascii() or self._takes_a_no or says_no):
            raise BadAddress(_NOT_CARRIED)

    def _no(self, fields: list[str]) -> str | None:
        """Give why a person is to be kept out, by what the file itself says of them."""
        noes = (answer_no(fields[place]) for place in self._answers)
        return next((no for no in noes if no), None)


def _cell(fields: list[str], place: int | None, cleaned: Callable[[str], str]) -> str | None:
    """Give a cell's cleaned value; None for an empty cell and for a column that isn't there."""
    text = "" if place is None else fields[place].strip()
    return cleaned(text) if text else None


def _name(text: str) -> str:
    """Give a name on one line; a name that spans lines could break a subject."""
    if text.isalnum() and len(text) <= LONGEST_NAME:
        return text
    joined = " ".join(text.split())
    if len(joined) > LONGEST_NAME:
        raise BadInput(f"This name is longer than {LONGEST_NAME} characters.")
    _refuse_controls(joined)
    return unicodedata.normalize("NFC", joined)


def _value(text: str) -> str:
    if len(text) > LONGEST_VALUE:
        raise BadInput(f"This value is longer than {LONGEST_VALUE:,} characters.")
    if not text.isprintable():
        _refuse_controls(text.replace("\n", " ").replace("\r", " ").replace("\t", " "))
    return text


def _refuse_controls(text: str) -> None:
    if not text.isprintable() and any(unicodedata.category(one) == "Cc" for one in text):
        raise BadInput("There is a control character in this field; remove it.")


@lru_cache(maxsize=1_024)
def language_tag(text: str) -> str:
    """Give a language's code or name as a tag like "de" or "pt-BR" (RFC 5646, up to the region).

    :raises BadInput: for what is neither.
    """
    if found := _LANGUAGE.fullmatch(text):
        language, script, region = found.groups()
        parts = (language.lower(), script and script.title(), region and region.upper())
        return "-".join(part for part in parts if part)
    if code := _LANGUAGE_CODES.get(folded(text)):
        return code
    raise BadInput("This is no language; use a code such as de, fr or pt-BR.")


@lru_cache(maxsize=1_024)
def answer_no(text: str) -> str | None:
    """Give why to keep out whom a file calls *text* ("Unsubscribed"); None for any other word."""
    return _NO.get(folded(text))


@lru_cache(maxsize=4_096)
def _region(text: str) -> str:
    if code := region_code(text):
        return code
    raise BadInput("This is no country known here; use its two-letter code, such as DE or US.")


@cache
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


@lru_cache(maxsize=1_024)
def _zone(text: str) -> str:
    if name := _zones().get(text.lower()):
        return name
    raise BadInput("This is no time zone; use a name such as Europe/Berlin.")
