"""Asking on the preference page to have one's data, or to be erased: a link is mailed.

It goes to the mailbox on file. Who has a forwarded message has the page, so the page does nothing
but ask.
"""

import logging
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from mailprefs.errors import Conflict
from mailprefs.languages import gettext_noop
from mailprefs.links import PreferencesLink
from mailprefs.policy import DataRequest
from mailprefs.preferences import Applied
from mailprefs.privacy import requests
from mailprefs.web.current import here
from mailprefs.web.errors import trouble
from mailprefs.web.speaking import gettext
from mailprefs.web.standing import Told

_SENT: Final = {
    DataRequest.EXPORT: gettext_noop(
        "A message with a link to your data is on its way to your address, once a day at most. "
        "Please look in the spam folder, too."
    ),
    DataRequest.ERASE: gettext_noop(
        "A message with a link is on its way to your address, once a day at most. Nothing is "
        "erased before you open the link and say yes. Please look in the spam folder, too."
    ),
}
_NOT_NOW: Final = gettext_noop(
    "That isn’t possible just now. Please come back later, or write to us."
)

log = logging.getLogger("mailprefs.web")


def export(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Mail the link by which the person gets all that is stored about them."""
    return _ask(session, link, DataRequest.EXPORT, now)


def erase(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Mail the link that erases the person."""
    return _ask(session, link, DataRequest.ERASE, now)


def _ask(
    session: Session, link: PreferencesLink, kind: DataRequest, now: datetime
) -> tuple[Applied, Told]:
    """Mail the link for *kind*; say the same if one went within the day."""
    parts = here()
    try:
        with session.begin_nested():
            requests.ask(
                session, parts.links, parts.settings.base_url, link.recipient_id, kind, now=now
            )
    except Conflict as error:
        # Something isn't set up yet, which is for staff to read.
        trouble(error)
        log.warning("A link for a data request could not be queued. %s", error)
        return Applied(is_known=True), Told(gettext("Not yet"), gettext(_NOT_NOW))
    return Applied(is_known=True), Told(gettext("Look into your mailbox"), gettext(_SENT[kind]))
