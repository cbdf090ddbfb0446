"""Addresses that are not to be mailed, by keyed hash: one row for each reason, each with its scope.

Rows only. A person's own no goes through ``preferences``, which also writes the ledger.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.policy import Scope, Source, SuppressionReason
from mailprefs.schema.choices import Suppression


def add(  # noqa: PLR0913 - the columns of one row
    session: Session,
    address_hash: bytes,
    key_id: int,
    reason: SuppressionReason,
    source: Source,
    *,
    now: datetime,
    delivery_id: int | None = None,
) -> bool:
    """Keep mail of the reason's scope from an address; tell whether that is new.

    The first cause stays: what comes later for the same reason changes nothing.
    """
    added = session.execute(
        dialects.insert(session, Suppression)
        .values(
            address_hash=address_hash,
            address_key_id=key_id,
            scope=reason.scope,
            reason=reason,
            source=source,
            delivery_id=delivery_id,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Suppression.id)
    )
    return added.one_or_none() is not None


def lift(session: Session, address_hash: bytes, reason: SuppressionReason) -> bool:
    """Take one reason away; tell whether it was there. Other reasons stay in force."""
    gone = session.execute(
        delete(Suppression)
        .where(Suppression.address_hash == address_hash, Suppression.reason == reason)
        .returning(Suppression.id)
    )
    return gone.one_or_none() is not None


def of(session: Session, address_hash: bytes) -> list[Suppression]:
    """List what stands against mail to one address, oldest first."""
    found = session.scalars(
        select(Suppression).where(Suppression.address_hash == address_hash).order_by(Suppression.id)
    )
    return list(found)


def listed(
    session: Session,
    *,
    reasons: Collection[SuppressionReason] = (),
    scope: Scope | None = None,
    limit: int = 100,
    before_id: int | None = None,
) -> list[Suppression]:
    """List suppressions, newest first; *before_id* goes on where an earlier list ended."""
    query = select(Suppression).order_by(Suppression.id.desc()).limit(limit)
    if reasons:
        query = query.where(Suppression.reason.in_(reasons))
    if scope is not None:
        query = query.where(Suppression.scope == scope)
    if before_id is not None:
        query = query.where(Suppression.id < before_id)
    return list(session.scalars(query))
