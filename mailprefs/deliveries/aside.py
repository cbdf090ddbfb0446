"""What can't be claimed through a fault of its own, set aside so that everything else goes on."""

from typing import Final

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from mailprefs.deliveries import hold, outcome
from mailprefs.deliveries.pick import Picked
from mailprefs.policy import Failure
from mailprefs.schema.deliveries import Batch, BatchState, Delivery

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]


def set_aside(session: Session, picked: Picked, reason: str) -> None:
    """Pause the campaign of a broken batch with the *reason*; a single message failed.

    One odd message must not hold up all others of its kind. What somebody else has taken or mended
    meanwhile stays as it is.
    """
    if picked.template is None:
        outcome.pause(session, picked.campaign_id, reason)
        return
    own = session.execute(
        select(_BATCHES.c.own)
        .where(_BATCHES.c.id == picked.id, _BATCHES.c.state == BatchState.PENDING)
        .with_for_update()
    ).scalar_one_or_none()
    if own is None:
        return
    ids = session.scalars(
        select(Delivery.id).where(
            Delivery.id.between(picked.first_id, picked.last_id), Delivery.own_state.is_(None)
        )
    ).all()
    own += hold.fail(session, dict.fromkeys(ids, Failure.BROKEN_MESSAGE))
    session.execute(
        update(_BATCHES).where(_BATCHES.c.id == picked.id).values(state=BatchState.SENT, own=own)
    )
