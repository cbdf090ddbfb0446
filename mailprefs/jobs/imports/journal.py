"""The rows that say how far an import is, so that it goes on where it was killed."""

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from mailprefs import audit, subscriptions
from mailprefs.audit import Actor
from mailprefs.consent.entries import Shown
from mailprefs.consent.policies import policy_in_force
from mailprefs.consent.wordings import wording
from mailprefs.db import dialects
from mailprefs.errors import BadInput, Conflict
from mailprefs.jobs.imports.columns import Columns
from mailprefs.jobs.imports.deciding import Counts, Terms
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.people import Refusal
from mailprefs.jobs.imports.writing import METHOD, Proof
from mailprefs.policy import Purpose, Source
from mailprefs.preferences.choosing import Door
from mailprefs.schema.imports import Import, ImportedAs, ImportRefusal
from mailprefs.schema.people import Attribute

# The language of a statement that somebody typed isn't known (ISO 639-3 "undetermined").
_UNDETERMINED: Final = "und"


class Position(NamedTuple):
    """How far one import is; ``import_id`` is None while nothing has been written."""

    import_id: int | None
    done: int
    counts: Counts
    started_at: datetime
    policy_version_id: int


def look_up(session: Session, order: ImportOrder) -> Terms:
    """Give what *order* says of its people, with its topic looked up.

    :raises NotFound: for an unknown topic.
    :raises BadInput: for a no to administrative mail, which there is not.
    """
    topic = subscriptions.topic(session, order.topic)
    found = Terms(order.imported_as, topic.id, topic.message_class)
    leaves = order.imported_as is ImportedAs.UNSUBSCRIBED
    if leaves and not found.message_class.needs_subscription:
        msg = (
            f"{order.topic} is an administrative topic, which nobody can unsubscribe from; "
            "name the promotional topic that these people left."
        )
        raise BadInput(msg)
    return found


def digest(file_digest: bytes, order: ImportOrder, window: int) -> bytes:
    """Give what makes two runs one import: the file, its meaning, and how it is cut."""
    said = json.dumps([sorted(order.mapping.items()), order.source, window])
    return sha256(file_digest + said.encode()).digest()


def position(session: Session, found: Terms, key: bytes, now: datetime) -> Position:
    """Give how far an unfinished run of the same import came; the beginning if there is none.

    :raises Conflict: if no privacy policy is in force: every choice is made under one.
    """
    row = session.scalar(
        select(Import)
        .where(
            Import.digest == key,
            Import.topic_id == found.topic_id,
            Import.imported_as == found.imported_as,
            Import.finished_at.is_(None),
        )
        .order_by(Import.id.desc())
        .limit(1)
    )
    if row is None:
        return Position(None, 0, Counts(), now, policy_in_force(session, now))
    counts = Counts.read(row.counts)
    return Position(row.id, row.rows_done, counts, row.started_at, row.policy_version_id)


def know_attributes(session: Session, columns: Columns, now: datetime) -> None:
    """Store the attributes that a file brings, each under its column's name."""
    for name, place in columns.attributes.items():
        session.execute(
            dialects.insert(session, Attribute)
            .values(name=name, label=columns.names[place].strip() or name, created_at=now)
            .on_conflict_do_nothing()
        )


def begin(  # noqa: PLR0913 - all that the row says, by name
    session: Session,
    order: ImportOrder,
    at: Position,
    *,
    terms: Terms,
    key: bytes,
    actor: Actor,
) -> Position:
    """Store that an import has begun, unless it is going on."""
    if at.import_id is not None:
        return at
    import_id = session.execute(
        insert(Import)
        .values(
            topic_id=terms.topic_id,
            digest=key,
            imported_as=terms.imported_as,
            source=order.source,
            policy_version_id=at.policy_version_id,
            staff_id=actor.staff_id,
            started_at=at.started_at,
            rows_done=0,
            counts=at.counts.document(),
        )
        .returning(Import.id)
    ).scalar_one()
    details = {"topic": order.topic, "as": order.imported_as.value}
    audit.record(
        session, actor, "import.started", ("import", import_id), now=at.started_at, details=details
    )
    return at._replace(import_id=import_id)


def proof(session: Session, order: ImportOrder, at: Position, actor: Actor) -> Proof:
    """Give what the ledger says of every choice of this import; its statement is the wording."""
    shown: Shown = wording(session, Purpose.PROMOTIONAL_EMAIL, _UNDETERMINED, order.source)
    who = Door(Source.IMPORT, METHOD, actor).who
    return Proof(f"import:{at.import_id}", shown, who, at.started_at)


def advance(session: Session, at: Position, to: Position) -> Position:
    """Note that the import came from *at* to *to*, and give *to*.

    :raises Conflict: if another process is importing the same file; nothing of the slice stays.
    """
    moved = session.execute(
        update(Import)
        .where(Import.id == at.import_id, Import.rows_done == at.done)
        .values(rows_done=to.done, counts=to.counts.document())
        .returning(Import.id)
    ).one_or_none()
    if moved is None:
        msg = (
            "The same file is being imported by another process; wait for it to end. Run again, "
            "this import would then change nothing."
        )
        raise Conflict(msg)
    return to


def refuse(session: Session, at: Position, refusals: Sequence[Refusal]) -> None:
    """Keep refused lines: number, field and reason, never what stood there."""
    if refusals:
        session.execute(
            insert(ImportRefusal),
            [{"import_id": at.import_id, **one._asdict()} for one in refusals],
        )


def finish(session: Session, at: Position, actor: Actor, now: datetime) -> None:
    """Store that the import is done."""
    session.execute(update(Import).where(Import.id == at.import_id).values(finished_at=now))
    audit.record(
        session,
        actor,
        "import.finished",
        ("import", str(at.import_id)),
        now=now,
        details=at.counts.document(),
    )
