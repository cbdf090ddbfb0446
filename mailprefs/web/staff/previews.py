"""What one person would get: the render path of the send, with links that do nothing."""

from typing import Final, NamedTuple

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from mailprefs import recipients
from mailprefs.campaigns import testing
from mailprefs.errors import MailprefsError, NotFound
from mailprefs.policy import Role
from mailprefs.rendering.person import Person, Rendered
from mailprefs.web import auth
from mailprefs.web.current import here

CONTENT_SECURITY_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: https:; "
    "frame-ancestors 'self'"
)
"""A message has inline styles and pictures of its own; it runs nothing and sends nothing."""
# Beside the message, not in it: a press on a link inside the frame leads nowhere.
_STILL: Final = "<style>a{pointer-events:none}</style>"
_EXAMPLE, _NAMELESS = "example", "nameless"

routes = Blueprint("previews", __name__, url_prefix="/campaigns")


class Previewed(NamedTuple):
    """A message as one person would get it; ``trouble`` where it can't be made for them."""

    key: str
    who: str
    rendered: Rendered | None
    trouble: str | None


@routes.get("/<int:campaign_id>/preview")
@auth.only()
def show(campaign_id: int) -> Response:
    """Give the message's HTML alone, for the frame on the campaign's page."""
    parts = here()
    with parts.db.reading() as session:
        found = previewed(session, campaign_id, request.args.get("person", ""))
    html = found.rendered.html if found.rendered else ""
    response = Response(html + _STILL, content_type="text/html; charset=utf-8")
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
    with parts.db.reading() as session:
        found = recipients.find(session, parts.hasher, request.form.get("address", ""))
    if found is None:
        raise NotFound("Nobody has that address, so there is nobody’s message to show.")
    where = url_for("staff.campaigns.show", campaign_id=campaign_id, person=found.id)
    return redirect(f"{where}#message", code=303)


def previewed(session: Session, campaign_id: int, key: str) -> Previewed:
    """Give the message for whom *key* names: an example, somebody without a name, or a number.

    A person's own words are for those who write and send; everybody else sees the example's.
    """
    who, person = _person(session, key)
    try:
        rendered = testing.shown_to(session, here().links, campaign_id, person)
    except NotFound:
        raise
    except MailprefsError as error:
        return Previewed(key, who, None, str(error))
    return Previewed(key, who, rendered, None)


def _person(session: Session, key: str) -> tuple[str, Person]:
    may_see_people = auth.member().holds(Role.DRAFT, Role.SEND, Role.APPROVE)
    if key == _NAMELESS:
        found = testing.first_without(session, "first_name") if may_see_people else None
        return "somebody whose first name we don’t know", found or testing.NAMELESS
    if key.isdecimal() and may_see_people:
        return f"recipient {key}", testing.person_by_id(session, int(key))
    return "Ada Example, who doesn’t exist", testing.EXAMPLE
