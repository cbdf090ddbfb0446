"""Opens: what a fetch of a pixel counts for, written in whole batches, each thing once.

A batch of fetches becomes rows of ``opens`` (delivery, kind), sums in ``open_rollup``, bits of
``measured`` with their sums in ``measured_totals``, and, where nobody is told apart, ``loads``.
The caller's transaction uses permissions (``Gate.USING``): what a person has refused by then leaves
no trace. Sums only follow rows that come or change, never rows that go: a refusal, an erasure and
the retention delete evidence and leave every number as it was.

``fetches``   fetches, and a batch of them in order
``periods``   for how long a campaign is recorded, and its local hours
``turn``      one writer of evidence at a time
``knowing``   what is known of deliveries
``judging``   what fetches change, given that; pure
``writing``   the statements
``recording`` the three together
``deciding``  what the vendor told later
``silencing`` whoever says no
"""

from mailprefs.opens.bits import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.opens.deciding import delivered
from mailprefs.opens.fetches import Fetch, Gathered, Said, gather
from mailprefs.opens.judging import TOO_FAST
from mailprefs.opens.knowing import Calls
from mailprefs.opens.periods import RECORDED_FOR
from mailprefs.opens.recording import Counted, count, record
from mailprefs.opens.silencing import mute, silence

__all__ = [
    "APPLE",
    "DELIVERED",
    "FETCHED",
    "HUMAN",
    "RECORDED_FOR",
    "TOO_FAST",
    "Calls",
    "Counted",
    "Fetch",
    "Gathered",
    "Said",
    "count",
    "delivered",
    "gather",
    "mute",
    "record",
    "silence",
]
