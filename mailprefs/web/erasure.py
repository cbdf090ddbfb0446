"""The link by which somebody has everything about them erased: asking shows a button, no more.

The link was mailed to the address on file and is good once, so neither a forwarded message of ours
nor a program that opens links can erase anybody (``privacy.requests``).
"""

from typing import Final

from flask import Blueprint, Response

from mailprefs import privacy
from mailprefs.audit import Actor
from mailprefs.db.database import Gate
from mailprefs.jobs.in_flight import wait_for_calls
from mailprefs.languages import gettext_noop
from mailprefs.links import REQUEST_PREFIXES
from mailprefs.policy import DataRequest, Source
from mailprefs.privacy import requests
from mailprefs.web import mailed, standing
from mailprefs.web.current import here
from mailprefs.web.request_log import note
from mailprefs.web.speaking import gettext

KIND: Final = DataRequest.ERASE
PREFIX: Final = REQUEST_PREFIXES[KIND]
BY_THEMSELVES: Final = Actor(None, "page")
"""Who stands in the audit: a person erased themselves, and it names nobody."""

_ERASED: Final = gettext_noop(
    "Nothing of you is left here but a fingerprint of your address, which nobody can read and "
    "which keeps it off our lists. The company that carries our mail erases it too, and no mail of "
    "ours reaches you any more. You can sign up again at any time."
)
_PUT_OFF: Final = gettext_noop(
    "No mail of ours reaches you any more. The law obliges us to keep what is about you for now; "
    "it is erased as soon as that ends, and you need not do anything more."
)

routes = Blueprint("erasure", __name__)


@routes.get(f"{PREFIX}<token:token>")
def show(token: str) -> Response:
    """Show what would be erased and the button; asking changes nothing and uses nothing up."""
    return mailed.show(KIND, token, "erase")


@routes.post(f"{PREFIX}<token:token>")
def erase(token: str) -> Response:
    """Use the link up and erase its person everywhere; in force when this answers.

    :raises StoreUnavailable: when it could not be done.
    """
    parts, nonce, done = here(), mailed.read(KIND, token), None
    if nonce is not None:
        asked = privacy.Asked(Source.PREFERENCES, BY_THEMSELVES, parts.hasher)
        with parts.db.transaction(Gate.TAKING) as session:
            number = requests.redeem(session, KIND, nonce, now=parts.clock())
            if number is not None:
                note(recipient=number)
                standing.find(session, number)
                done = privacy.erase(session, number, asked, now=parts.clock())
    if done is None:
        return mailed.over()
    wait_for_calls(parts.db, done.calls)
    if done.id is None:
        return mailed.page(
            "erased", heading=gettext("We have noted it"), sentence=gettext(_PUT_OFF)
        )
    heading = gettext("Everything about you is erased")
    return mailed.page("erased", heading=heading, sentence=gettext(_ERASED))
