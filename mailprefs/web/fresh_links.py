"""A fresh link to one's preferences, mailed to whoever has the address, and told to nobody else.

The answer is the same for an address that we know and for one that we don't. One message an hour
goes to an address at most, however often and by whomever it is asked for.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request
from sqlalchemy.orm import Session

from mailprefs import recipients
from mailprefs.deliveries import single
from mailprefs.errors import BadAddress, Conflict
from mailprefs.languages import gettext_noop
from mailprefs.web.current import here
from mailprefs.web.errors import in_words, trouble
from mailprefs.web.parts import Parts
from mailprefs.web.speaking import gettext
from mailprefs.web.visitors import TOO_OFTEN, Allowance, visitor

TEMPLATE: Final = "fresh_link"
MOST: Final = 20
"""How often one visitor may ask within WINDOW; an address gets one message in it."""
WINDOW: Final = timedelta(hours=1)

_EXTENSION: Final = "mailprefs_fresh_links"
_SENT: Final = gettext_noop(
    "If the address is one that we write to, a fresh link is on its way to it. It may take a few "
    "minutes; please look in the spam folder, too."
)

log = logging.getLogger("mailprefs.web")
routes = Blueprint("fresh_links", __name__)


def install(app: Flask, parts: Parts) -> None:
    """Count requests of *app*'s visitors from now on, in this process."""
    app.extensions[_EXTENSION] = Allowance(MOST, WINDOW, parts.clock)


@routes.get("/fresh-link")
def ask() -> Response:
    """Show the form."""
    sentence = gettext("Enter your address, and we mail you a link to your e-mail choices.")
    return _page(gettext("Your e-mail choices"), sentence, shows_form=True)


@routes.post("/fresh-link")
def send() -> Response:
    """Queue one message, if the address is known; say the same if it isn't.

    :raises StoreUnavailable: when it could not be queued.
    """
    parts = here()
    allowance: Allowance = current_app.extensions[_EXTENSION]
    if not allowance.take(visitor(request.environ, parts.settings)):
        response = _page(gettext("A little too often"), gettext(TOO_OFTEN), shows_form=False)
        response.status_code = 429
        return response
    try:
        with parts.db.transaction() as session:
            _queue(session, parts, request.form.get("address", ""), parts.clock())
    except BadAddress as error:
        response = _page(gettext("Please check the address"), in_words(error), shows_form=True)
        response.status_code = 400
        return response
    except Conflict as error:
        # Something is missing here, and only staff can help. To say so would tell a stranger that
        # the address is one that we know.
        trouble(error)
        log.warning("A fresh link could not be queued. %s", error)
    return _page(gettext("Look into your mailbox"), gettext(_SENT), shows_form=False)


def _queue(session: Session, parts: Parts, address: str, now: datetime) -> None:
    """Queue the message, unless nobody has the address or it was queued within the last hour."""
    person = recipients.find(session, parts.hasher, address)
    if person is not None:
        single.queue_unless_lately(session, TEMPLATE, person.id, {}, WINDOW, now=now)


def _page(heading: str, sentence: str, *, shows_form: bool) -> Response:
    return make_response(
        render_template(
            "public/fresh_link.html", heading=heading, sentence=sentence, shows_form=shows_form
        )
    )
