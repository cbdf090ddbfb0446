"""Connections to PostgreSQL go on from test to test, because a new one has to learn of every table.

What a test has set in its session is undone before the next one gets it. One that is broken, or
that a test has opened in another process, isn't among them.
"""

from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

MOST = 4
_idle: dict[str, list[psycopg.Connection[Any]]] = {}
_made: WeakKeyDictionary[psycopg.Connection[Any], str] = WeakKeyDictionary()


def idle() -> list[int]:
    """Give the server's process ids of the connections that wait for the next test."""
    return [one.info.backend_pid for kept in _idle.values() for one in kept if not one.closed]


def forget() -> None:
    """Close all that wait, as when their database is to be copied."""
    for kept in _idle.values():
        while kept:
            kept.pop().close()


@event.listens_for(Engine, "do_connect")
def _connect(dialect: Any, record: object, arguments: Any, named: dict[str, Any]) -> Any:  # noqa: ANN401 - SQLAlchemy's
    """Give one that is kept, or a new one."""
    del record
    if not isinstance(dialect, PGDialect_psycopg):
        return None
    # Each engine brings its own table of types, which are all alike.
    key = repr((arguments, sorted((k, v) for k, v in named.items() if k != "context")))
    kept = _idle.get(key, [])
    while kept:
        if _is_clean(one := kept.pop()):
            return one
        one.close()
    made = dialect.loaded_dbapi.connect(*arguments, **named)
    _made[made] = key
    return made


def _is_clean(connection: psycopg.Connection[Any]) -> bool:
    """Put a kept connection's session back to its beginning; tell whether that went well."""
    try:
        connection.autocommit = True
        connection.execute("DISCARD ALL", prepare=False)
        connection._prepared.clear()  # noqa: SLF001 - psycopg doesn't see that they are gone
        connection.autocommit = False
    except psycopg.Error:
        return False
    return True


_close: Any = PGDialect_psycopg.do_close


def _keep(dialect: PGDialect_psycopg, connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
    """Keep a connection that is in order instead of closing it."""
    key = _made.get(connection)
    is_idle = connection.info.transaction_status is TransactionStatus.IDLE
    if key is not None and is_idle and len(kept := _idle.setdefault(key, [])) < MOST:
        kept.append(connection)
        return
    _close(dialect, connection)


type.__setattr__(PGDialect_psycopg, "do_close", _keep)
