"""One at a time counts: whoever changes ``opens``, ``measured`` or what is added up of them.

Ingest and the vendor's events both read what the other writes. Under the shared gate they could
miss each other, so on PostgreSQL they exclude each other by a lock of their own; on SQLite every
writer is alone anyway. Lock order: gate, ledger head, this turn, rows.
"""

from typing import Final

from sqlalchemy.orm import Session

from mailprefs.db import dialects

# Any fixed number of our own, beside the gate's.
_COUNTING: Final = 7_311_827


def take(session: Session) -> None:
    """Wait for the turn, and keep it until the transaction ends; what is read then is so."""
    if not dialects.is_sqlite(session):
        lock = f"SELECT pg_advisory_xact_lock({_COUNTING})"
        session.connection().exec_driver_sql(lock)
