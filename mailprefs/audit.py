"""The audit: who did what, when and why. Append-only, and free of recipients' data.

A trigger refuses UPDATE and DELETE. Recipients stand in it by id only: a text that holds something
like an e-mail address is refused, because the audit outlives the people in it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from mailprefs.errors import BadInput
from mailprefs.schema.staff import AuditEntry


class Actor(NamedTuple):
    """Who acts, and by which door: "page", "console", "api", or "system"."""

    staff_id: int | None
    door: str


SYSTEM: Final = Actor(None, "system")
CONSOLE: Final = Actor(None, "console")

_LIKE_AN_ADDRESS = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")


def record(  # noqa: PLR0913 - who, what, to what, when and why belong to one note
    session: Session,
    actor: Actor,
    action: str,
    subject: tuple[str, int | str],
    *,
    now: datetime,
    reason: str | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Note that *actor* did *action* ("topic.added") to *subject* ("topic", 7).

    *details* is what JSON can hold; anything else is noted as text.

    :raises BadInput: if the reason or a detail holds an e-mail address.
    """
    noted: dict[str, Any] = json.loads(json.dumps(dict(details or {}), default=str))
    kind, key = subject
    if any(_LIKE_AN_ADDRESS.search(text) for text in _texts([reason, str(key), noted])):
        msg = (
            "The audit is kept for ever, so it names nobody: write this without an e-mail address, "
            "for example with the person's number."
        )
        raise BadInput(msg)
    session.execute(
        insert(AuditEntry).values(
            at=now,
            staff_id=actor.staff_id,
            door=actor.door,
            action=action,
            subject_kind=kind,
            subject_id=str(key),
            reason=reason,
            details=noted,
        )
    )


def of(session: Session, subject: tuple[str, int | str]) -> list[AuditEntry]:
    """List what was done to one subject, oldest first."""
    kind, key = subject
    found = session.scalars(
        select(AuditEntry)
        .where(AuditEntry.subject_kind == kind, AuditEntry.subject_id == str(key))
        .order_by(AuditEntry.id)
    )
    return list(found)


def latest(session: Session, *, limit: int = 100, before_id: int | None = None) -> list[AuditEntry]:
    """List the newest entries first; *before_id* goes on where an earlier list ended."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(AuditEntry.id < before_id)
    return list(session.scalars(query))


def _texts(value: object) -> Iterable[str]:
    """Give every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (str(key), *_texts(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
