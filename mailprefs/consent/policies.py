"""Versions of the privacy policy: which one is in force, and publishing a new one."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from mailprefs.errors import BadInput, Conflict
from mailprefs.schema.choices import PolicyVersion

Of = TypeVar("Of")


def policy_in_force(session: Session, now: datetime) -> int:
    """Give the id of the policy version in force *now*: choices and deliveries carry it.

    :raises Conflict: before the first one is published.
    """
    found = session.scalars(_in_force(select(PolicyVersion.id), now)).first()
    if found is None:
        msg = (
            "No privacy policy is in force, and every choice is made under one; "
            "publish one: mailprefs policy publish FILE.md --version NAME"
        )
        raise Conflict(msg)
    return found


def current_policy(session: Session, now: datetime) -> PolicyVersion | None:
    """Give the policy version in force *now*, text included; None before the first."""
    return session.scalars(_in_force(select(PolicyVersion), now)).first()


def policy_starts(session: Session) -> list[tuple[datetime, int]]:
    """List when each policy version came into force and its id, for ``policy_at``; oldest first."""
    rows = session.execute(
        select(PolicyVersion.effective_from, PolicyVersion.id).order_by(
            PolicyVersion.effective_from, PolicyVersion.id
        )
    )
    return [(row.effective_from, row.id) for row in rows]


def policy_at(starts: Sequence[tuple[datetime, int]], at: datetime) -> int | None:
    """Give the id of the version that was in force at an instant; None before the first."""
    begun = bisect_right(starts, at, key=itemgetter(0))
    return starts[begun - 1][1] if begun else None


def publish_policy(
    session: Session,
    version: str,
    text: str,
    *,
    now: datetime,
    effective_from: datetime | None = None,
) -> int:
    """Store a policy text, in force from *effective_from* (or *now*); give its id.

    Publishing the same text under the same name again changes nothing. The caller notes it in the
    audit.

    :raises BadInput: for an empty name or text.
    :raises Conflict: if the name is taken by another text: a published text never changes.
    """
    name = version.strip()
    if not name or not text.strip():
        msg = "A policy version needs a name and a text; one of them is empty."
        raise BadInput(msg)
    digest = sha256(text.encode()).digest()
    known = session.scalar(select(PolicyVersion).where(PolicyVersion.version == name))
    if known is None:
        row = PolicyVersion(
            version=name, text=text, sha256=digest, effective_from=effective_from or now
        )
        session.add(row)
        session.flush()
        return row.id
    if known.sha256 != digest:
        msg = (
            f"Policy version {name} is published with another text, which never changes; "
            f"give the new text a new version."
        )
        raise Conflict(msg)
    return known.id


def _in_force(query: Select[Of], now: datetime) -> Select[Of]:
    begun = query.where(PolicyVersion.effective_from <= now)
    return begun.order_by(PolicyVersion.effective_from.desc(), PolicyVersion.id.desc()).limit(1)
