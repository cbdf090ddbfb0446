"""Notes about people's addresses and files: lifted suppressions, refused lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, tuple_
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.jobs.retention import stepping
from mailprefs.jobs.retention.stepping import Found, Way, found_of
from mailprefs.schema.choices import SuppressionLift
from mailprefs.schema.imports import Import, ImportRefusal
from mailprefs.schema.people import Recipient


def is_on_file() -> ColumnElement[bool]:
    """Say in SQL that somebody has the address whose suppression was lifted."""
    same = Recipient.address_hash == SuppressionLift.address_hash
    return select(Recipient.id).where(same).exists()


def import_refusals() -> Way:
    """Delete what was refused of files, from the end of the import on."""
    key = (ImportRefusal.import_id, ImportRefusal.line)

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a line's place
        ended = func.coalesce(Import.finished_at, Import.started_at)
        query = (
            select(*key)
            .join(Import, Import.id == ImportRefusal.import_id)
            .where(ended < before)
            .order_by(*key)
            .limit(stepping.AT_ONCE)
        )
        if last is not None:
            query = query.where(tuple_(*key) > tuple_(*last))
        rows = [tuple(row) for row in session.execute(query)]
        return found_of(rows, rows[-1] if rows else None)

    def change(session: Session, before: datetime, rows: Sequence[Any]) -> int:
        del before  # a finished import stays so
        gone = delete(ImportRefusal).where(tuple_(*key).in_(rows))
        return dialects.changed(session, gone)

    return Way(find, change)
