"""Bring a database to the current schema, and say how far it is."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from mailprefs.db.database import Database
from mailprefs.settings import migrations_dir


def upgrade(db: Database) -> None:
    """Apply every migration that the database lacks, in one transaction on both databases."""
    with db.transaction() as session:
        connection = session.connection()
        command.upgrade(_config(connection), "head")


def pending(db: Database) -> bool:
    """Tell whether the database lacks a migration (or is empty)."""
    with db.reading() as session:
        applied = MigrationContext.configure(session.connection()).get_current_heads()
    heads = ScriptDirectory(str(migrations_dir())).get_heads()
    return set(applied) != set(heads)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
