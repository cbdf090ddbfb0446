"""Whether a database has the current schema; without Alembic, which takes a second to load."""

from sqlalchemy import column, inspect, select, table

from mailprefs.db.database import Database
from mailprefs.settings import migrations_dir

_VERSIONS = table("alembic_version", column("version_num"))


def pending(db: Database) -> bool:
    """Tell whether the database lacks a migration (or is empty).

    Migrations are numbered and stand in one line, so the newest file names the current schema.
    """
    newest = max(path.name[:4] for path in (migrations_dir() / "versions").glob("[0-9]*.py"))
    with db.reading() as session:
        if not inspect(session.connection()).has_table(_VERSIONS.name):
            return True
        applied = set(session.scalars(select(_VERSIONS.c.version_num)))
    return applied != {newest}
