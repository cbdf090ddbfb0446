"""Who is in a request that may be about to begin."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from mailprefs.db.dialects import among, database_time
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
    select(Delivery.id)
    .where(
        Delivery.id.between(bindparam("first", type_=BigId), bindparam("last", type_=BigId)),
        Delivery.recipient_id == bindparam("recipient", type_=BigId),
        Delivery.own_state.is_(None),
    )
    .limit(1)
)


def holds(session: Session, recipient_id: int) -> bool:
    """Tell whether somebody is in a promotional batch that was claimed just now, unanswered yet.

    Ends of the claim are seen when they are recorded: the vendor's answer, or that the request has
    not begun. Read after the person's choice was committed, it can't become true again.
    """
    return bool(_carrying(session, recipient_id, _PROMOTIONAL))


def carrying(session: Session, recipient_id: int) -> Sequence[int]:
    """List the unanswered hand-overs of any class that somebody is in, claimed just now.

    For somebody who is about to be erased, after which nothing says any more where they were.
    """
    return _carrying(session, recipient_id, _ANY)


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


def _carrying(session: Session, recipient_id: int, under_way: Kept) -> list[int]:
    """List the hand-overs; each batch is looked into by its range.

    In one statement SQLite would begin with the deliveries, and read every one there is.
    """
    begun = under_way.rows(session)
    if not begun:
        return []
    since = database_time(session) - MAY_BEGIN_FOR
    return [
        call
        for call, claimed_at, first, last in begun
        if claimed_at > since and _is_among(session, recipient_id, first, last)
    ]


def _is_among(session: Session, recipient_id: int, first: int, last: int) -> bool:
    values = {"first": first, "last": last, "recipient": recipient_id}
    return _CARRIED.row(session, values) is not None
