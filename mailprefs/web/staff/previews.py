"""What one person would get: the render path of the send, with links that do nothing.

Whose message it is, is chosen by exact address, stands in the audit, and holds for a while
(``looking``); everybody else sees an example's.
"""

from typing import Final, NamedTuple

from flask import Blueprint, Response, redirect, request, url_for
from markupsafe import escape
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from mailprefs import recipients
from mailprefs.campaigns import testing
from mailprefs.errors import MailprefsError, NotFound
from mailprefs.policy import Role
from mailprefs.rendering.person import Rendered
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff import looking

CONTENT_SECURITY_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: https:; "
    "frame-ancestors 'self'"
)
"""A message has inline styles and pictures of its own; it runs nothing and sends nothing."""
# Beside the message, not in it: a press on a link inside the frame leads nowhere.
_STILL: Final = "<style>a{pointer-events:none}</style>"
_NAMELESS: Final = "nameless"
_ASK_FIRST: Final = (
    "Enter the exact address of the person whose message you want to see. It is then shown for "
    f"{looking.LASTS.seconds // 60} minutes, and each look stands in the audit."
)

routes = Blueprint("previews", __name__, url_prefix="/campaigns")


class Previewed(NamedTuple):
    """A message as one person would get it; ``trouble`` where it can't be made for them.

    ``is_refused``: because whoever asks hasn't found that person.
    """

    key: str
    who: str
    rendered: Rendered | None
    trouble: str | None
    is_refused: bool = False


@routes.get("/<int:campaign_id>/preview")
@auth.only()
def show(campaign_id: int) -> Response:
    """Give the message's HTML alone, for the frame on the campaign's page, or why there is none."""
    parts = here()
    with parts.db.reading() as session:
        found = previewed(session, campaign_id, request.args.get("person", ""))
    html = found.rendered.html if found.rendered else f"<p>{escape(found.trouble or '')}</p>"
    response = Response(html + _STILL, content_type="text/html; charset=utf-8")
    if found.is_refused:
        response.status_code = 404
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


@routes.post("/<int:campaign_id>/preview")
@auth.only(Role.DRAFT, Role.SEND, Role.APPROVE)
def choose(campaign_id: int) -> BaseResponse:
    """Choose whose words to use, by address; the page's own address holds a number only.

    :raises BadAddress: for a text that is no address.
    :raises NotFound: for nobody's.
    """
    parts = here()
    with parts.db.transaction() as session:
        found = recipients.find(session, parts.hasher, request.form.get("address", ""))
        if found is not None:
            now = parts.clock()
            looking.begin(session, looking.PREVIEW, found.id, now, campaign=campaign_id)
    if found is None:
        raise NotFound("Nobody has that address, so there is nobody’s message to show.")
    where = url_for("staff.campaigns.show", campaign_id=campaign_id, person=found.id)
    return redirect(f"{where}#message", code=303)


def previewed(session: Session, campaign_id: int, key: str) -> Previewed:
    """Give the message for whom *key* names: an example, somebody without a name, or a number.

    A person's own words are for those who write and send, once they have found that person;
    everybody else sees the example's.
    """
    person, who = testing.EXAMPLE, "Ada Example, who doesn’t exist"
    if key == _NAMELESS:
        person, who = testing.NAMELESS, "somebody whose first name we don’t know"
    elif key.isdecimal() and auth.member().holds(Role.DRAFT, Role.SEND, Role.APPROVE):
        if not looking.is_at(looking.PREVIEW, int(key), here().clock()):
            return Previewed("", "", None, _ASK_FIRST, is_refused=True)
        person, who = testing.person_by_id(session, int(key)), f"recipient {key}"
    try:
        rendered = testing.shown_to(session, here().links, campaign_id, person)
    except NotFound:
        raise
    except MailprefsError as error:
        return Previewed(key, who, None, str(error))
    return Previewed(key, who, rendered, None)
