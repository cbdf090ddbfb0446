"""Versions of the privacy policy: which one is in force, and storing a new one.

Each version has a date. It is in force from then until the next one's, unless its notice hasn't
been sent (``notices``) or it was withdrawn: then its date says nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.policy import Purpose
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.choices import PolicyLapse, PolicyState, PolicyVersion

LONGEST_NAME: Final = 64
LONGEST_TEXT: Final = 200_000
"""Bytes of a policy in UTF-8: ten times the longest that anybody reads."""

Of = TypeVar("Of")

# Asked by each claim that measures somebody who said yes; there is hardly ever a row.
_LAPSING: Final = Kept(
    select(func.min(PolicyLapse.done_to))
    .join(PolicyVersion, PolicyVersion.id == PolicyLapse.policy_version_id)
    .where(PolicyLapse.purpose == Purpose.OPEN_TRACKING, PolicyLapse.ended_at.is_(None))
    .where(PolicyVersion.state == PolicyState.SETTLED)
    .where(PolicyVersion.effective_from <= bindparam("now", type_=UtcDateTime))
)


def policy_in_force(session: Session, now: datetime) -> int:
    """Give the id of the policy version in force *now*: choices and deliveries carry it.

    :raises Conflict: before the first one is published.
    """
    row = _IN_FORCE.row(session, {"now": now})
    if row is None:
        msg = (
            "No privacy policy is in force, and every choice is made under one; "
            "publish one: mailprefs policy publish FILE.md --version NAME"
        )
        raise Conflict(msg)
    number: int = row[0]
    return number


def current_policy(session: Session, now: datetime) -> PolicyVersion | None:
    """Give the policy version in force *now*, text included; None before the first."""
    query = _begun(select(PolicyVersion))
    return session.scalars(query, {"now": now}).first()


def policy_starts(session: Session) -> list[tuple[datetime, int]]:
    """List when each policy version came into force and its id, for ``policy_at``; oldest first."""
    rows = session.execute(
        select(PolicyVersion.effective_from, PolicyVersion.id)
        .where(_holds())
        .order_by(PolicyVersion.effective_from, PolicyVersion.id)
    )
    return [(row.effective_from, row.id) for row in rows]


def policy_at(starts: Sequence[tuple[datetime, int]], at: datetime) -> int | None:
    """Give the id of the version that was in force at an instant; None before the first."""
    begun = bisect_right(starts, at, key=itemgetter(0))
    return starts[begun - 1][1] if begun else None


def lapsing_after(session: Session, now: datetime) -> int | None:
    """Give after which recipient an earlier yes to being measured counts as no answer; None: none.

    That is so while a version in force asks for it anew and its lapse isn't done with everybody.
    """
    rows = _LAPSING.rows(session, {"now": now})
    return None if rows[0][0] is None else int(rows[0][0])


def versions(session: Session) -> Sequence[PolicyVersion]:
    """List all versions in the order in which they were published, texts included."""
    return session.scalars(select(PolicyVersion).order_by(PolicyVersion.id)).all()


def version(session: Session, name: str) -> PolicyVersion:
    """Give the version of this name.

    :raises NotFound: naming those there are.
    """
    found = session.scalar(select(PolicyVersion).where(PolicyVersion.version == name.strip()))
    if found is None:
        names = session.scalars(select(PolicyVersion.version).order_by(PolicyVersion.id))
        known = ", ".join(names) or "none yet"
        msg = f"There is no policy version of that name. Versions: {known}."
        raise NotFound(msg)
    return found


def publish_policy(  # noqa: PLR0913 - what of a version is stored
    session: Session,
    version: str,
    text: str,
    *,
    now: datetime,
    effective_from: datetime | None = None,
    summary: str | None = None,
) -> int:
    """Store a policy text, in force from *effective_from* (or *now*); give its id.

    With a *summary* it is material: announced, and in force once its notice has been sent
    (``notices``). Publishing the same text under the same name again changes nothing. The caller
    notes it in the audit.

    :raises BadInput: for a name or a text that is empty, too long, or holds what no text has.
    :raises Conflict: if the name is taken by another text.
    """
    name = version.strip()
    _check(name, text)
    digest = sha256(text.encode()).digest()
    added = session.execute(
        dialects.insert(session, PolicyVersion)
        .values(
            version=name,
            text=text,
            sha256=digest,
            effective_from=effective_from or now,
            state=PolicyState.SETTLED if summary is None else PolicyState.ANNOUNCED,
            is_material=summary is not None,
            summary=summary,
            published_at=now,
        )
        .on_conflict_do_nothing()
        .returning(PolicyVersion.id)
    ).scalar_one_or_none()
    if added is not None:
        return added
    return _known(session, name, digest)


def _known(session: Session, name: str, digest: bytes) -> int:
    """Give the version of a name that is taken, by the same text.

    :raises Conflict: if it is another one.
    """
    known = session.scalars(select(PolicyVersion).where(PolicyVersion.version == name)).one()
    if known.sha256 != digest:
        msg = (
            f"Policy version {name} is published with another text, which never changes; "
            f"give the new text a new version."
        )
        raise Conflict(msg)
    return known.id


def _check(name: str, text: str) -> None:
    if not name or not text.strip():
        msg = "A policy version needs a name and a text; one of them is empty."
        raise BadInput(msg)
    if len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
        msg = (
            f"A policy version's name stands in its address: at most {LONGEST_NAME} characters on "
            "one line, without a slash, such as 2027-06."
        )
        raise BadInput(msg)
    size = len(text.encode())
    if size > LONGEST_TEXT:
        msg = (
            f"The text has {size:,} bytes; a policy has at most {LONGEST_TEXT:,}. "
            "Is it the right file?"
        )
        raise BadInput(msg)
    if any(not (one.isprintable() or one in "\n\r\t") for one in text if ord(one) < 32):
        msg = "The text holds control characters, so it isn't plain text; save it as Markdown."
        raise BadInput(msg)


def _holds() -> ColumnElement[bool]:
    """Give which versions come into force at their date."""
    return PolicyVersion.state == PolicyState.SETTLED


def _begun(query: Select[Of]) -> Select[Of]:
    """Give *query* for the version in force at the parameter ``now``."""
    now = bindparam("now", type_=UtcDateTime)
    begun = query.where(_holds(), PolicyVersion.effective_from <= now)
    return begun.order_by(PolicyVersion.effective_from.desc(), PolicyVersion.id.desc()).limit(1)


_IN_FORCE: Final = Kept(_begun(select(PolicyVersion.id)))
