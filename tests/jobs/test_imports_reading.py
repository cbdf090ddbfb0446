"""Reading a file: what is well written comes out as it was, and what isn't is told by its line."""

import csv
import io
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailprefs.jobs.imports.reading import (
    LONGEST_FIELD,
    LONGEST_RECORD,
    Form,
    Reader,
    Record,
    Shape,
    Unreadable,
    lines,
)

COMMA = Form("utf-8", "UTF-8", 0, ",")


def read(
    data: bytes, width: int, form: Form = COMMA, address: int = 0
) -> list[Record | Unreadable]:
    reader = Reader(io.BytesIO(data), form)
    return list(reader.records(Shape(width, address)))


def fields(found: Iterable[Record | Unreadable]) -> list[list[str]]:
    return [one.fields for one in found if isinstance(one, Record)]


def refused(found: Iterable[Record | Unreadable]) -> list[int]:
    return [one.line for one in found if isinstance(one, Unreadable)]


cells = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
) | st.sampled_from(['"', '""', '","', "a\nb", "a\r\nb", "\r", ";", "\t", "|", " x ", "'", "\\"])


@given(
    rows=st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=8)
    ),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
)
@example([["a", "b\r"], ["c", "d"]], ",", "\r", csv.QUOTE_MINIMAL, "utf-16-le")
def test_whatever_a_csv_writer_writes_comes_out_as_it_went_in(
    rows: list[list[str]], delimiter: str, line_end: str, quoting: int, encoding: str
) -> None:
    # A lone field of blanks, or one that looks like an address, can't be told from a line's own.
    rows = [row for row in rows if len(row) > 1 or (row[0].strip(" \r\n") and "@" not in row[0])]
    if quoting == csv.QUOTE_MINIMAL:
        # csv.writer doesn't quote a line break that isn't its own, so nobody could tell it.
        stray = {"\n", "\r"} - set(line_end)
        rows = [row for row in rows if not stray & set("".join(row))]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]  # typeshed wants literals
    form = Form(encoding, encoding, 0, delimiter)

    found = read(text.getvalue().encode(encoding), len(rows[0]) if rows else 1, form)

    assert fields(found) == rows
    assert refused(found) == []


@given(st.binary(max_size=400), st.integers(1, 3))
def test_no_bytes_at_all_make_reading_stumble(data: bytes, width: int) -> None:
    numbers = [one.line for one in read(data, width)]

    assert numbers == sorted(set(numbers))


@given(st.lists(st.binary(max_size=30), max_size=10), st.data())
def test_lines_are_the_same_however_the_file_is_cut(
    pieces: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(pieces)

    assert list(lines(piece for piece in pieces if piece)) == whole.splitlines(keepends=True)


def test_line_numbers_count_lines_not_records() -> None:
    found = read(b'a@x.test,"two\nlines"\n\nb@x.test,one\r\nc@x.test\rd@x.test,four', 2)

    assert found == [
        Record(1, ["a@x.test", "two\nlines"]),
        Record(4, ["b@x.test", "one"]),
        Unreadable(5, None, "There are 1 fields in this line, and 2 columns."),
        Record(6, ["d@x.test", "four"]),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b'a@x.test,"never closed',
        b'"a@x.test,never closed',
        b'a@x.test,"',
        b'a@x.test,"doubled at the end""',
    ],
)
def test_an_unclosed_quotation_mark_costs_its_own_line_only(broken: bytes) -> None:
    below = [b"b@x.test,plain", b'c@x.test,"quoted"', b'"d@x.test","both"', b"e@x.test,last"]

    found = read(b"\n".join([broken, *below]) + b"\n", 2)

    assert refused(found) == [1]
    assert [row[0] for row in fields(found)] == ["b@x.test", "c@x.test", "d@x.test", "e@x.test"]


@pytest.mark.parametrize("second", [b'b@x.test,"two', b'b@x.test,"', b'"b@x.test","'])
def test_two_unclosed_quotation_marks_are_not_taken_for_one_long_field(second: bytes) -> None:
    found = read(b'a@x.test,"one\n' + second + b"\nc@x.test,three\n", 2)

    assert refused(found) == [1, 2]
    assert fields(found) == [["c@x.test", "three"]]


def test_an_unclosed_quotation_mark_at_the_end_of_a_long_file_is_found() -> None:
    rows = b"".join(b"p%d@x.test,plain\n" % number for number in range(20_000))

    found = read(b'a@x.test,"open\n' + rows, 2)

    assert refused(found) == [1]
    assert len(fields(found)) == 20_000


def test_a_field_over_several_lines_that_holds_addresses_is_still_one_field() -> None:
    found = read(b'a@x.test,"Write to:\nb@y.test\nor call",x\nc@x.test,d,y\n', 3)

    assert fields(found) == [
        ["a@x.test", "Write to:\nb@y.test\nor call", "x"],
        ["c@x.test", "d", "y"],
    ]


def test_text_after_a_closing_quotation_mark_is_refused() -> None:
    found = read(b'a@x.test,"Anna"Maria\nb@x.test,Bo\n', 2)

    assert refused(found) == [1]
    assert isinstance(found[0], Unreadable) and "closing quotation mark" in found[0].reason


def test_quotation_marks_inside_a_plain_field_stay() -> None:
    assert fields(read(b'a@x.test,5" disk\n', 2)) == [["a@x.test", '5" disk']]


def test_wrong_bytes_cost_their_own_row_and_name_their_field() -> None:
    found = read(b"a@x.test,J\xc3\xbcrgen\nb@x.test,J\xfcrgen\nc@x.test,Jo\n", 2)

    assert found[1] == Unreadable(
        2, 1, "There are bytes here that are not UTF-8; save the file as UTF-8."
    )
    assert fields(found) == [["a@x.test", "Jürgen"], ["c@x.test", "Jo"]]


def test_half_a_character_in_utf_16_costs_its_own_row() -> None:
    data = (
        "a@x.test,A\nb@x.test,".encode("utf-16-le")
        + b"\x00\xd8"
        + "\nc@x.test,C".encode("utf-16-le")
    )

    found = read(data, 2, Form("utf-16-le", "UTF-16", 0, ","))

    assert refused(found) == [2]
    assert [row[0] for row in fields(found)] == ["a@x.test", "c@x.test"]


def test_a_file_in_utf_16_that_ends_inside_a_character_loses_its_last_row_only() -> None:
    data = "a@x.test,A\nb@x.test,B".encode("utf-16-le") + b"\x43"

    found = read(data, 2, Form("utf-16-le", "UTF-16", 0, ","))

    assert refused(found) == [2]
    assert fields(found) == [["a@x.test", "A"]]


def test_a_nul_character_is_refused_by_field() -> None:
    found = read(b"a@x.test,A\0na\n", 2)

    assert found == [Unreadable(1, 1, "There is a NUL character in this field.")]


def test_a_field_longer_than_any_cell_is_refused() -> None:
    long = b"x" * (LONGEST_FIELD + 1)

    found = read(b"a@x.test," + long + b"\nb@x.test," + long[:-1] + b"\n", 2)

    assert refused(found) == [1]
    assert [row[0] for row in fields(found)] == ["b@x.test"]


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_line_of_many_megabytes_is_refused_in_flat_memory(quote: bytes) -> None:
    data = b"a@x.test," + quote + b"x" * (8 << 20) + quote + b"\nb@x.test,B\n"

    found = read(data, 2)

    assert found[0] == Unreadable(1, None, f"This line is longer than {LONGEST_RECORD:,} bytes.")
    assert fields(found) == [["b@x.test", "B"]]
    kept = list(lines(data[at : at + 1000] for at in range(0, len(data), 1000)))
    assert len(kept[0]) < 2 * LONGEST_RECORD


def test_rows_of_empty_fields_are_rows_and_blank_lines_are_not() -> None:
    assert fields(read(b"a@x.test,A\n\n  \r\n,\n", 2)) == [["a@x.test", "A"], ["", ""]]


def test_a_spreadsheets_note_of_its_delimiter_is_no_header() -> None:
    reader = Reader(io.BytesIO(b"sep=;\r\nemail;name\r\n"), COMMA._replace(delimiter=";"))

    assert reader.header() == Record(2, ["email", "name"])
