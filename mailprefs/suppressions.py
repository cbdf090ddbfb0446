"""Addresses that are not to be mailed, by keyed hash: one row for each reason, each with its scope.

Rows only. A person's own no goes through ``preferences``, which also writes the ledger.

What the vendor says against an address is *evidence*. The earliest stands, whatever came first; one
from before a lift changes nothing, so that an old event or list never undoes what staff decided.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from mailprefs import audit, journal
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.db.database import refused, require_taking
from mailprefs.db.kept import Kept, KeptInsert
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.journal import Refusal
from mailprefs.policy import Scope, Source, SuppressionReason
from mailprefs.schema.choices import Suppression, SuppressionLift
from mailprefs.schema.people import Recipient

SHORTEST_REASON = 10
"""Characters of the written reason for a lift."""
WORDS: Final[Mapping[SuppressionReason, str]] = MappingProxyType(
    {
        SuppressionReason.UNSUBSCRIBED: "left all promotional mail",
        SuppressionReason.COMPLAINED: "marked a message as spam",
        SuppressionReason.HARD_BOUNCE: "the mailbox refuses mail",
        SuppressionReason.INVALID: "the address is invalid",
        SuppressionReason.SOFT_BOUNCES: "the mailbox refused several times in a row",
        SuppressionReason.ERASED: "erased",
    }
)
"""Why mail to an address is held back, as staff are told."""


_JOURNALLED: Final = {
    SuppressionReason.COMPLAINED: journal.COMPLAINED,
    SuppressionReason.ERASED: journal.ERASED,
}


# For each of the many who may leave in one second.
_ADD: Final = KeptInsert(
    Suppression,
    "address_hash address_key_id scope reason source delivery_id created_at".split(),
).or_nothing()
_REASONS: Final = Kept(
    select(Recipient.id, Suppression.reason)
    .join(Recipient, Recipient.address_hash == Suppression.address_hash)
    .where(dialects.listed(Recipient.id, "recipients"))
)


class Evidence(NamedTuple):
    """What the vendor says against an address, since when, and for which message.

    *is_echo*: it only repeats what stands on the vendor's own lists, and tried no mailbox; *at* is
    then when it was said, which is no news.
    """

    address_hash: bytes
    key_id: int
    reason: SuppressionReason
    at: datetime
    delivery_id: int | None = None
    is_echo: bool = False


class Cause(NamedTuple):
    """Why mail of the reason's scope is to be kept from an address, and since when."""

    address_hash: bytes
    key_id: int
    reason: SuppressionReason
    source: Source
    at: datetime
    delivery_id: int | None = None


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
    cause = Cause(address_hash, key_id, reason, source, now, delivery_id)
    return bool(add_each(session, [cause]))


def add_each(session: Session, causes: Sequence[Cause]) -> int:
    """Keep mail from some addresses as ``add`` does; give how many causes are new."""
    for one in causes:
        if one.reason in _JOURNALLED:
            refused(session, Refusal(one.address_hash, _JOURNALLED[one.reason], one.at))
    return _ADD.change_each(
        session,
        [
            {
                "address_hash": one.address_hash,
                "address_key_id": one.key_id,
                "scope": one.reason.scope,
                "reason": one.reason,
                "source": one.source,
                "delivery_id": one.delivery_id,
                "created_at": one.at,
            }
            for one in causes
        ],
    )


def erase(
    session: Session, address_hash: bytes, key_id: int, source: Source, *, now: datetime
) -> bool:
    """Let ``erased`` be all that stands against an address; tell whether that is new.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    reason = SuppressionReason.ERASED
    others = (Suppression.address_hash == address_hash, Suppression.reason != reason)
    session.execute(delete(Suppression).where(*others))
    return add(session, address_hash, key_id, reason, source, now=now)


def believe(session: Session, evidence: Evidence) -> bool:
    """Keep mail from an address as the vendor's *evidence* asks; tell whether that is new.

    Nothing comes of it where the address was lifted since, or belongs to somebody erased.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    address_hash, reason = evidence.address_hash, evidence.reason
    reasons = {one.reason for one in of(session, address_hash)}
    if SuppressionReason.ERASED in reasons or _is_settled(session, evidence):
        return False
    if reason in reasons:
        date_back(session, evidence)
        return False
    return add(
        session,
        address_hash,
        evidence.key_id,
        reason,
        Source.VENDOR,
        now=evidence.at,
        delivery_id=evidence.delivery_id,
    )


def date_back(session: Session, evidence: Evidence) -> None:
    """Let the earliest thing that the vendor said be a suppression's cause, in whatever order."""
    later = Suppression.created_at > evidence.at
    if evidence.delivery_id is not None:
        same = Suppression.created_at == evidence.at
        later = or_(later, and_(same, Suppression.delivery_id > evidence.delivery_id))
    session.execute(
        update(Suppression)
        .where(
            Suppression.address_hash == evidence.address_hash,
            Suppression.reason == evidence.reason,
            Suppression.source == Source.VENDOR,
            later,
        )
        .values(created_at=evidence.at, delivery_id=evidence.delivery_id)
        .execution_options(synchronize_session=False)
    )


def lifted_at(session: Session, address_hash: bytes, reason: SuppressionReason) -> datetime | None:
    """Give when a suppression of this address was last lifted for good reason, if ever."""
    return session.scalar(
        select(func.max(SuppressionLift.lifted_at)).where(
            SuppressionLift.address_hash == address_hash, SuppressionLift.reason == reason
        )
    )


def lifts(
    session: Session, *, address_hash: bytes | None = None, limit: int = 100
) -> list[SuppressionLift]:
    """List what was lifted, newest first; of one address, or of all."""
    query = select(SuppressionLift).order_by(SuppressionLift.id.desc()).limit(limit)
    if address_hash is not None:
        query = query.where(SuppressionLift.address_hash == address_hash)
    return list(session.scalars(query))


def lift_by_staff(  # noqa: PLR0913 - whose, which, by whom, why and when
    session: Session,
    address_hash: bytes,
    reason: SuppressionReason,
    actor: Actor,
    *,
    because: str,
    now: datetime,
) -> None:
    """Let mail go to an address again that a mailbox or the vendor had refused; on record.

    It lifts one reason and makes no yes of a no: whoever complained has also left promotional mail,
    and that stays until they come back themselves.

    :raises Conflict: for what only the person can take back, and for somebody erased.
    :raises BadInput: without a reason in a sentence.
    :raises NotFound: where the address isn't suppressed for this reason.
    """
    stood = _liftable(session, address_hash, reason, because)
    audit.record(
        session,
        actor,
        "suppression.lifted",
        ("suppression", stood.id),
        now=now,
        reason=because.strip(),
        details={"why": reason.value, "since": stood.created_at.isoformat()},
    )
    session.add(
        SuppressionLift(
            address_hash=address_hash,
            reason=reason,
            source=stood.source,
            since=stood.created_at,
            lifted_at=now,
            staff_id=actor.staff_id,
            because=because.strip(),
        )
    )
    lift(session, address_hash, reason)


def written_reason(because: str) -> str:
    """Give why something is lifted or released, without blanks around it.

    :raises BadInput: if that is no sentence.
    """
    reason = because.strip()
    if len(reason) < SHORTEST_REASON:
        msg = "Say in a sentence why; it is kept in the audit."
        raise BadInput(msg)
    return reason


def _liftable(
    session: Session, address_hash: bytes, reason: SuppressionReason, because: str
) -> Suppression:
    """Give the suppression that is to be lifted; raises as ``lift_by_staff`` says."""
    if not reason.can_be_lifted:
        msg = (
            "Nobody can lift this here: who left promotional mail comes back by their own "
            "preference page, and who was erased is gone for good."
        )
        raise Conflict(msg)
    written_reason(because)
    stood = next((one for one in of(session, address_hash) if one.reason is reason), None)
    if stood is None:
        msg = "That address isn't suppressed for this reason."
        raise NotFound(msg)
    return stood


def totals(session: Session) -> dict[SuppressionReason, int]:
    """Count the suppressions in force, by reason."""
    rows = session.execute(
        select(Suppression.reason, func.count())
        .group_by(Suppression.reason)
        .order_by(Suppression.reason)
    )
    return dict(rows.all())


def _is_settled(session: Session, evidence: Evidence) -> bool:
    """Tell whether a lift has answered this evidence already."""
    at = lifted_at(session, evidence.address_hash, evidence.reason)
    return at is not None and (evidence.is_echo or evidence.at <= at)


def lift(session: Session, address_hash: bytes, reason: SuppressionReason) -> bool:
    """Take one reason away; tell whether it was there. Other reasons stay in force."""
    gone = session.execute(
        delete(Suppression)
        .where(Suppression.address_hash == address_hash, Suppression.reason == reason)
        .returning(Suppression.id)
    )
    return gone.one_or_none() is not None


def reasons_each(
    session: Session, recipient_ids: Sequence[int]
) -> dict[int, frozenset[SuppressionReason]]:
    """Give why mail to each of some people is held back; where nothing does, there is no entry."""
    found: dict[int, frozenset[SuppressionReason]] = {}
    for person, reason in _REASONS.rows(session, {"recipients": recipient_ids}):
        found[person] = found.get(person, frozenset()) | {reason}
    return found


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
