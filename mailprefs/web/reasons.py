"""Asking why somebody left: after the fact, if they care to say, and never kept with their name."""

from datetime import datetime, timedelta
from typing import Final

from flask import request
from sqlalchemy.orm import Session

from mailprefs.errors import BadInput
from mailprefs.languages import gettext_noop
from mailprefs.policy import LeavingReason
from mailprefs.preferences import reasons
from mailprefs.web.current import here
from mailprefs.web.speaking import gettext
from mailprefs.web.standing import Told

WORDS: Final = {
    LeavingReason.TOO_MANY: gettext_noop("Too many mails"),
    LeavingReason.NOT_RELEVANT: gettext_noop("Not about what interests me"),
    LeavingReason.NEVER_SIGNED_UP: gettext_noop("I never signed up for this"),
    LeavingReason.OTHER: gettext_noop("Something else"),
}
"""Why somebody left, in the words of the page."""


def offered() -> list[tuple[str, str]]:
    """List the reasons as the page shows them: the word, and what it says."""
    return [(reason.value, gettext(text)) for reason, text in WORDS.items()]


def asked() -> LeavingReason:
    """Give the reason that the form says.

    :raises BadInput: for none that the page offers.
    """
    word = request.form.get("why", "")
    if word not in list(LeavingReason):
        raise BadInput(gettext_noop("Choose one of the reasons; nothing was counted yet."))
    return LeavingReason(word)


def count(session: Session, recipient_id: int, reason: LeavingReason, now: datetime) -> bool:
    """Count why somebody left, as long as their leaving can be undone; tell whether it counts."""
    settings = here().settings
    window = timedelta(seconds=settings.undo_window)
    return reasons.give(
        session, recipient_id, reason, now=now, window=window, zone=settings.time_zone
    )


def told(*, is_counted: bool) -> Told:
    """Say what became of an answer."""
    if not is_counted:
        return Told(gettext("Nothing was changed"), gettext("There was nothing left to do."))
    return Told(
        gettext("Thank you for telling us"),
        gettext("We count your answer, and don’t keep who gave it."),
    )
