"""What follows once it is certain that a hand-over was accepted, however late that becomes known.

Meanwhile its people may be pending again, as one batch or as parts of one, or be in a later call.
Those who are in none, or in one of which nothing is known either, have their message.
"""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Table, or_, select, update
from sqlalchemy.orm import Session

from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.vendor.message import Verdict

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_OWN: Final = (BatchState.SENDING, BatchState.UNKNOWN, BatchState.PENDING)
# Cancelled: it was to be sent again, and then its campaign was stopped.
_OF_LATER: Final = (BatchState.UNKNOWN, BatchState.PENDING, BatchState.CANCELLED)


class Earlier(NamedTuple):
    """What the calls before one have come to, for the same people.

    *accepted* is the one that certainly reached them; *may_be_accepted* tells that one has or may
    have. Where there is none before, neither.
    """

    accepted: int | None
    may_be_accepted: bool


def lock(session: Session, campaign_id: int) -> CampaignState:
    """Lock a campaign against a cancel, and against a proof of an earlier call; give its state.

    Not against what refers to it: a claim that has its batch already must not wait for this.
    """
    state: CampaignState = session.execute(
        select(_CAMPAIGNS.c.state)
        .where(_CAMPAIGNS.c.id == campaign_id)
        .with_for_update(key_share=True)
    ).scalar_one()
    return state


def make_sent(session: Session, campaign_id: int, hand_over_id: int) -> None:
    """Make what a hand-over has reached sent, unless a call that may reach it again is running.

    The campaign is locked first: the answer to such a call, coming beside this, either finds the
    proof (``earlier``), or what it made of the batch is found here.
    """
    row = session.execute(
        select(_HAND_OVERS.c.batch_id, _HAND_OVERS.c.claimed_at).where(
            _HAND_OVERS.c.id == hand_over_id
        )
    ).one()
    lock(session, campaign_id)
    stamp_first(session, campaign_id, row.claimed_at)
    sent = {"state": BatchState.SENT, "owner": None, "lease_until": None}
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.id == row.batch_id, _BATCHES.c.hand_over_id == hand_over_id)
        .where(_BATCHES.c.state.in_(_OWN))
        .values(sent)
    )
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.after_id.in_(_with_later(session, campaign_id, hand_over_id)))
        .where(_BATCHES.c.state.in_(_OF_LATER))
        .values(sent | {"hand_over_id": hand_over_id})
    )


def earlier(session: Session, hand_over_id: int | None) -> Earlier:
    """Tell what became of a hand-over and of those that it was made after.

    The caller has locked the campaign, where what it makes of the answer is to be the last word.
    """
    may_be = False
    while hand_over_id is not None:
        row = session.execute(
            select(_HAND_OVERS.c.outcome, _HAND_OVERS.c.after_id).where(
                _HAND_OVERS.c.id == hand_over_id
            )
        ).one()
        if row.outcome == Verdict.ACCEPTED.value:
            return Earlier(hand_over_id, may_be_accepted=True)
        may_be |= row.outcome in {None, Verdict.UNCLEAR.value}
        hand_over_id = row.after_id
    return Earlier(None, may_be)


def stamp_first(session: Session, campaign_id: int, at: datetime) -> None:
    """Write down when a campaign first reached, or may have reached, the vendor."""
    session.execute(
        update(_CAMPAIGNS)
        .where(
            _CAMPAIGNS.c.id == campaign_id,
            or_(_CAMPAIGNS.c.first_hand_over_at.is_(None), _CAMPAIGNS.c.first_hand_over_at > at),
        )
        .values(first_hand_over_at=at)
    )


def _with_later(session: Session, campaign_id: int, hand_over_id: int) -> list[int]:
    """Give a hand-over and all later ones of its people or of some of them."""
    found, newest = [hand_over_id], [hand_over_id]
    while newest:
        newest = list(
            session.scalars(
                select(_HAND_OVERS.c.id).where(
                    _HAND_OVERS.c.campaign_id == campaign_id, _HAND_OVERS.c.after_id.in_(newest)
                )
            )
        )
        found += newest
    return found
