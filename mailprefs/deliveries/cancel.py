"""What is not handed over yet, and never will be."""

from typing import Final

from sqlalchemy import Table, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.deliveries import Batch, BatchState

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]


def cancel_pending(session: Session, campaign_id: int) -> int:
    """Cancel the batches of a cancelled campaign that no worker has; give how many.

    The caller has set the campaign's state in this transaction. A batch in flight finishes, and if
    its request is refused it is cancelled then; deliveries that are in no batch yet count as
    cancelled by the campaign's state.
    """
    return dialects.changed(
        session,
        update(_BATCHES)
        .where(_BATCHES.c.campaign_id == campaign_id, _BATCHES.c.state == BatchState.PENDING)
        .values(state=BatchState.CANCELLED),
    )
