"""What the vendor reports: stored and applied, in any order and any number of times.

Events come late, twice, out of order and with changed ids. So everything that is applied is a fact
of one delivery that can only become true, the earliest cause of a suppression, or a no that is said
once; and sums move with new facts only: the same events in whatever order and repetition leave the
same state.

``meaning``  what an event says of a delivery, of its mailbox and of its person
``belonging`` which of them are about our own mail and our own people
``storing``  events as rows, without anything personal; the ones that couldn't be read
``facts``    what became of deliveries, and the sums
``taking``   what takes a permission away: bounces, complaints, people who leave
``soft``     mailboxes that refuse for the time being, again and again
``applying`` all of it together, in slices that hold nobody up
"""

from mailprefs.events.applying import Applied, Slice, decide_again, slices, store_and_apply
from mailprefs.events.storing import (
    last_received,
    malformed,
    set_aside,
    tracking_seen,
)

__all__ = [
    "Applied",
    "Slice",
    "decide_again",
    "last_received",
    "malformed",
    "set_aside",
    "slices",
    "store_and_apply",
    "tracking_seen",
]
