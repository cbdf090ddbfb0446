"""Times as people read them, the same on pages, in mails and at the console: with their zone."""

from datetime import datetime
from zoneinfo import ZoneInfo


def lasting(seconds: float) -> str:
    """Write how long something lasts: ``45 s``, ``1 d 3 h 20 min``; seconds below an hour only."""
    days, rest = divmod(round(max(seconds, 1)), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (0 if days or hours else left, "s"))
    return " ".join(f"{n} {unit}" for n, unit in parts if n)


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
