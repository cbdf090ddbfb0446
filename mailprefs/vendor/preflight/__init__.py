"""Refuse, before any network, what the vendor would refuse or what would be unsafe to send.

The vendor answers one bad value with a refusal of the whole request, and some mistakes (a value
that isn't a string, a header that it overwrites) with a sentence that helps nobody. These rules are
those of its OpenAPI document, of its published list of errors, and a few of ours where it would
accept something dangerous. They work on the parsed request, so that the sandbox asks the same.
"""

from datetime import UTC, datetime

from mailprefs import errors
from mailprefs.vendor.preflight.request import faults


def check(request: object, *, now: datetime | None = None) -> None:
    """Pass a parsed Mail Send v3 request, or say what the vendor would refuse in it.

    *now* is the clock that a ``send_at`` is held against; the computer's, if not given.

    :raises Preflight: with the first broken rule and its place; never with a value of the request.
    """
    for fault in faults(request, now=now or datetime.now(UTC)):
        raise errors.Preflight(fault.sentence)
