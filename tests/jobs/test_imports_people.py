"""One record as one person: cleaned fields, or a refusal that shows nothing of what stood there."""

import pytest

from mailprefs.addresses import normalise
from mailprefs.jobs.imports.columns import recognise
from mailprefs.jobs.imports.people import Person, PersonReader, Refusal, answer_no
from mailprefs.jobs.imports.reading import Record, Unreadable
from mailprefs.jobs.imports.regions import region_code
from tests.factories import HASHER

HEADER = ["email", "first_name", "last_name", "language", "country", "time zone", "Plan"]
READER = PersonReader(recognise(HEADER, {"Plan": "plan"}), HASHER)


def person(**cells: str) -> Person | Refusal:
    values = dict.fromkeys(HEADER, "") | {"email": "anna@example.com"} | cells
    return READER.person(Record(7, [values[name] for name in HEADER]))


def test_every_field_is_cleaned() -> None:
    found = person(
        **{
            "email": "  Anna.Gross@EXAMPLE.com ",
            "first_name": " Anna\n Maria ",
            "last_name": "Gro\u0308ß",
            "language": "pt_br",
            "country": "Deutschland",
            "time zone": "europe/berlin",
            "Plan": " pro ",
        }
    )

    known = normalise("Anna.Gross@example.com")
    assert found == Person(
        7,
        known.address,
        HASHER.hash(known.key),
        "Anna Maria",
        "Größ",
        "pt-BR",
        "DE",
        "Europe/Berlin",
        (("plan", "pro"),),
    )


def test_an_empty_cell_says_nothing() -> None:
    found = person()

    assert isinstance(found, Person)
    assert found[3:] == (None, None, None, None, None, (), None)


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ({"email": ""}, "email", "no address here"),
        ({"email": "anna"}, "email", "no"),
        ({"email": "anna@exa\u200bmple.com"}, "email", "ZERO WIDTH SPACE"),
        ({"email": "Anna <anna@example.com>"}, "email", "angle brackets"),
        ({"email": "a@example.com, b@example.com"}, "email", ""),
        ({"first_name": "A" * 201}, "first_name", "longer than 200"),
        ({"last_name": "Bell\x07"}, "last_name", "control character"),
        ({"language": "Klingonian"}, "language", "no language"),
        ({"country": "Narnia"}, "region", "no country"),
        ({"time zone": "Mars/Base"}, "zone", "no time zone"),
        ({"Plan": "x" * 2_001}, "plan", "longer than 2,000"),
    ],
)
def test_a_bad_cell_is_refused_by_line_and_field_without_its_content(
    cells: dict[str, str], field: str, reason: str
) -> None:
    found = person(**cells)

    assert isinstance(found, Refusal)
    assert (found.line, found.field) == (7, field)
    assert reason in found.reason
    content = next(iter(cells.values()))
    assert not content or content not in found.reason


def test_who_cannot_be_reached_is_refused_at_the_import_and_not_at_the_send() -> None:
    found = person(email="jürgen@example.com")

    assert isinstance(found, Refusal)
    assert (found.line, found.field) == (7, "email")
    assert "before the @-sign" in found.reason and "jürgen" not in found.reason
    assert isinstance(person(email="juergen@bücher.example"), Person)


def test_a_no_is_taken_from_an_address_that_no_mail_reaches() -> None:
    columns = recognise(["email", "status"], {})
    by_file = PersonReader(columns, HASHER, takes_a_no=True)
    by_row = PersonReader(columns, HASHER)

    for reader, said in ((by_file, ""), (by_row, "unsubscribed")):
        found = reader.person(Record(7, ["jürgen@example.com", said]))
        assert isinstance(found, Person)
        assert found.address == "jürgen@example.com"


def test_an_unreadable_field_is_named_by_what_it_is() -> None:
    assert READER.person(Unreadable(3, 4, "Why.")) == Refusal(3, "region", "Why.")
    assert READER.person(Unreadable(3, None, "Why.")) == Refusal(3, None, "Why.")


def test_an_unreadable_field_that_is_not_imported_is_named_by_its_column() -> None:
    reader = PersonReader(recognise(["email", "Notes " + "x" * 80, ""], {}), HASHER)

    assert reader.person(Unreadable(3, 1, "Why.")) == Refusal(3, "Notes " + "x" * 58, "Why.")
    assert reader.person(Unreadable(3, 2, "Why.")) == Refusal(3, "column 3", "Why.")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("de", "DE"),
        ("DEU", "DE"),
        ("Germany", "DE"),
        ("ALLEMAGNE", "DE"),
        ("Österreich", "AT"),
        ("U.S.A.", "US"),
        ("United Kingdom", "GB"),
        ("UK", "GB"),
        ("Scotland", "GB"),
        ("Czech Republic", "CZ"),
        ("España", "ES"),
        ("Türkiye", "TR"),
        ("Côte d'Ivoire", "CI"),
        ("The Netherlands", "NL"),
        ("EMEA", None),
        ("North", None),
    ],
)
def test_countries_are_known_by_code_and_by_name(text: str, code: str | None) -> None:
    assert region_code(text) == code


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("DE", "de"),
        ("de_AT", "de-AT"),
        ("zh-hans-cn", "zh-Hans-CN"),
        ("Deutsch", "de"),
        ("Français", "fr"),
        ("ENGLISH", "en"),
        ("es-419", "es-419"),
    ],
)
def test_languages_are_known_by_tag_and_by_name(text: str, tag: str) -> None:
    found = person(language=text)

    assert isinstance(found, Person) and found.language == tag


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Unsubscribed", "unsubscribed"),
        ("OPT-OUT", "unsubscribed"),
        ("non-subscribed", "unsubscribed"),
        ("No", "unsubscribed"),
        ("FALSE", "unsubscribed"),
        ("0", "unsubscribed"),
        ("désabonné", "unsubscribed"),
        ("Abgemeldet", "unsubscribed"),
        ("Cleaned", "hard_bounce"),
        ("Hard bounce", "hard_bounce"),
        ("Spam complaint", "complained"),
        ("subscribed", None),
        ("yes", None),
        ("1", None),
        ("", None),
        ("gold", None),
    ],
)
def test_the_noes_of_other_systems_are_understood(text: str, reason: str | None) -> None:
    assert answer_no(text) == reason
