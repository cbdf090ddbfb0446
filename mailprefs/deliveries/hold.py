"""Taking a batch, and the states that single deliveries get on the way."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import Table, bindparam, insert, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.deliveries.people import Found
from mailprefs.deliveries.pick import Picked
from mailprefs.policy import Failure, Skip
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver, OwnState

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_DELIVERIES: Final[Table] = Delivery.metadata.tables[Delivery.__tablename__]
_HAND_OVERS: Final[Table] = HandOver.metadata.tables[HandOver.__tablename__]
_WRITTEN: Final = (
    "batch_id",
    "campaign_id",
    "message_class",
    "vendor",
    "n",
    "fields",
    "modes",
    "owner",
    "claimed_at",
    "after_id",
)
_HAND_OVER: Final = Kept(
    insert(_HAND_OVERS)
    .values({name: bindparam(name, type_=_HAND_OVERS.c[name].type) for name in _WRITTEN})
    .returning(_HAND_OVERS.c.id)
)
_CHANGES: Final = ("own", "state", "hand_over_id", "owner", "lease_until")
_TAKE: Final = Kept(
    update(_BATCHES)
    .where(_BATCHES.c.id == bindparam("batch"), _BATCHES.c.state == BatchState.PENDING)
    .values({name: bindparam(f"new_{name}", type_=_BATCHES.c[name].type) for name in _CHANGES})
)


class Holder(Protocol):
    """Who takes a batch: which worker, for which vendor, for how many seconds."""

    @property
    def owner(self) -> str:
        """Give the worker's name."""
        ...

    @property
    def vendor(self) -> str:
        """Give the vendor's name."""
        ...

    @property
    def lease(self) -> float:
        """Give for how many seconds nobody else touches the batch."""
        ...


def take(session: Session, picked: Picked, found: Found, holder: Holder, *, at: datetime) -> int:
    """Make the batch *holder*'s from *at* on, and write the hand-over down; give its id."""
    written = _HAND_OVER.rows(
        session,
        {
            "batch_id": picked.id,
            "campaign_id": picked.campaign_id,
            "message_class": picked.message_class,
            "vendor": holder.vendor,
            "n": len(found.people),
            "fields": found.fields,
            "modes": found.modes,
            "owner": holder.owner,
            "claimed_at": at,
            "after_id": picked.after_id,
        },
    )
    hand_over_id: int = written[0][0]
    _from_pending(
        session,
        picked,
        {
            "new_own": picked.own + skip(session, found.skipped),
            "new_state": BatchState.SENDING,
            "new_hand_over_id": hand_over_id,
            "new_owner": holder.owner,
            "new_lease_until": at + timedelta(seconds=holder.lease),
        },
    )
    return hand_over_id


def nobody_left(session: Session, picked: Picked, skipped: Mapping[int, Skip]) -> None:
    """Close a batch in which nobody may get the message any more: nothing is left to hand over."""
    values = dict.fromkeys(("new_hand_over_id", "new_owner", "new_lease_until"))
    own = picked.own + skip(session, skipped)
    _from_pending(session, picked, {**values, "new_own": own, "new_state": BatchState.SENT})


def skip(session: Session, reasons: Mapping[int, Skip]) -> int:
    """Give deliveries the state skipped, each with its reason; give how many changed."""
    return _set_own(session, OwnState.SKIPPED, reasons)


def fail(session: Session, reasons: Mapping[int, Failure]) -> int:
    """Give deliveries the state failed, each with its reason; give how many changed."""
    return _set_own(session, OwnState.FAILED, reasons)


def _set_own(session: Session, state: OwnState, reasons: Mapping[int, Skip | Failure]) -> int:
    changed = 0
    for reason in sorted(set(reasons.values())):
        ids = [delivery_id for delivery_id, why in reasons.items() if why is reason]
        changed += dialects.changed(
            session,
            update(_DELIVERIES)
            .where(dialects.among(session, _DELIVERIES.c.id, ids))
            .where(_DELIVERIES.c.own_state.is_(None))
            .values(own_state=state, own_reason=reason.value),
        )
    return changed


def _from_pending(session: Session, picked: Picked, values: Mapping[str, object]) -> None:
    """Change a batch that this transaction has locked while it was pending."""
    if _TAKE.change(session, {"batch": picked.id, **values}) != 1:
        msg = f"batch {picked.id} was taken by somebody else while it was locked here"
        raise RuntimeError(msg)
