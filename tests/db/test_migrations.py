"""The migrations: one line, numbered, and on an empty database the same as the schema."""

import re
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, text

from mailprefs.db.database import Database
from mailprefs.db.migrate import upgrade
from mailprefs.db.version import pending
from mailprefs.schema.base import Base
from mailprefs.schema.tables import metadata
from mailprefs.settings import migrations_dir

VERSIONS = migrations_dir() / "versions"


@pytest.fixture
def empty_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database without any table, of the kind that ``database_url`` is."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    # Tests of one name run at the same time, with other parameters.
    name = f"empty_{secrets.token_hex(8)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield re.sub(r"/test_[^/?]*\?", f"/{name}?", database_url)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def made(empty_url: str) -> Iterator[Database]:
    """Give a database that SQLAlchemy made from the schema, without a migration."""
    made = Database(empty_url)
    with made.transaction() as session:
        Base.metadata.create_all(session.connection())
    yield made
    made.close()


def test_alembic_finds_nothing_that_a_migration_should_still_do(db: Database) -> None:
    with db.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrated_is_the_same_as_made_from_the_schema(db: Database, made: Database) -> None:
    """Tables, columns, keys, indices and checks as the database itself tells them."""
    told, expected = told_by(db), told_by(made)
    assert told.keys() == expected.keys()
    for table, parts in expected.items():
        assert told[table] == parts


@pytest.mark.parametrize("what", ["checks", "indexes", "unique", "foreign_keys"])
def test_the_comparison_sees_what_alembic_overlooks(
    db: Database, made: Database, what: str
) -> None:
    """It would notice if one were missing: each kind is told of at least one table."""
    del made
    assert any(parts[what] for parts in told_by(db).values())


def test_every_check_of_the_schema_stands_in_the_database(db: Database) -> None:
    declared = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    with db.reading() as session:
        inspector = inspect(session.connection())
        stored = {
            str(check["name"])
            for table in metadata.tables
            for check in inspector.get_check_constraints(table)
        }
    assert stored == declared
    assert len(declared) >= 10


def test_ids_in_peoples_links_are_never_used_again_on_sqlite(sqlite_url: str) -> None:
    """AUTOINCREMENT is no part of what inspection tells."""
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        sql = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    connection.close()
    for table in metadata.sorted_tables:
        wanted = bool(table.dialect_options["sqlite"]["autoincrement"])
        assert ("AUTOINCREMENT" in sql[table.name]) is wanted, table.name
        without = not table.dialect_options["sqlite"]["with_rowid"]
        assert ("WITHOUT ROWID" in sql[table.name]) is without, table.name
    for name in ("recipients", "topics", "campaigns"):
        assert "AUTOINCREMENT" in sql[name]


def test_migrations_are_one_numbered_line() -> None:
    script = ScriptDirectory(str(migrations_dir()))
    line = list(script.walk_revisions())[::-1]
    assert len(script.get_heads()) == 1
    assert [one.revision for one in line] == [f"{n:04}" for n in range(1, len(line) + 1)]
    assert [one.down_revision for one in line] == [None, *(one.revision for one in line[:-1])]
    names = sorted(path.name for path in VERSIONS.glob("*.py"))
    assert len(names) == len(line)
    for one, name in zip(line, names, strict=True):
        assert re.fullmatch(rf"{one.revision}_[a-z0-9_]+\.py", name)


def test_upgrading_twice_changes_nothing(db: Database) -> None:
    before = told_by(db)
    assert not pending(db)
    upgrade(db)
    assert told_by(db) == before


def test_an_empty_database_says_that_it_lacks_migrations(empty_url: str) -> None:
    empty = Database(empty_url)
    assert pending(empty)
    upgrade(empty)
    assert not pending(empty)
    empty.close()


def test_a_migration_that_fails_leaves_nothing_behind(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is one transaction, on SQLite too."""
    empty = Database(empty_url)

    def fail(*_: object, **__: object) -> None:
        raise LookupError

    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(LookupError):
        upgrade(empty)
    with empty.reading() as session:
        assert inspect(session.connection()).get_table_names() == []
    empty.close()


def test_the_triggers_are_in_place(db: Database) -> None:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if db.is_sqlite
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    )
    with db.reading() as session:
        names = set(session.scalars(text(query)))
    expected = {
        f"{table}_refuse_{event}"
        for table, events in {
            "consent_entries": ("insert", "update", "delete"),
            "audit_entries": ("update", "delete"),
            "policy_versions": ("update", "delete"),
            "wordings": ("update", "delete"),
            "contents": ("update", "delete"),
        }.items()
        for event in events
    }
    assert expected <= names


def told_by(db: Database) -> dict[str, dict[str, Any]]:
    """Give each table as the database itself describes it."""
    with db.reading() as session:
        inspector = inspect(session.connection())
        names = set(inspector.get_table_names()) - {"alembic_version"}
        return {
            name: {
                "columns": [
                    (one["name"], str(one["type"]), one["nullable"], one["default"])
                    for one in inspector.get_columns(name)
                ],
                "primary_key": _plain(dict(inspector.get_pk_constraint(name))),
                "foreign_keys": _sorted(inspector.get_foreign_keys(name)),
                "unique": _sorted(inspector.get_unique_constraints(name)),
                "indexes": _sorted(inspector.get_indexes(name)),
                "checks": _sorted(inspector.get_check_constraints(name)),
            }
            for name in names
        }


def _sorted(parts: list[Any]) -> list[str]:
    return sorted(str(_plain(part)) for part in parts)


def _plain(value: object) -> object:
    """Give what inspection tells as texts, in an order of their own; SQL texts included."""
    if isinstance(value, dict):
        return sorted((name, _plain(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value)
