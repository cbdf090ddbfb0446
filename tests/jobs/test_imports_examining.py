"""Finding out how a file is written and what its columns are, before anything is imported."""

from hashlib import sha256
from pathlib import Path

import pytest

from mailprefs.errors import BadFile, BadInput
from mailprefs.jobs.imports.columns import checked_mapping, recognise
from mailprefs.jobs.imports.examining import Examined, examine
from mailprefs.jobs.imports.reading import Reader, Record, Shape


def examined(folder: Path, data: bytes, mapping: dict[str, str] | None = None) -> Examined:
    path = folder / "people.csv"
    path.write_bytes(data)
    return examine(path, mapping or {})


def records(folder: Path, data: bytes) -> list[list[str]]:
    found = examined(folder, data)
    with (folder / "people.csv").open("rb") as file:
        reader = Reader(file, found.form)
        reader.header()
        shape = Shape(len(found.columns.names), found.columns.address)
        return [one.fields for one in reader.records(shape) if isinstance(one, Record)]


GERMAN = "email;name\na@x.test;Jürgen Groß\nb@x.test;Zoë\n"
POLISH = "email;name\na@x.test;Małgorzata\nb@x.test;Paweł Dąbrowski\nc@x.test;Żak\n"
RUSSIAN = "email;name\na@x.test;Сергей Иванов\nb@x.test;Ольга Петрова\n"


@pytest.mark.parametrize(
    ("text", "encoding", "called"),
    [
        (GERMAN, "utf-8", "UTF-8"),
        (GERMAN, "utf-8-sig", "UTF-8"),
        (GERMAN, "utf-16", "UTF-16"),
        (GERMAN, "utf-16-le", "UTF-16"),
        (GERMAN, "utf-16-be", "UTF-16"),
        (GERMAN, "utf-32", "UTF-32"),
        (GERMAN, "cp1252", "Windows-1252"),
        (POLISH, "cp1250", "Windows-1250"),
        (RUSSIAN, "cp1251", "Windows-1251"),
    ],
)
def test_the_encoding_is_found_and_told(
    tmp_path: Path, text: str, encoding: str, called: str
) -> None:
    data = text.encode(encoding)

    assert examined(tmp_path, data).form.called == called
    assert records(tmp_path, data) == [row.split(";") for row in text.splitlines()[1:]]


def test_one_wrong_row_among_good_ones_does_not_change_how_the_others_are_read(
    tmp_path: Path,
) -> None:
    good = "".join(f"p{number}@x.test;Zoë\n" for number in range(3)).encode()

    found = records(tmp_path, b"email;name\n" + good + b"bad@x.test;Zo\xeb\n")

    assert found == [[f"p{number}@x.test", "Zoë"] for number in range(3)]


def test_an_umlaut_in_the_very_last_line_of_a_long_file_decides_the_encoding(
    tmp_path: Path,
) -> None:
    rows = b"".join(b"p%d@x.test;Anna\n" % number for number in range(50_000))

    found = examined(tmp_path, b"email;name\n" + rows + "z@x.test;Zoë".encode("cp1252"))

    assert found.form.called == "Windows-1252"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_although_others_stand_in_the_fields(
    tmp_path: Path, delimiter: str
) -> None:
    rows = [["E-Mail", "Notes"], ["a@x.test", '"a, b; c|d"'], ["b@x.test", '"1,5; 2,5"']]
    data = "\n".join(delimiter.join(row) for row in rows).encode()

    found = examined(tmp_path, data)

    assert found.form.delimiter == delimiter
    assert found.columns.names == ("E-Mail", "Notes")


def test_a_file_with_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert records(tmp_path, b"email\na@x.test\nb@x.test\n") == [["a@x.test"], ["b@x.test"]]


def test_size_and_digest_are_those_of_the_whole_file(tmp_path: Path) -> None:
    data = b"email\n" + b"someone@x.test\n" * 60_000

    found = examined(tmp_path, data)

    assert (found.size, found.digest) == (len(data), sha256(data).digest())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "people.csv is empty"),
        (b"\xef\xbb\xbf", "people.csv is empty"),
        (b"\n\r\n  \n", "people.csv is empty"),
        (b"anna@x.test,Anna\nbo@x.test,Bo\n", "The first line of the file must name its columns"),
        (b"name,city\nAnna,Bonn\n", "No column of the file looks like an e-mail address"),
        (b"email,E-Mail-Adresse\na@x.test,b@x.test\n", "Columns 1 and 2 both look like"),
        (b'"email,name\na@x.test,Anna\n', "A quotation mark opens a field"),
        (b"PK\x03\x04\x14\x00\x06\x00", "people.csv is a spreadsheet"),
    ],
)
def test_a_file_that_is_no_list_of_people_gets_one_sentence(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    with pytest.raises(BadFile) as caught:
        examined(tmp_path, data)

    assert sentence in str(caught.value)
    assert "people.csv" in str(caught.value)
    assert "@x.test" not in str(caught.value)


def test_a_file_that_is_not_there_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"absent\.csv can't be read: No such file or directory\."):
        examine(tmp_path / "absent.csv", {})


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("email", "email"),
        ("E-MAIL", "email"),
        ("Email Address", "email"),
        ("E-mail 1 - Value", "email"),
        ("E-Mail-Adresse", "email"),
        ("adresse e-mail", "email"),
        ("Courriel", "email"),
        ("Correo electrónico", "email"),
        ("Indirizzo email", "email"),
        ("E-postadress", "email"),
        ("Adres e-mail", "email"),
        ("メールアドレス", "email"),
        ("First Name", "first_name"),
        ("FNAME", "first_name"),
        ("given_name", "first_name"),
        ("Vorname", "first_name"),
        ("Prénom", "first_name"),
        ("Nombre", "first_name"),
        ("Last Name", "last_name"),
        ("surname", "last_name"),
        ("Nachname", "last_name"),
        ("Nom de famille", "last_name"),
        ("Apellidos", "last_name"),
        ("Language", "language"),
        ("Sprache", "language"),
        ("Langue", "language"),
        ("Country", "region"),
        ("Country/Region", "region"),
        ("Land", "region"),
        ("País", "region"),
        ("Time Zone", "zone"),
        ("Zeitzone", "zone"),
    ],
)
def test_usual_names_of_columns_are_recognised(header: str, field: str) -> None:
    columns = recognise(["email", header] if field != "email" else [header], {})

    assert columns.places[field] == (0 if field == "email" else 1)


def test_a_full_name_is_not_split_and_what_is_not_imported_is_told() -> None:
    columns = recognise(["email", "Name", "Points"], {})

    assert columns.places == {"email": 0}
    assert columns.left_out == ("Name", "Points")


def test_a_country_goes_before_a_part_of_it() -> None:
    columns = recognise(["email", "Region", "Country"], {})

    assert columns.places["region"] == 2
    assert columns.left_out == ("Region",)


@pytest.mark.parametrize("named", ["Login", " login", "LOGIN", "2"])
def test_a_mapping_names_a_column_by_its_name_or_number(named: str) -> None:
    columns = recognise(["Name", "Login", "Email"], {named: "email", "Name": "nickname"})

    assert columns.places == {"email": 1}
    assert columns.attributes == {"nickname": 0}
    assert columns.left_out == ("Email",)


def test_a_column_that_looks_like_a_country_and_is_none_can_be_left_out() -> None:
    columns = recognise(["email", "Region"], {"Region": "-"})

    assert "region" not in columns.places
    assert columns.left_out == ("Region",)


def test_a_mapping_to_a_column_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(BadInput, match=r"column Mail, which isn't in the file\. .*: email, name\."):
        recognise(["email", "name"], {"Mail": "email"})


@pytest.mark.parametrize(
    "pairs", [[("A", "Plan")], [("A", "1st")], [("A", "")], [("A", "plan"), ("B", "plan")]]
)
def test_a_mapping_to_what_is_no_field_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(BadInput):
        checked_mapping(pairs)


def test_a_mapped_column_decides_the_delimiter_too(tmp_path: Path) -> None:
    found = examined(tmp_path, b"Login;Note\na@x.test;1,5\n", {"Login": "email"})

    assert found.form.delimiter == ";"
