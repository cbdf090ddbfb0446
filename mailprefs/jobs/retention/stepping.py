"""How every rule works: find a few that are too old, on a view; change them, in a transaction.

So nobody who writes waits for the looking, and the change takes a few milliseconds. The change asks
again whether each is still too old. What broke off, whoever killed it, is found again by looking at
what there is. A dry run does the same and takes every change back, so that its counts are those of
the run that follows.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, delete, select, tuple_
from sqlalchemy.orm import QueryableAttribute, Session

from mailprefs.db import dialects
from mailprefs.db.database import Database
from mailprefs.privacy import holds
from mailprefs.privacy.holds import Held
from mailprefs.schema.base import Base

AT_ONCE: Final = 200
"""Keys changed in one transaction, however many were found: on SQLite all writers wait for it."""


class Found(NamedTuple):
    """What is too old, and where to look on; ``last`` is None when that is all."""

    keys: Sequence[Any]
    last: Any


NOTHING: Final = Found((), None)

Find = Callable[[Session, datetime, Any], Found]
"""Looks for what is older than an instant, after the last place; reading only."""
Change = Callable[[Session, datetime, Sequence[Any], Held], int]
"""Reduces or deletes what was found, if it is still older; gives how many rows that were.

What is of people whose data is held by law stays as it is, until the hold is lifted."""
Mark = Callable[[Session, datetime, Held], None]
"""Notes what needs not be looked at again; not where something is held."""


class Way(NamedTuple):
    """How one rule is carried out."""

    find: Find
    change: Change
    mark: Mark | None = None


class _OnlyLooking(Exception):
    """Takes back what a dry run would have done."""


def take(
    db: Database,
    way: Way,
    before: datetime,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
) -> Iterator[int]:
    """Carry a rule out for all that is older than *before*; give the rows of each step.

    Everything that any rule changes passes here, between the looking and the change.
    """
    last: Any = None
    while True:
        with db.reading() as session:
            keys, last = way.find(session, before, last)
        for first in range(0, len(keys), AT_ONCE):
            rows = 0
            # What a power cut takes back is found again; waiting for the disk would hold others up.
            with suppress(_OnlyLooking), db.transaction(durable=False) as session:
                held = holds.held(session)
                rows = way.change(session, before, keys[first : first + AT_ONCE], held)
                if dry_run:
                    raise _OnlyLooking
            yield rows
            if stop is not None and stop.is_set():
                return
        if stop is not None and stop.is_set():
            return
        if last is None:
            break
    if way.mark is not None and not dry_run:
        with db.transaction() as session:
            way.mark(session, before, holds.held(session))


def rows_of(
    table: type[Base],
    date: QueryableAttribute[datetime] | QueryableAttribute[datetime | None],
    key: QueryableAttribute[Any],
    *,
    unless: ColumnElement[bool] | None = None,
) -> Way:
    """Delete a table's rows by their own *date*, oldest first, *unless* something holds."""

    def is_old(before: datetime) -> list[ColumnElement[bool]]:
        return [date < before] if unless is None else [date < before, ~unless]

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - its own place
        query = select(date, key).where(*is_old(before)).order_by(date, key).limit(AT_ONCE)
        if last is not None:
            query = query.where(tuple_(date, key) > tuple_(*last))
        rows = session.execute(query).all()
        return found_of([row[1] for row in rows], tuple(rows[-1]) if rows else None)

    def change(session: Session, before: datetime, keys: Sequence[Any], held: Held) -> int:
        is_free = held.spares(session, table)
        gone = delete(table).where(key.in_(keys), *is_old(before), is_free)
        return dialects.changed(session, gone)

    return Way(find, change)


def found_of(keys: Sequence[Any], last: Any) -> Found:  # noqa: ANN401 - a rule's own place
    """Give what a step found; a step that isn't full was the last one."""
    return Found(keys, last if len(keys) == AT_ONCE else None)
