"""Lifting a legal hold, and what that brings about: a remembered erasure, the end of a copy."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailprefs import audit, suppressions
from mailprefs.db.database import require_taking
from mailprefs.errors import Conflict
from mailprefs.privacy import holds
from mailprefs.privacy.erasing import Asked, Erased, erase_held
from mailprefs.schema.legal import LegalHold


class Lifted(NamedTuple):
    """What came of lifting: how many other holds go on, and the erasure that was waiting for it."""

    others: int
    erased: Erased | None = None


def lift(session: Session, hold_id: int, asked: Asked, *, because: str, now: datetime) -> Lifted:
    """Let the rules hold again for one person; an erasure that was put off is done with it.

    Where another hold on the same person goes on, that one keeps the order to erase and the sealed
    copy. *asked* says who lifts; the erasure keeps the door by which it was asked for.

    :raises BadInput: without a reason in a sentence.
    :raises Conflict: for a hold that is lifted already.
    :raises NotFound: for a number that no hold has.
    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    reason = suppressions.written_reason(because)
    hold = holds.by_id(session, hold_id)
    if hold.lifted_at is not None:
        msg = f"Legal hold {hold_id} is lifted already."
        raise Conflict(msg)
    hold.lifted_at, hold.lifted_by, hold.lifted_because = now, asked.actor.staff_id, reason
    audit.record(
        session, asked.actor, "legal_hold.lifted", ("legal_hold", hold_id), now=now, reason=reason
    )
    session.flush()
    others = holds.in_force(session, hold.address_hash)
    if others:
        _hand_on(hold, others[0])
    hold.sealed = None
    if others or hold.erasure_asked_at is None:
        return Lifted(len(others))
    its = asked._replace(source=hold.erasure_source or asked.source)
    return Lifted(0, erase_held(session, hold.address_hash, its, now=now))


def _hand_on(hold: LegalHold, other: LegalHold) -> None:
    """Let another hold on the same person keep what this one has kept until now."""
    other.sealed = other.sealed or hold.sealed
    if other.erasure_asked_at is None:
        other.erasure_asked_at = hold.erasure_asked_at
        other.erasure_source = hold.erasure_source
