"""Times as people read them, the same on pages, in mails and at the console: with their zone."""

from datetime import datetime
from zoneinfo import ZoneInfo


def written(instant: datetime, zone: str = "UTC", *, seconds: bool = False) -> str:
    """Write an instant as it is told in an IANA *zone*: ``22 Nov 2026, 15:05 CET``.

    A zone without letters of its own is named by its distance: ``22 Nov 2026, 11:05 UTC-03``.
    """
    local = instant.astimezone(ZoneInfo(zone))
    name = local.tzname() or ""
    if not name.isalpha():
        name = f"UTC{name}"
    clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    return f"{local.day} {local:%b %Y}, {clock} {name}"
