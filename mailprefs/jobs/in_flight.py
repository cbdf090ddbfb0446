"""Leaving is answered when no request that holds the person can begin any more.

The gate orders a choice and the claims: a claim that commits after it holds nobody who has left.
One that committed before it may have its request still to be made. Its worker makes it within
``START_WITHIN`` seconds or not at all, so that is how long an answer waits at most, and only the
answer to somebody who is in such a batch; mostly the batch's own answer comes first.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from mailprefs.db.database import Database
from mailprefs.deliveries import flight
from mailprefs.deliveries.claim import START_WITHIN
from mailprefs.errors import StoreUnavailable

ON_ITS_WAY: Final = 0.25
"""Seconds from a worker's last look at the clock until its first byte has reached the vendor."""
_LOOK_AGAIN: Final = 0.02


def wait_for_requests(db: Database, recipient_id: int) -> None:
    """Return when no promotional request with somebody who has just left can begin any more.

    To be called after their choice was committed, outside any transaction.
    """
    _wait(lambda: db.seeing(flight.holding, recipient_id))


def wait_for_calls(db: Database, hand_over_ids: Sequence[int]) -> None:
    """Return when none of these requests can begin any more; to be called as the other is."""

    def may_begin() -> bool:
        with db.reading() as session:
            return flight.any_of(session, hand_over_ids)

    if hand_over_ids:
        _wait(may_begin)


def _wait(may_begin: Callable[[], bool]) -> None:
    ends = time.monotonic() + START_WITHIN + ON_ITS_WAY
    while (left := ends - time.monotonic()) > 0 and _asked(may_begin):
        time.sleep(min(left, _LOOK_AGAIN))


def _asked(may_begin: Callable[[], bool]) -> bool:
    """Tell whether such a request may be about to begin; where nobody can tell, it may."""
    try:
        return may_begin()
    except StoreUnavailable:
        return True
