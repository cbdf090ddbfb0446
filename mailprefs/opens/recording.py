"""Count a batch of fetches: read what is known, judge, write what changes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailprefs.opens import turn
from mailprefs.opens.fetches import Fetch, Gathered, gather, told
from mailprefs.opens.judging import judge
from mailprefs.opens.knowing import Calls, read
from mailprefs.opens.periods import MINUTE, Period
from mailprefs.opens.writing import Writes


class Counted(NamedTuple):
    """What a batch of fetches came to: new rows of ``opens``, and anonymous loads."""

    opens: int
    loads: int


def record(session: Session, fetches: Iterable[Fetch], calls: Calls | None = None) -> Counted:
    """Count *fetches*; the same ones again count nothing new.

    Loads without a delivery are counted each time: the caller passes each fetch once.
    """
    return count(session, gather(map(told, fetches)), calls or Calls())


def count(session: Session, gathered: Gathered, calls: Calls) -> Counted:
    """Count fetches that are in order already; *calls* remembers hand-overs between batches.

    The edge opens the transaction with ``Gate.USING``: what a person has refused by then leaves no
    trace.
    """
    turn.take(session)
    known = read(session, gathered.campaigns, gathered.by_delivery, calls)
    effect = judge(gathered.by_delivery, known.deliveries, known.periods, known.policies)
    loads = _loads(gathered.loads, known.periods)
    writes = Writes()
    writes.insert_opens(effect.rows)
    writes.set_bits(effect.bits)
    writes.keep_undecided(effect.undecided)
    writes.see_apple(dict(sorted(effect.apple.items())))
    writes.add_to_rollup(effect.cells)
    writes.add_to_totals(effect.totals)
    writes.add_to_loads(loads)
    writes.run(session)
    return Counted(len(effect.rows), loads.total())


def _loads(
    found: Mapping[tuple[int, int, int], int], running: Mapping[int, Period]
) -> Counter[tuple[int, date, int]]:
    """Count loads that name nobody, by campaign, local day and kind."""
    loads: Counter[tuple[int, date, int]] = Counter()
    for (campaign_id, at, kind), n in found.items():
        period = running.get(campaign_id)
        if period is not None and at < period.until:
            loads[campaign_id, period.day(at // MINUTE), kind] += n
    return loads
