"""Everything that is stored about people is told to them: a table or column without a word fails.

The marks in the schema say what is personal; ``mailprefs/privacy/access/telling.py`` says under
which name each column of such a table is told, or why it isn't.
"""

from collections import Counter
from enum import Enum
from pathlib import Path

import pytest
from sqlalchemy import JSON, Column, Integer, LargeBinary, MetaData, Table, Text

from mailprefs.consent import Entry
from mailprefs.inbound import Wish
from mailprefs.policy import Failure, Skip
from mailprefs.privacy.access.beside import ACTS_TOLD, CHOICE, CHOICE_WITHHELD, fields, titles
from mailprefs.privacy.access.collecting import is_of_people
from mailprefs.privacy.access.telling import BY_LAW, TABLES
from mailprefs.privacy.access.words import WORDS
from mailprefs.schema.base import OF_RECIPIENT, PLAIN
from mailprefs.schema.deliveries import BatchState
from mailprefs.schema.tables import metadata
from mailprefs.useragents import OpenKind
from mailprefs.vendor.message import Event, Verdict

DOCUMENT = Path(__file__).parents[2] / "docs" / "access.md"


def untold(of: MetaData) -> list[str]:
    """Say what of people is stored and nobody has said how to tell, and what to do about it."""
    found = []
    for table in filter(is_of_people, of.sorted_tables):
        if table.name not in TABLES:
            found.append(
                f"{table.name}: a person's export leaves it out. Give it a section in TABLES in "
                "mailprefs/privacy/access/telling.py."
            )
            continue
        told = TABLES[table.name]
        found += [
            f"{table.name}.{one}: a person's export leaves it out. Name it in the fields of "
            f"{told.key} in mailprefs/privacy/access/telling.py, or say why it is withheld."
            for one in (column.name for column in table.columns)
            if one not in told.fields and one not in told.withheld
        ]
    return found


def test_every_table_and_column_about_people_is_told_or_withheld_for_a_reason() -> None:
    assert untold(metadata) == []
    assert {one.name for one in filter(is_of_people, metadata.sorted_tables)} == set(TABLES)


def test_nothing_is_told_that_there_is_not_and_nothing_both_told_and_withheld() -> None:
    for name, told in TABLES.items():
        columns = set(metadata.tables[name].columns.keys())
        assert {*told.fields, *told.withheld} == columns, name
        assert not set(told.fields) & set(told.withheld), name
        assert all(told.withheld.values()), name


def test_every_part_of_a_choice_is_told_or_withheld_for_a_reason() -> None:
    assert {*CHOICE, *CHOICE_WITHHELD} == set(Entry._fields)


def test_names_are_given_once() -> None:
    assert len(titles()) == len(TABLES) + 2
    for key, told in fields().items():
        assert [name for name, n in Counter(one.key for one in told).items() if n > 1] == [], key


def test_only_what_is_binary_or_kept_apart_is_withheld() -> None:
    """Whatever is readable about a person is told, but what is somebody else's or in their mail."""
    readable = {
        f"{name}.{column}"
        for name, told in TABLES.items()
        for column, why in told.withheld.items()
        if why != BY_LAW and isinstance(metadata.tables[name].columns[column].type, Text | JSON)
    }
    assert readable == {"single_values.values", "erasures.failure"}
    shown = [
        f"{name}.{column}"
        for name, told in TABLES.items()
        for column in told.fields
        if isinstance(metadata.tables[name].columns[column].type, LargeBinary)
    ]
    assert shown == []


@pytest.mark.parametrize("mark", [OF_RECIPIENT, PLAIN])
def test_a_new_column_of_people_that_nobody_has_named_fails(mark: object) -> None:
    """Also one that isn't personal by itself: it stands in a row about somebody."""
    changed = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(changed)
    column: Column[str] = Column("nickname", Text, info={"mark": mark})
    changed.tables["subscriptions"].append_column(column)
    (told,) = untold(changed)
    assert told.startswith("subscriptions.nickname: a person's export leaves it out.")


def test_a_new_table_of_people_that_nobody_has_named_fails() -> None:
    changed = MetaData()
    info = {"mark": OF_RECIPIENT}
    Table("friends", changed, Column("recipient_id", Integer, info=info))
    Table("counts", changed, Column("n", Integer, info={"mark": PLAIN}))
    (told,) = untold(changed)
    assert told.startswith("friends: a person's export leaves it out.")


def stored_words() -> set[str]:
    """List the words of all closed lists that a field tells in words."""
    kinds: list[type[Enum]] = [Wish, Skip, Failure, BatchState, Event, Verdict]
    for name, told in TABLES.items():
        for column, field in told.fields.items():
            kind = getattr(metadata.tables[name].columns[column].type, "enum_class", None)
            if kind is not None:
                assert field.read == "word", f"{name}.{column}"
                kinds.append(kind)
    return {str(one.value) for kind in kinds for one in kind} | {
        *(one.name.lower() for one in OpenKind),
        *ACTS_TOLD,
    }


def test_every_stored_word_is_said_in_words() -> None:
    assert stored_words() - set(WORDS) == set()


def test_the_document_names_every_field() -> None:
    said = DOCUMENT.read_text(encoding="utf-8")
    for key, told in fields().items():
        names = ", ".join(f"`{one.key}`" for one in told)
        assert f"| `{key}` | {titles()[key]} | {names} |" in said, f"{key}: {names}"
