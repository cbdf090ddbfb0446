"""The counters that number rows: moved ahead together, so that no number is ever used again."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.tables import metadata

AHEAD: Final = 1 << 24
"""How far a restored database's counters move: beyond whatever was numbered after its backup."""


def move_ahead(session: Session, by: int = AHEAD) -> None:
    """Move every counter ahead: the next row of each table gets a number that far beyond."""
    if not dialects.is_sqlite(session):
        session.execute(
            text(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,"
                " coalesce(last_value, 0) + :by) FROM pg_sequences"
                " WHERE schemaname = current_schema()"
            ),
            {"by": by},
        )
        return
    numbered = [
        one.name for one in metadata.sorted_tables if one.dialect_options["sqlite"]["autoincrement"]
    ]
    for name in numbered:
        # A table that never had a row isn't counted yet.
        session.execute(
            text(
                "INSERT INTO sqlite_sequence (name, seq) SELECT :name, 0"
                " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
            ),
            {"name": name},
        )
    session.execute(text("UPDATE sqlite_sequence SET seq = seq + :by"), {"by": by})
