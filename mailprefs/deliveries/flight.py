"""Who is in a request that may be about to begin."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, bindparam, select, type_coerce
from sqlalchemy.orm import Session

from mailprefs.db.dialects import among, database_time, listed
from mailprefs.db.kept import Kept
from mailprefs.policy import MessageClass
from mailprefs.schema.base import BigId
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver

MAY_BEGIN_FOR: Final = timedelta(seconds=10)
"""How old a claim can be whose request hasn't begun: itself, and ``START_WITHIN`` after it.

An older one is a call that takes long, or that of a worker who is gone."""


def _under_way(*conditions: ColumnElement[bool]) -> Kept:
    """Give the query for the requests under way of some campaigns, and their batches' ranges."""
    return Kept(
        select(HandOver.id, HandOver.claimed_at, Batch.first_id, Batch.last_id)
        .join(Batch, Batch.hand_over_id == HandOver.id)
        .join(Campaign, Campaign.id == Batch.campaign_id)
        .where(Batch.state == BatchState.SENDING, *conditions)
    )


# Asked for everybody who leaves.
_ANY: Final = _under_way()
_PROMOTIONAL: Final = _under_way(Campaign.message_class == MessageClass.PROMOTIONAL)
_CARRIED: Final = Kept(
    select(type_coerce(Delivery.recipient_id, BigId)).where(
        Delivery.id.between(bindparam("first", type_=BigId), bindparam("last", type_=BigId)),
        listed(type_coerce(Delivery.recipient_id, BigId), "recipients"),
        Delivery.own_state.is_(None),
    )
)


def holding(session: Session, recipient_ids: Sequence[int]) -> list[bool]:
    """Tell of each of some people whether they are in a promotional batch claimed just now.

    One that is unanswered yet: ends of a claim are seen when they are recorded, the vendor's answer
    or that the request has not begun. Read after somebody's choice was committed, it can't become
    true of them again.
    """
    begun = _begun(session, _PROMOTIONAL)
    carried = {who for one in begun for who in _carried(session, one, recipient_ids)}
    return [one in carried for one in recipient_ids]


def carrying(session: Session, recipient_id: int) -> Sequence[int]:
    """List the unanswered hand-overs of any class that somebody is in, claimed just now.

    For somebody who is about to be erased, after which nothing says any more where they were.
    """
    begun = _begun(session, _ANY)
    return [one.hand_over_id for one in begun if _carried(session, one, [recipient_id])]


def any_of(session: Session, hand_over_ids: Sequence[int]) -> bool:
    """Tell whether one of these hand-overs may still be about to begin."""
    under_way = (
        select(HandOver.id)
        .join(Batch, Batch.hand_over_id == HandOver.id)
        .where(
            among(session, HandOver.id, hand_over_ids),
            Batch.state == BatchState.SENDING,
            HandOver.claimed_at > database_time(session) - MAY_BEGIN_FOR,
        )
    )
    return session.execute(under_way.limit(1)).first() is not None


class _Begun(NamedTuple):
    """A request that may be about to begin: its hand-over, and the range of its batch."""

    hand_over_id: int
    first: int
    last: int


def _begun(session: Session, under_way: Kept) -> list[_Begun]:
    rows = under_way.rows(session)
    if not rows:
        return []
    since = database_time(session) - MAY_BEGIN_FOR
    return [_Begun(call, first, last) for call, at, first, last in rows if at > since]


def _carried(session: Session, begun: _Begun, recipient_ids: Sequence[int]) -> Sequence[int]:
    """Give who of some people is in a request; each batch is looked into by its range.

    In one statement with the requests SQLite would begin with the deliveries, and read each one.
    """
    values = {"first": begun.first, "last": begun.last, "recipients": recipient_ids}
    return [who for (who,) in _CARRIED.rows(session, values)]
