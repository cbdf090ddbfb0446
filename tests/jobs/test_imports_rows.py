"""The rows of a file in windows: every line once, repetitions told, whatever the hashes are."""

import io

from hypothesis import example, given
from hypothesis import strategies as st

from mailprefs.jobs.imports.columns import recognise
from mailprefs.jobs.imports.people import Person, Refusal
from mailprefs.jobs.imports.reading import Form, Reader
from mailprefs.jobs.imports.rows import Repetition, Rows, Seen
from tests.factories import HASHER

# Few different bytes, so that one hash's end and the next one's beginning make a third.
HASHES = st.lists(st.binary(min_size=2, max_size=2).map(lambda end: b"\0\0" + end), max_size=40)
FEW = st.lists(st.text("\0\1", min_size=4, max_size=4).map(str.encode), max_size=40)


@given(HASHES | FEW)
@example([b"\0\0\1\0", b"\0\0\0\1", b"\0\0\0\0"])
def test_a_hash_is_new_exactly_once(hashes: list[bytes]) -> None:
    seen, known = Seen(), set[bytes]()

    for one in hashes:
        assert seen.add(one) is (one not in known)
        known.add(one)


def test_every_line_comes_once_and_people_come_by_hash() -> None:
    lines = ["email", *(f"p{n}@example.com" for n in range(200)), "nobody", "P7@example.com"]
    form = Form("utf-8", "UTF-8", 0, ",")
    reader = Reader(io.BytesIO("\n".join(lines).encode()), form)
    reader.header()
    rows = Rows(reader, recognise(["email"], {}), HASHER)

    ((first, window),) = rows.windows()

    assert (first, rows.read) == (0, 202)
    assert isinstance(window[0], Refusal) and window[0].line == 202
    assert window[1] == Repetition(203)
    people = [row for row in window[2:] if isinstance(row, Person)]
    assert [row.address_hash for row in people] == sorted(row.address_hash for row in people)
    assert {row.line for row in people} == set(range(2, 202))
