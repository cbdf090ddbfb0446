"""Whom a member of staff may look at: who was found by exact address just now, and nobody else.

To find somebody is a POST, and stands in the audit: who looked, at whom, when. The signed session
then names that one person for a while. So pages about people can't be walked by number.
"""

from datetime import datetime, timedelta
from typing import Final

from flask import session as browser
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.web import auth

LASTS: Final = timedelta(minutes=15)
"""How long one look holds, until the address is asked for again."""
PERSON: Final = "person"
"""A look at where somebody stands."""
PREVIEW: Final = "preview"
"""A look at the message that somebody would get."""
MAIL: Final = "mail"
"""A look at a mail that somebody wrote to us."""
_KEY: Final = "mailprefs_looking_at"
# What is looked at by its own number; all else is looked at because of a recipient.
_NOTED: Final = {MAIL: ("inbound_mail", "inbound_mail.opened")}


def begin(session: Session, what: str, number: int, now: datetime, **details: object) -> None:
    """Note that whoever asks looks at one person, in the caller's transaction, and let them.

    *number* is the recipient's, or, of a mail to us, its own.
    """
    kind, action = _NOTED.get(what, ("recipient", "recipient.looked_up"))
    audit.record(session, auth.actor(), action, (kind, number), now=now, details=details)
    until = (now + LASTS).timestamp()
    browser[_KEY] = {**browser.get(_KEY, {}), what: [auth.member().id, number, until]}


def is_at(what: str, number: int, now: datetime) -> bool:
    """Tell whether whoever asks has found this person, or opened this mail, lately."""
    who, found, until = browser.get(_KEY, {}).get(what, (None, None, 0.0))
    is_theirs = (who, found) == (auth.member().id, number)
    return is_theirs and now.timestamp() < float(until)
