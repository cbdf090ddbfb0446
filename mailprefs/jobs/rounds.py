"""Do something now and then for as long as the process lives, whatever goes wrong with it."""

import threading
from collections.abc import Callable
from datetime import timedelta
from logging import Logger

from mailprefs.errors import MailprefsError


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
