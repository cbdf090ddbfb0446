"""Notes about people's addresses and files: lifted suppressions, refused lines, disclosures."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.jobs.retention import stepping
from mailprefs.jobs.retention.stepping import Found, Way, found_of, rows_of
from mailprefs.privacy.holds import Held
from mailprefs.schema.choices import SuppressionLift
from mailprefs.schema.events import Reconciliation
from mailprefs.schema.imports import Import, ImportRefusal
from mailprefs.schema.legal import Disclosure
from mailprefs.schema.people import Recipient


def is_on_file() -> ColumnElement[bool]:
    """Say in SQL that somebody has the address whose suppression was lifted."""
    same = Recipient.address_hash == SuppressionLift.address_hash
    return select(Recipient.id).where(same).exists()


def reconciliations() -> Way:
    """Delete comparisons with the vendor's lists, but those that name somebody who is held."""
    by_date = rows_of(Reconciliation, Reconciliation.started_at, Reconciliation.night)

    def change(session: Session, before: datetime, nights: Sequence[Any], held: Held) -> int:
        if held.people:
            query = select(Reconciliation.night, Reconciliation.found)
            rows = session.execute(query.where(Reconciliation.night.in_(nights))).all()
            nights = [row.night for row in rows if held.people.isdisjoint(_named(row.found))]
        return by_date.change(session, before, nights, held)

    return Way(by_date.find, change)


def disclosures() -> Way:
    """Let entries of the register of disclosures be about nobody."""
    at, key = Disclosure.at, Disclosure.id

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - an entry
        query = select(key).where(at < before, Disclosure.recipient_id.is_not(None))
        query = query.where(key > (last or 0)).order_by(key).limit(stepping.AT_ONCE)
        ids = session.scalars(query).all()
        return found_of(ids, ids[-1] if ids else None)

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        del before  # they are as old as they were
        cut = update(Disclosure).where(key.in_(ids), held.spares(session, Disclosure))
        return dialects.changed(session, cut.values(recipient_id=None))

    return Way(find, change)


def _named(found: Mapping[str, Any]) -> Iterator[int]:
    """Give the numbers of people who stand in what a comparison came to."""
    return (int(one["recipient"]) for one in found.get("still_listed", ()))


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

    def change(session: Session, before: datetime, rows: Sequence[Any], held: Held) -> int:
        # A finished import stays so, and nothing says who stood in a line.
        del before, held
        gone = delete(ImportRefusal).where(tuple_(*key).in_(rows))
        return dialects.changed(session, gone)

    return Way(find, change)
