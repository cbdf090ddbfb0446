"""Statements that are given to the driver itself, and that PostgreSQL works on meanwhile.

For what is done for each reader of a campaign: SQLAlchemy's part of it costs as much as the
database's, and a server that waits for Python as long as Python waits for it does half of what it
could.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.errors import StoreUnavailable

_GONE = "The database can't be reached or is busy; nothing was changed. Try again in a moment."


class Sent:
    """A statement that was sent; its rows are waited for when they are asked for."""

    def __init__(self, session: Session, cursor: Any) -> None:  # noqa: ANN401 - a driver's own
        self._session, self._cursor = session, cursor

    def rows(self) -> Sequence[Sequence[Any]]:
        """Give all rows.

        :raises StoreUnavailable: if the database went away meanwhile.
        """
        with _told(self._session):
            rows: Sequence[Sequence[Any]] = self._cursor.fetchall()
        self._cursor.close()
        return rows


def send(session: Session, statement: str, given: Sequence[object]) -> Sent:
    """Run a statement in the driver's words; within ``pipelined``, PostgreSQL is only sent it.

    :raises StoreUnavailable: if the database can't be reached.
    """
    with _told(session):
        cursor = session.connection().connection.cursor()
        cursor.execute(statement, given)
    return Sent(session, cursor)


@contextmanager
def pipelined(session: Session) -> Iterator[None]:
    """Let PostgreSQL begin one statement after another while the caller goes on.

    They are done in the order in which they were sent, and all are done when this ends. What fails
    is told where its rows are asked for, or at the end. SQLite does each statement at once, as it
    has no server to do it meanwhile.
    """
    if dialects.is_sqlite(session):
        yield
        return
    driver: Any = session.connection().connection.driver_connection
    with _told(session), driver.pipeline():
        yield


@contextmanager
def _told(session: Session) -> Iterator[None]:
    """Turn a server that is gone into a sentence, and its connection away from others."""
    connection = session.connection()
    driver: Any = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.OperationalError as error:
        if not dialects.is_sqlite(session):
            connection.invalidate(error)
        raise StoreUnavailable(_GONE) from error
