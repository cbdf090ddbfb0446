"""What a restored backup says is still to be sent: it may have been sent since."""

from typing import Final

from sqlalchemy import Table, insert, literal, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.vendor.message import Verdict

REASON: Final = "The database was restored from a backup; it may have been sent after that."
_OWNER: Final = "restored"
_COLUMNS: Final = [
    *("batch_id", "campaign_id", "message_class", "vendor", "n", "fields", "modes"),
    *("owner", "claimed_at", "ended_at", "outcome", "reason"),
]
_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]


def make_unknown(session: Session) -> int:
    """Make every batch unknown that is pending or sending; give how many people that is.

    Nothing of it goes again by itself, notices neither: a person decides, campaign by campaign.
    """
    _end_calls(session)
    _invent_calls(session)
    open_states = (BatchState.PENDING, BatchState.SENDING)
    n = session.scalars(
        update(_BATCHES)
        .where(_BATCHES.c.state.in_(open_states))
        .values(
            state=BatchState.UNKNOWN,
            # As after a second unclear call: what is claimed again needs a decision.
            after_id=_BATCHES.c.hand_over_id,
            owner=None,
            lease_until=None,
        )
        .returning(_BATCHES.c.n - _BATCHES.c.own)
    ).all()
    return sum(n)


def _end_calls(session: Session) -> None:
    """End the calls that were under way at the backup: what was answered isn't known here."""
    session.execute(
        update(_HAND_OVERS)
        .where(_HAND_OVERS.c.outcome.is_(None))
        .values(outcome=Verdict.UNCLEAR.value, reason=REASON, ended_at=dialects.clock(session))
    )


def _invent_calls(session: Session) -> None:
    """Note a call for each batch that had none: it stands for the one that may have been made."""
    clock = dialects.clock(session)
    calls = (
        select(
            _BATCHES.c.id,
            _BATCHES.c.campaign_id,
            Campaign.message_class,
            literal("unknown"),
            _BATCHES.c.n - _BATCHES.c.own,
            literal(""),
            literal(""),
            literal(_OWNER),
            clock,
            clock,
            literal(Verdict.UNCLEAR.value),
            literal(REASON),
        )
        .join(Campaign, Campaign.id == _BATCHES.c.campaign_id)
        .where(_BATCHES.c.state == BatchState.PENDING)
    )
    session.execute(insert(_HAND_OVERS).from_select(_COLUMNS, calls, include_defaults=False))
    newest = (
        select(_HAND_OVERS.c.id)
        .where(_HAND_OVERS.c.batch_id == _BATCHES.c.id, _HAND_OVERS.c.owner == _OWNER)
        .order_by(_HAND_OVERS.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    session.execute(
        update(_BATCHES).where(_BATCHES.c.state == BatchState.PENDING).values(hand_over_id=newest)
    )
