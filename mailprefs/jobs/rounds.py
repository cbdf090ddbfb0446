"""Do something now and then for as long as the process lives, whatever goes wrong with it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from logging import Logger
from typing import Final
from zoneinfo import ZoneInfo

from mailprefs.errors import MailprefsError

NIGHT: Final = timedelta(hours=20)
"""What is done each night isn't done again before so long has passed."""
_LOOK_EVERY: Final = timedelta(minutes=10)


def go(
    once: Callable[[], object],
    stop: threading.Event,
    *,
    every: timedelta,
    log: Logger,
    trouble: str,
) -> None:
    """Do *once* and again *every* so often until *stop* is set; what goes wrong is tried again.

    *trouble* says in the log what doesn't happen now. A thread that died would leave it undone for
    ever, and nobody would see it.
    """
    while not stop.is_set():
        try:
            once()
        except MailprefsError as error:
            log.warning("%s %s", trouble, error)
        except Exception as error:  # noqa: BLE001 - told by its class only: the text may hold anything
            log.error("%s %s", trouble, type(error).__name__)  # noqa: TRY400 - as above
        stop.wait(every.total_seconds())


def each_night(
    once: Callable[[], object], stop: threading.Event, *, log: Logger, trouble: str
) -> None:
    """Do *once* every few minutes, which does something when a night's work is due; else as ``go``.

    Not as soon as the process starts: other work is waiting then.
    """
    if not stop.wait(_LOOK_EVERY.total_seconds()):
        go(once, stop, every=_LOOK_EVERY, log=log, trouble=trouble)


def is_night(now: datetime, zone: str, *, hour: int) -> bool:
    """Tell whether *hour* has struck in an IANA *zone*: from then on a night's work is due."""
    return now.astimezone(ZoneInfo(zone)).hour >= hour
