"""The data map says what the schema says, of every table and every column."""

import pytest

from mailprefs.schema.base import Base, Erasure
from mailprefs.schema.tables import GROUPS, metadata
from scripts import data_map


def test_the_page_is_as_the_schema_says() -> None:
    assert data_map.main(["--check"]) == 0


def test_every_table_and_column_stands_in_it() -> None:
    page = data_map.page()
    for table in metadata.sorted_tables:
        assert page.count(f"### `{table.name}`\n") == 1, table.name
        part = page.partition(f"### `{table.name}`\n")[2].partition("### ")[0]
        assert [column.name for column in table.columns if f"| `{column.name}` |" not in part] == []
        assert "Kept: " in part


def test_what_is_told_of_a_column_is_what_its_mark_and_the_export_say() -> None:
    page = data_map.page()
    row = "| `address_hash` | 16 bytes, keyed (MAILPREFS_ADDRESS_KEY), so that"
    assert row in page.partition("### `recipients`")[2]
    row = "| `first_name` | first name | while the recipient is known | the row is deleted | yes |"
    assert row in page
    assert "| no, by law |" in page.partition("### `legal_holds`")[2].partition("### ")[0]


def test_a_table_that_says_nothing_of_its_purpose_fails() -> None:
    named = " ".join(data_map.PURPOSES.values()).split()
    assert sorted(named) == sorted(metadata.tables)
    with pytest.raises(LookupError, match="what visits is for"):
        data_map.purpose("visits")


def test_a_page_that_is_out_of_date_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(data_map.ERASED, Erasure.ROW, "something else")
    assert data_map.main(["--check"]) == 1
    assert "run scripts/data_map.py" in capsys.readouterr().err
    assert {one.__module__ for one in Base.__subclasses__()} == {one.__name__ for one in GROUPS}
