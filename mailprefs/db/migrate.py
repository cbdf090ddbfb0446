"""Bring a database to the current schema. Whether it is there: ``mailprefs.db.version``."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from mailprefs.db.database import Database
from mailprefs.settings import migrations_dir


def upgrade(db: Database) -> None:
    """Apply every migration that the database lacks, in one transaction on both databases."""
    with db.transaction() as session:
        connection = session.connection()
        command.upgrade(_config(connection), "head")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
