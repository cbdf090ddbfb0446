"""Who was told of a policy version, who wasn't and why: everybody known, each in one place.

Whoever was known when its first notice was frozen, and whoever came later. People are named by
their numbers, as everywhere; whoever was erased since has none any more, and is counted.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    case,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from mailprefs import audience
from mailprefs.audience import Audience
from mailprefs.db import dialects
from mailprefs.errors import Conflict
from mailprefs.notices.versions import notices
from mailprefs.policy import MessageClass, Scope, Skip
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.choices import PolicyState, PolicyVersion, Suppression
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver
from mailprefs.schema.events import MailboxFact
from mailprefs.schema.people import Recipient

_AT_ONCE: Final = 5_000
_FACTS: Final = ("delivered", "bounced", "blocked", "dropped", "deferred", "complained")
_BEGUN: Final = (CampaignState.DRAFT, CampaignState.SCHEDULED)


class Outcome(StrEnum):
    """What became of one person; ``reason`` says more."""

    DELIVERED = "delivered"
    HANDED_OVER = "handed_over"
    CAME_LATER = "came_later"
    PENDING = "pending"
    UNKNOWN = "unknown"
    CAME_BACK = "came_back"
    SKIPPED = "skipped"
    FAILED = "failed"
    KEPT_OUT = "kept_out"
    NOT_YET = "not_yet"


TOLD: Final = (Outcome.DELIVERED, Outcome.HANDED_OVER, Outcome.CAME_LATER)
"""Whoever came later agreed under the version in force, and needs no notice of it."""


class Line(NamedTuple):
    """One person: number, outcome and reason, the notice, and what is known of its message."""

    recipient: int
    outcome: Outcome
    reason: str | None
    campaign_id: int | None
    handed_over_at: datetime | None
    facts: tuple[datetime | None, ...]


class Sums(NamedTuple):
    """How many people are where; known = sum of all outcomes + erased.

    *at_freeze* were known when the first notice was frozen, *later* came since and are still here.
    """

    at_freeze: int
    later: int
    erased: int
    outcomes: dict[tuple[Outcome, str | None], int]

    @property
    def known(self) -> int:
        """Give everybody of whom the proof speaks."""
        return self.at_freeze + self.later

    @property
    def adds_up(self) -> bool:
        """Tell whether everybody is in one place."""
        return self.known == self.erased + sum(self.outcomes.values())

    def of(self, *outcomes: Outcome) -> int:
        """Give how many people have one of these outcomes."""
        return sum(n for (one, _), n in self.outcomes.items() if one in outcomes)


def sums(session: Session, version: PolicyVersion) -> Sums:
    """Count who was told of a version and who wasn't, on one view of the database.

    :raises Conflict: for a version of which nobody is told.
    """
    first = _first(session, version)
    people = _people(session, version).subquery()
    rows = session.execute(
        select(people.c.outcome, people.c.reason, people.c.is_later, func.count()).group_by(
            people.c.outcome, people.c.reason, people.c.is_later
        )
    ).all()
    outcomes: dict[tuple[Outcome, str | None], int] = {}
    later = 0
    for outcome, reason, is_later, n in rows:
        key = (Outcome(outcome), reason)
        outcomes[key] = outcomes.get(key, 0) + n
        later += n if is_later else 0
    here = sum(outcomes.values()) - later
    begun = first.state not in _BEGUN
    at_freeze = first.chosen if begun else here
    if first.state is CampaignState.FREEZING:
        at_freeze = max(at_freeze, here)
    return Sums(at_freeze, later, at_freeze - here, dict(sorted(outcomes.items(), key=_order)))


def lines(session: Session, version: PolicyVersion) -> Iterator[Line]:
    """Give everybody in the order of their numbers, some in memory at a time.

    :raises Conflict: for a version of which nobody is told.
    """
    people = _people(session, version)
    after = 0
    while True:
        rows = session.execute(
            people.where(Recipient.id > after).order_by(Recipient.id).limit(_AT_ONCE)
        ).all()
        facts = _facts(session, [row.delivery_id for row in rows if row.delivery_id])
        calls = _calls(session, {row.hand_over_id for row in rows if row.hand_over_id})
        for row in rows:
            known = facts.get(row.delivery_id, {})
            yield Line(
                row.recipient,
                Outcome(row.outcome),
                row.reason,
                row.delivery_id >> 32 if row.delivery_id else None,
                calls.get(row.hand_over_id),
                tuple(known.get(fact) for fact in _FACTS),
            )
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].recipient


def header() -> tuple[str, ...]:
    """Give the names of an export's columns."""
    return (
        *("recipient", "outcome", "reason", "notice", "handed_over_at"),
        *(f"{fact}_at" for fact in _FACTS),
    )


def cells(line: Line) -> tuple[str, ...]:
    """Give one line of an export; times in UTC."""
    times = (line.handed_over_at, *line.facts)
    return (
        str(line.recipient),
        line.outcome.value,
        line.reason or "",
        str(line.campaign_id or ""),
        *("" if one is None else one.isoformat(timespec="seconds") for one in times),
    )


def _order(item: tuple[tuple[Outcome, str | None], int]) -> tuple[int, int]:
    return list(Outcome).index(item[0][0]), -item[1]


def _first(session: Session, version: PolicyVersion) -> Campaign:
    found = notices(session, version.id)
    if not found:
        msg = f"Version {version.version} isn't material, so nobody was told of it by mail."
        raise Conflict(msg)
    return found[0]


def _people(
    session: Session, version: PolicyVersion
) -> Select[int, str, str | None, bool, int, int | None]:
    """Give the query for everybody with what became of them: the one statement of it.

    A person's last delivery decides: a later notice goes only to those whom none has reached.
    """
    first = _first(session, version)
    whom = Audience(first.topic_id, MessageClass.ADMINISTRATIVE)
    last = (
        select(func.max(Delivery.id))
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            Campaign.policy_version_id == version.id,
            Delivery.recipient_id == Recipient.id,
            Delivery.idempotency_key.is_(None),
        )
        .correlate(Recipient)
        .scalar_subquery()
    )
    outcome, reason = _placed(version, whom)
    return (
        select(
            Recipient.id.label("recipient"),
            outcome.label("outcome"),
            reason.label("reason"),
            _is_later(first).label("is_later"),
            Delivery.id.label("delivery_id"),
            Batch.hand_over_id.label("hand_over_id"),
        )
        .select_from(Recipient)
        .outerjoin(Delivery, Delivery.id == last)
        .outerjoin(Batch, Batch.id == audience.batch_of(Batch.id))
    )


def _is_later(first: Campaign) -> ColumnElement[bool]:
    if first.state in _BEGUN or first.freeze_end is None:
        return literal(False)
    return Recipient.id > first.freeze_end


def _placed(
    version: PolicyVersion, whom: Audience
) -> tuple[ColumnElement[str], ColumnElement[str | None]]:
    """Give what became of a person, and why, over recipient, last delivery and its batch."""
    has_own = Delivery.own_state.is_not(None)
    state = Batch.state
    why = audience.reason(whom)
    came_under = (
        literal(False)
        if version.state is not PolicyState.SETTLED
        else and_(Delivery.id.is_(None), Recipient.created_at >= version.effective_from)
    )
    sent = state == BatchState.SENT
    cancelled = state == BatchState.CANCELLED
    outcome = case(
        (has_own, type_coerce(Delivery.own_state, String)),
        (and_(sent, audience.came_back()), Outcome.CAME_BACK.value),
        (and_(sent, audience.has_fact("delivered")), Outcome.DELIVERED.value),
        (sent, Outcome.HANDED_OVER.value),
        (state == BatchState.UNKNOWN, Outcome.UNKNOWN.value),
        (cancelled, Outcome.SKIPPED.value),
        (Delivery.id.is_not(None), Outcome.PENDING.value),
        (came_under, Outcome.CAME_LATER.value),
        (why.is_not(None), Outcome.KEPT_OUT.value),
        else_=Outcome.NOT_YET.value,
    )
    fact = case(
        *((audience.has_fact(word), word) for word in ("bounced", "dropped", "blocked")),
        else_=null(),
    )
    reason = case(
        (has_own, Delivery.own_reason),
        (and_(sent, audience.came_back()), fact),
        (cancelled, Skip.CANCELLED.value),
        (or_(Delivery.id.is_not(None), came_under), null()),
        (why == Skip.SUPPRESSED.value, _suppression()),
        else_=why,
    )
    return outcome, type_coerce(reason, String)


def _suppression() -> ColumnElement[str | None]:
    """Give what stands against all mail to a person's address; of several, one."""
    found = (
        select(func.min(type_coerce(Suppression.reason, String)))
        .where(Suppression.address_hash == Recipient.address_hash, Suppression.scope == Scope.ALL)
        .correlate(Recipient)
        .scalar_subquery()
    )
    return type_coerce(found, String)


def _facts(session: Session, ids: list[int]) -> dict[int, dict[str, datetime]]:
    if not ids:
        return {}
    found: dict[int, dict[str, datetime]] = {}
    rows = session.execute(
        select(MailboxFact.delivery_id, MailboxFact.event, MailboxFact.occurred_at).where(
            dialects.among(session, MailboxFact.delivery_id.expression, ids)
        )
    )
    for row in rows:
        found.setdefault(row.delivery_id, {})[row.event] = row.occurred_at
    return found


def _calls(session: Session, ids: set[int]) -> dict[int, datetime]:
    if not ids:
        return {}
    at = func.coalesce(HandOver.ended_at, HandOver.claimed_at, type_=UtcDateTime)
    rows = session.execute(
        select(HandOver.id, at.label("at")).where(
            dialects.among(session, HandOver.id.expression, sorted(ids))
        )
    )
    return {row.id: row.at for row in rows}
