"""All that a database holds, to compare before with after."""

from sqlalchemy import select

from mailprefs.db.database import Database
from mailprefs.schema.tables import metadata


def snapshot(db: Database) -> dict[str, list[str]]:
    """Give every row of every table, in the order of the primary keys."""
    with db.reading() as session:
        return {
            table.name: [
                repr(tuple(row))
                for row in session.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }
