"""How a campaign stands: whoever was frozen is in exactly one place, and the sum always holds.

``frozen = sent + sum(skipped) + sum(failed) + unknown + pending``, from the batches' own numbers
and the few deliveries that have a state of their own; never from a scan of all deliveries.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import CompoundSelect, String, Table, func, literal, select, type_coerce, union_all
from sqlalchemy.orm import Session

from mailprefs.errors import NotFound
from mailprefs.policy import Skip
from mailprefs.schema.campaigns import Campaign, CampaignState, KeptOut
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, OwnState

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]
_DELIVERIES: Final[Table] = Delivery.metadata.tables[Delivery.__tablename__]
_CAMPAIGNS: Final[Table] = Campaign.metadata.tables[Campaign.__tablename__]
_CHOSEN, _KEPT_OUT, _FROZEN, _CUT, _BATCH = "chosen", "kept_out", "frozen", "cut", "batch"


@dataclass(slots=True)
class Counts:
    """Where the people of a campaign are; ``pending`` includes those in a running request."""

    chosen: int = 0
    kept_out: dict[str, int] = field(default_factory=dict)
    frozen: int = 0
    sent: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    pending: int = 0

    @property
    def adds_up(self) -> bool:
        """Tell whether both sums hold: who was chosen, and what became of who was frozen."""
        placed = self.sent + self.unknown + self.pending
        placed += sum(self.skipped.values()) + sum(self.failed.values())
        return self.frozen == placed and self.chosen == self.frozen + sum(self.kept_out.values())


def counts(session: Session, campaign_id: int) -> Counts:
    """Count where everybody is, on one view of the ledger.

    :raises NotFound: for an unknown campaign.
    """
    parts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for kind, word, n in session.execute(_query(campaign_id)):
        parts[kind][word or ""] = n
    if not parts[_FROZEN]:
        raise NotFound(f"There is no campaign {campaign_id}.")
    (state, frozen), *_ = parts[_FROZEN].items()
    found = Counts(
        chosen=parts[_CHOSEN][""],
        kept_out=parts[_KEPT_OUT],
        frozen=frozen,
        skipped=parts[OwnState.SKIPPED.value],
        failed=parts[OwnState.FAILED.value],
    )
    for word, n in parts[_BATCH].items():
        _add(found, BatchState(word), n)
    # While the freeze runs, deliveries are in no batch yet.
    is_cancelled = state == CampaignState.CANCELLED.value
    uncut = frozen - parts[_CUT][""]
    _add(found, BatchState.CANCELLED if is_cancelled else BatchState.PENDING, uncut)
    return found


def _add(found: Counts, state: BatchState, n: int) -> None:
    """Add *n* deliveries that are in the state of their batch."""
    if state is BatchState.SENT:
        found.sent += n
    elif state is BatchState.UNKNOWN:
        found.unknown += n
    elif state is not BatchState.CANCELLED:
        found.pending += n
    elif n:
        cancelled = Skip.CANCELLED.value
        found.skipped[cancelled] = found.skipped.get(cancelled, 0) + n


def _query(campaign_id: int) -> CompoundSelect[Any]:
    """Give one statement for everything, so that all of it is of one moment."""
    nothing = literal(None, String)
    batches = _BATCHES.c.campaign_id == campaign_id
    own = (_DELIVERIES.c.campaign_id == campaign_id, _DELIVERIES.c.own_state.is_not(None))
    whole = _CAMPAIGNS.c.id == campaign_id
    left = func.sum(_BATCHES.c.n - _BATCHES.c.own)
    in_batches = (
        select(literal(_BATCH), type_coerce(_BATCHES.c.state, String), left)
        .where(batches)
        .group_by(_BATCHES.c.state)
    )
    cut = select(literal(_CUT), nothing, func.coalesce(func.sum(_BATCHES.c.n), 0)).where(batches)
    alone = (
        select(type_coerce(_DELIVERIES.c.own_state, String), _DELIVERIES.c.own_reason, func.count())
        .where(*own)
        .group_by(_DELIVERIES.c.own_state, _DELIVERIES.c.own_reason)
    )
    frozen = select(
        literal(_FROZEN), type_coerce(_CAMPAIGNS.c.state, String), _CAMPAIGNS.c.frozen
    ).where(whole)
    chosen = select(literal(_CHOSEN), nothing, _CAMPAIGNS.c.chosen).where(whole)
    kept_out = select(literal(_KEPT_OUT), KeptOut.reason, KeptOut.n).where(
        KeptOut.campaign_id == campaign_id
    )
    return union_all(in_batches, cut, alone, frozen, chosen, kept_out)
