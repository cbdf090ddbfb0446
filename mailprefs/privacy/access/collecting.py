"""Collecting everything that is stored about one person, table by table, as the marks say."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from mailprefs import audit, recipients
from mailprefs.audit import Actor
from mailprefs.errors import NotFound
from mailprefs.privacy.access.beside import ACTS, CHOICE_WITHHELD, EXPORTED, HAND_OVERS, fields
from mailprefs.privacy.access.export import Export, Record, Section, Withheld
from mailprefs.privacy.access.reading import Reading
from mailprefs.privacy.access.telling import TABLES, Told
from mailprefs.privacy.whose import Whose, known_by, rows_about
from mailprefs.schema.base import OF_STAFF
from mailprefs.schema.choices import ConsentEntry
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.legal import Disclosure, DisclosureBasis
from mailprefs.schema.tables import metadata


def collect(session: Session, recipient_id: int, *, zone: str, now: datetime) -> Export:
    """Collect everything that is stored about one person; *zone* is the installation's.

    It only reads. What of a row isn't shown is listed with the reason.

    :raises NotFound: for somebody who isn't known, or was erased.
    :raises LookupError: for a table of people that nobody has said how to tell.
    """
    person = recipients.by_id(session, recipient_id)
    if person is None:
        msg = f"There is no recipient {recipient_id}; one who was erased is gone for good."
        raise NotFound(msg)
    whose = known_by(session, recipient_id, person.address_hash)
    reading = Reading(session, whose)
    sections: list[Section] = []
    withheld: dict[str, list[str]] = {}
    for table in personal_tables():
        told = TABLES[table.name]
        records = tuple(_records(session, table, told, whose, reading))
        if records or told.is_silent:
            sections.append(Section(told.key, records))
            for name, why in _withheld(table, told):
                withheld.setdefault(why, []).append(f"{table.name}.{name}")
        if table.name == Delivery.__tablename__:
            sections.append(Section(HAND_OVERS, tuple(reading.hand_overs())))
    sections.append(Section(ACTS, tuple(reading.acts())))
    return Export(
        now,
        zone,
        person.language,
        tuple(one for one in sections if one.records),
        tuple(Withheld(why, tuple(columns)) for why, columns in withheld.items()),
    )


def collect_by_staff(
    session: Session, recipient_id: int, actor: Actor, *, zone: str, now: datetime
) -> Export:
    """Collect as ``collect`` does, for staff, who leave a note of it in the audit."""
    audit.record(session, actor, EXPORTED, ("recipient", recipient_id), now=now)
    return collect(session, recipient_id, zone=zone, now=now)


def personal_tables() -> Sequence[Table]:
    """List the tables that hold something of a person, by the columns' marks, as they are told.

    :raises LookupError: for one that nobody has said how to tell.
    """
    tables = {table.name: table for table in metadata.sorted_tables if is_of_people(table)}
    missing = sorted(set(tables) - set(TABLES))
    if missing:
        msg = f"Nobody has said how {', '.join(missing)} is told to the person it is about."
        raise LookupError(msg)
    return [tables[name] for name in TABLES]


def is_of_people(table: Table) -> bool:
    """Tell whether a table has a column that is personal, and not only to our staff."""
    marks = [one.info["mark"] for one in table.columns]
    return any(mark.personal and mark != OF_STAFF for mark in marks)


def _records(
    session: Session, table: Table, told: Told, whose: Whose, reading: Reading
) -> Iterator[Record]:
    if not told.fields:
        return
    query = select(table).where(rows_about(session, table, whose)).order_by(*table.primary_key)
    if table.name == Disclosure.__tablename__:
        query = query.where(table.c.basis != DisclosureBasis.LAW)
    rows: Sequence[Any] = session.execute(query).mappings().all()
    messages = reading.messages() if table.name == Delivery.__tablename__ else {}
    for row in rows:
        record = dict(messages.get(row["id"], {})) if messages else {}
        for name, field in told.fields.items():
            if field.read == "choice":
                record |= reading.choice(row[name])
            elif field.read != "delivery":
                record[field.key] = reading.value(field.read, row[name], row)
        yield {one.key: record[one.key] for one in fields()[told.key]}


def _withheld(table: Table, told: Told) -> Iterator[tuple[str, str]]:
    yield from told.withheld.items()
    if table.name == ConsentEntry.__tablename__:
        yield from CHOICE_WITHHELD.items()
