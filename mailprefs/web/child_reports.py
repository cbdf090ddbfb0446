"""Telling us that an address is a child's: anybody may, with or without a link of a message.

It erases nothing: a person looks at it first (``inbound.reporting``). The answer is the same for
every address.
"""

from datetime import timedelta
from typing import Final

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request

from mailprefs import inbound
from mailprefs.errors import BadAddress
from mailprefs.languages import gettext_noop
from mailprefs.web.current import here
from mailprefs.web.errors import in_words
from mailprefs.web.inbound import desk
from mailprefs.web.parts import Parts
from mailprefs.web.speaking import gettext
from mailprefs.web.visitors import TOO_OFTEN, Allowance, visitor

PATH: Final = "/report-a-child"
MOST: Final = 20
"""How often one visitor may report within WINDOW."""
WINDOW: Final = timedelta(hours=1)

_EXTENSION: Final = "mailprefs_child_reports"
_WHY: Final = gettext_noop(
    "Our mail isn’t meant for children under 13, and we keep nothing of a child’s once we know of "
    "it. Tell us the address, and a person looks at it."
)
_SENT: Final = gettext_noop(
    "If the address is a child’s, everything that we keep about it is deleted. Until then nothing "
    "changes, and no message about it goes to the address."
)

routes = Blueprint("child_reports", __name__)


def install(app: Flask, parts: Parts) -> None:
    """Count the reports of *app*'s visitors from now on, in this process."""
    app.extensions[_EXTENSION] = Allowance(MOST, WINDOW, parts.clock)


@routes.get(PATH)
def ask() -> Response:
    """Show the form."""
    return _page(gettext("Report a child’s address"), gettext(_WHY), shows_form=True)


@routes.post(PATH)
def report() -> Response:
    """Keep the report for the privacy role; say the same whoever has the address.

    :raises StoreUnavailable: when it could not be stored.
    """
    parts = here()
    allowance: Allowance = current_app.extensions[_EXTENSION]
    if not allowance.take(visitor(request.environ, parts.settings)):
        return _page(gettext("A little too often"), gettext(TOO_OFTEN), status=429)
    try:
        with parts.db.transaction() as session:
            address = request.form.get("address", "")
            inbound.report_child(session, desk(parts), address, now=parts.clock())
    except BadAddress as error:
        heading = gettext("Please check the address")
        return _page(heading, in_words(error), shows_form=True, status=400)
    return _page(gettext("Thank you: a person looks at it"), gettext(_SENT))


def _page(heading: str, sentence: str, *, shows_form: bool = False, status: int = 200) -> Response:
    response = make_response(
        render_template(
            "public/child_report.html", heading=heading, sentence=sentence, shows_form=shows_form
        )
    )
    response.status_code = status
    return response
