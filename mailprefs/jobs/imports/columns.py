"""What the columns of a file mean: usual header names in several languages, or ``--map``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from mailprefs.errors import BadFile, BadInput
from mailprefs.jobs.imports.regions import folded

FIELDS: Final = ("email", "first_name", "last_name", "language", "region", "zone")
"""What a column can be mapped to, besides an attribute's name."""
LEFT_OUT: Final = "-"
"""What a column is mapped to that looks like one of them and isn't."""

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HEADERS = {
    "email": """
        email emails mail emailaddress mailaddress emailid useremail subscriberemail contactemail
        customeremail primaryemail primaryemailaddress workemail email1 emailaddress1 email1value
        emailadresse mailadresse adresseemail adressemail adressedecourriel adresseelectronique
        courriel adressecourriel mel correo correoelectronico direcciondecorreo
        direcciondecorreoelectronico direccionemail indirizzoemail indirizzodiposta
        postaelettronica posta emailadres epost epostadress epostadresse epostaddress sahkoposti
        sahkopostiosoite adresemail adresemailowy adrespocztyelektronicznej emailcim ecim
        enderecodeemail eposta epostaadresi электроннаяпочта почта адресэлектроннойпочты имеил
        メールアドレス eメール 电子邮件 邮箱 电子邮箱 电邮 이메일
    """,
    "first_name": """
        firstname first fname givenname forename prename vorname vornamen rufname prenom nombre
        nombredepila nome primeironome voornaam fornamn fornavn etunimi imie jmeno keresztnev
        имя 名 名字 이름
    """,
    "last_name": """
        lastname last lname surname familyname secondname nachname familienname zuname nom
        nomdefamille apellido apellidos cognome sobrenome apelido achternaam efternamn etternavn
        efternavn sukunimi nazwisko prijmeni vezeteknev soyad фамилия 姓 성
    """,
    "language": """
        language lang locale preferredlanguage languagecode sprache langue idioma lingua taal sprak
        sprog kieli jezyk jazyk nyelv dil язык 言語 语言
    """,
    # A country first: where a file has both, "region" is a part of it.
    "region": """
        country countrycode countryregion countryname land landcode landercode landerkennung
        laenderkennung pays codepays pais codigopais codigodepais paese nazione maa kraj zeme orszag
        ulke страна 国 国家 国家地区 region regioncode
    """,
    "zone": """
        timezone tz zone tzname ianatimezone zeitzone fuseauhoraire zonahoraria fusoorario
        fusohorario tijdzone tidszon tidssone strefaczasowa часовойпояс タイムゾーン 时区
    """,
}
# Columns of other systems that say who left. A no in one of them keeps a person out.
_ANSWERS = frozenset(
    folded(name)
    for name in """
        status state emailstatus subscriptionstatus subscriberstatus mailingstatus contactstatus
        marketingstatus emailmarketing emailmarketingstatus emailmarketingconsent
        emailpermissionstatus acceptsmarketing acceptsemailmarketing marketingconsent consent
        optin optedin optinstatus emailoptin newsletter subscribed statut statusabonnement
        abonnementstatus abmeldestatus estado estadodesuscripcion stato statoiscrizione
    """.split()
)
_KNOWN = {folded(name): field for field, names in _HEADERS.items() for name in names.split()}
_SHOWN = 12


class Columns(NamedTuple):
    """Where each thing stands in a record.

    ``names``: the header as written. ``places``: a field of ``FIELDS`` with its index.
    ``attributes``: an attribute's name with its index. ``answers``: indexes of columns that say
    whether a person left. ``left_out``: names of what isn't imported.
    """

    names: tuple[str, ...]
    places: dict[str, int]
    attributes: dict[str, int]
    answers: tuple[int, ...]
    left_out: tuple[str, ...]

    @property
    def address(self) -> int:
        """Give the index of the address."""
        return self.places["email"]

    def name(self, column: int | None) -> str | None:
        """Give what to call a column in a refusal: the field it is, else its own name, cut."""
        for field, place in (self.places | self.attributes).items():
            if place == column:
                return field
        return None if column is None else self.names[column].strip()[:64] or f"column {column + 1}"


def checked_mapping(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give ``--map COLUMN=FIELD`` as a dictionary of column names.

    :raises BadInput: for a field that can't be, and for one that is named twice.
    """
    mapping: dict[str, str] = {}
    for column, field in pairs:
        if field not in {*FIELDS, LEFT_OUT} and not _ATTRIBUTE.fullmatch(field):
            msg = (
                f"--map {column}=... names no field: use {', '.join(FIELDS)}, an attribute's name "
                "of small letters, digits and underscores, or - to leave the column out."
            )
            raise BadInput(msg)
        if column in mapping or (field != LEFT_OUT and field in mapping.values()):
            raise BadInput(f"--map names {column} or {field} twice; one column fills one field.")
        mapping[column] = field
    return mapping


def recognise(header: Sequence[str], mapping: Mapping[str, str]) -> Columns:
    """Say what each column of *header* is; what *mapping* says goes before what names suggest.

    :raises BadFile: if there is no column of addresses, or more than one.
    :raises BadInput: if *mapping* names a column that isn't there.
    """
    mapped = {_place(header, column): field for column, field in mapping.items()}
    suggested: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        field = _KNOWN.get(folded(name))
        if field and index not in mapped and field not in mapped.values():
            suggested.setdefault(field, []).append(index)
    if len(addresses := suggested.get("email", [])) > 1:
        msg = (
            f"Columns {addresses[0] + 1} and {addresses[1] + 1} both look like the address; say "
            "which one it is with --map COLUMN=email."
        )
        raise BadFile(msg)
    chosen = {
        index: field for field, found in suggested.items() for index in [_best(header, found)]
    }
    fields = {i: field for i, field in (chosen | mapped).items() if field != LEFT_OUT}
    if "email" not in fields.values():
        raise BadFile(_no_address(header))
    answers = tuple(
        index
        for index, name in enumerate(header)
        if folded(name) in _ANSWERS and mapped.get(index) != LEFT_OUT
    )
    return Columns(
        tuple(header),
        {field: index for index, field in fields.items() if field in FIELDS},
        {field: index for index, field in fields.items() if field not in FIELDS},
        answers,
        tuple(name for i, name in enumerate(header) if i not in fields and i not in answers),
    )


def suits(header: Sequence[str], mapping: Mapping[str, str]) -> bool:
    """Tell whether *header* has a column of addresses, by its name or by *mapping*."""
    names = {folded(name) for name in header}
    by_map = any(folded(column) in names for column, field in mapping.items() if field == "email")
    return by_map or any(_KNOWN.get(name) == "email" for name in names)


def _place(header: Sequence[str], column: str) -> int:
    """Find a mapped column by its name, else by its number counted from 1."""
    for wanted, names in (
        (column, header),
        (column.strip().casefold(), [name.strip().casefold() for name in header]),
        (folded(column), [folded(name) for name in header]),
    ):
        if wanted in names:
            return list(names).index(wanted)
    if column.isdecimal() and 0 < int(column) <= len(header):
        return int(column) - 1
    msg = f"--map names the column {column}, which isn't in the file. {_listed(header)}"
    raise BadInput(msg)


def _best(header: Sequence[str], found: Sequence[int]) -> int:
    """Choose among columns for one field: a part of a country is no country; else the first."""
    return next(
        (index for index in found if not folded(header[index]).startswith("region")), found[0]
    )


def _no_address(header: Sequence[str]) -> str:
    if any("@" in name for name in header):
        return (
            "The first line of the file must name its columns, and there is an address in it; "
            "add a first line such as: email,first_name,last_name"
        )
    return (
        "No column of the file looks like an e-mail address; say which one it is with "
        f"--map COLUMN=email. {_listed(header)}"
    )


def _listed(header: Sequence[str]) -> str:
    names = [name.strip()[:40] for name in header[:_SHOWN]]
    more = f" and {len(header) - _SHOWN} more" if len(header) > _SHOWN else ""
    return f"Its columns are: {', '.join(names)}{more}."
