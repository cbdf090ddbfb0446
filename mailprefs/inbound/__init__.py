"""Mail that people write to us: what it asks for, what comes of it, and where it is kept.

A link's token in it is that person's choice. Everything else is kept, forwarded to whoever answers
for this installation, and listed for the privacy role; none of it changes anything by itself.
"""

from mailprefs.inbound.asking import Wish, wish_of
from mailprefs.inbound.forwarding import TEMPLATE, Unforwarded, unforwarded
from mailprefs.inbound.keeping import Shown, handle, listed, look_at, waiting
from mailprefs.inbound.reporting import report_child, reported_address
from mailprefs.inbound.taking import Desk, Taken, take

__all__ = [
    "TEMPLATE",
    "Desk",
    "Shown",
    "Taken",
    "Unforwarded",
    "Wish",
    "handle",
    "listed",
    "look_at",
    "report_child",
    "reported_address",
    "take",
    "unforwarded",
    "waiting",
    "wish_of",
]
