"""Count a batch of fetches: read what is known, judge, write what changes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailprefs.opens import turn
from mailprefs.opens.fetches import Fetch, Gathered, gather
from mailprefs.opens.judging import judge
from mailprefs.opens.knowing import Calls, read
from mailprefs.opens.periods import Period
from mailprefs.opens.writing import Writes


class Counted(NamedTuple):
    """What a batch of fetches came to: new rows of ``opens``, and anonymous loads."""

    opens: int
    loads: int


def record(session: Session, fetches: Iterable[Fetch], calls: Calls | None = None) -> Counted:
    """Count *fetches*; the same ones again count nothing new.

    Loads without a delivery are counted each time: the caller passes each fetch once.
    """
    return count(session, gather(fetches), calls or Calls())


def count(session: Session, gathered: Gathered, calls: Calls) -> Counted:
    """Count fetches that are in order already; *calls* remembers hand-overs between batches.

    The edge opens the transaction with ``Gate.USING``: what a person has refused by then leaves no
    trace.
    """
    turn.take(session)
    told = read(session, gathered.campaigns, gathered.by_delivery, calls)
    effect = judge(gathered.by_delivery, told.deliveries, told.periods, told.policies)
    loads = _loads(gathered.loads, told.periods)
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
    fetches: Iterable[Fetch], running: Mapping[int, Period]
) -> Counter[tuple[int, date, int]]:
    """Count loads that name nobody, by campaign, local day and kind."""
    loads: Counter[tuple[int, date, int]] = Counter()
    for fetch in fetches:
        period = running.get(fetch.campaign_id)
        if period is not None and fetch.at < period.until:
            loads[fetch.campaign_id, period.day(fetch.at), int(fetch.kind)] += 1
    return loads
