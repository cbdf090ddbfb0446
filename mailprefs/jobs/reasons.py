"""Why something can't be done: a sentence for a person to read, and a line for the log.

What the log gets is an error's kind and place, never its text, which may hold what no log may.
"""

import logging
import traceback

from mailprefs.errors import MailprefsError


def reason(log: logging.Logger, what: str, sentence: str, error: BaseException) -> str:
    """Give the error's own sentence; for one without, log it and give *sentence* with its kind."""
    if isinstance(error, MailprefsError):
        return str(error)
    complain(log, f"{what} broke off", error)
    return sentence.format(type(error).__name__)


def complain(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log an error's kind and place."""
    *_, last = traceback.extract_tb(error.__traceback__)
    log.error("%s: %s at %s:%s", what, type(error).__name__, last.filename, last.lineno)
