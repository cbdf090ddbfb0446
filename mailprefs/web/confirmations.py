"""The link in a confirmation mail: asking shows a button, and only the button signs anybody up.

Programs that open every link of a mail (scanners, previews) so confirm nothing.
"""

from typing import Final, NamedTuple

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session

from mailprefs import subscriptions
from mailprefs.db.database import Gate
from mailprefs.errors import BadToken
from mailprefs.languages import gettext_noop
from mailprefs.links import CONFIRM_PREFIX, ConfirmLink
from mailprefs.policy import MessageClass, Source
from mailprefs.preferences import Door, signing_up
from mailprefs.schema.people import Topic
from mailprefs.web import standing
from mailprefs.web.current import here
from mailprefs.web.request_log import note
from mailprefs.web.sign_up import policy_version
from mailprefs.web.speaking import gettext

_ASKS: Final = gettext_noop(
    "Do you want this at %(address)s? You can end it at any time, by a link in each message."
)
_DONE: Final = gettext_noop(
    "From now on you get this. We also mail you a link to your settings, the first time."
)
_NOTHING: Final = gettext_noop(
    "You may have said yes already, or the link is older than three days. To get a new one, sign "
    "up again."
)
_METHOD: Final = "confirmation_link"

routes = Blueprint("confirmations", __name__)


class _View(NamedTuple):
    """What the pages of a link show: who, what waits, and what holds mail back."""

    link: ConfirmLink
    masked: str
    topics: tuple[Topic, ...]
    held_back: str | None
    policy: str | None
    sender_name: str | None


@routes.get(f"{CONFIRM_PREFIX}<token:token>")
def show(token: str) -> Response:
    """Show what waits and the button; asking changes nothing."""
    link = _read(token)
    with here().db.reading() as session:
        view = _view(session, link) if link else None
    if view is None:
        return make_response(render_template("public/damaged.html"))
    if not view.topics:
        return _nothing(view)
    return _page(
        view,
        gettext("One more step"),
        gettext(_ASKS, address=view.masked),
        path=here().links.confirm_path(*view.link),
    )


@routes.post(f"{CONFIRM_PREFIX}<token:token>")
def confirm(token: str) -> Response:
    """Subscribe the mailbox's owner to what the page listed; a second time changes nothing.

    :raises StoreUnavailable: when it could not be stored.
    """
    parts, link, listed = here(), _read(token), set(request.form.getlist("topic"))
    now, view = parts.clock(), None
    with parts.db.transaction(Gate.TAKING) as session:
        if link is not None:
            view = _view(session, link)
        if view is not None:
            taken = tuple(one for one in view.topics if one.slug in listed)
            view = view._replace(topics=taken)
            door = Door(Source.SIGN_UP, _METHOD)
            ids = [one.id for one in taken]
            signing_up.confirm(session, view.link.recipient_id, ids, door, now=now)
    if view is None:
        return make_response(render_template("public/damaged.html"))
    if not view.topics:
        return _nothing(view)
    return _page(view, gettext("You are signed up"), gettext(_DONE))


def _read(token: str) -> ConfirmLink | None:
    try:
        link = here().links.read_confirm(token)
    except BadToken:
        return None
    note(recipient=link.recipient_id)
    return link


def _view(session: Session, link: ConfirmLink) -> _View | None:
    """Give what the page shows; None for somebody who is gone, no topics once it is over."""
    parts = here()
    now = parts.clock()
    person = standing.of(session, link.recipient_id, parts.settings, now=now)
    if person is None:
        return None
    waits: set[int] = set()
    if now.timestamp() <= link.until:
        waits = {one.topic_id for one in signing_up.waiting(session, link.recipient_id, now)}
    promotional = subscriptions.topics(session, MessageClass.PROMOTIONAL)
    topics = tuple(one for one in promotional if one.id in waits)
    return _View(
        link=link,
        masked=person.masked,
        topics=topics,
        held_back=person.held_back,
        policy=policy_version(session),
        sender_name=standing.sender_name(session, topics[0].id) if topics else None,
    )


def _nothing(view: _View) -> Response:
    """Say that nothing waits: confirmed already, or over."""
    bare = view._replace(topics=(), held_back=None)
    return _page(bare, gettext("Nothing waits for your yes"), gettext(_NOTHING))


def _page(view: _View, heading: str, sentence: str, path: str | None = None) -> Response:
    return make_response(
        render_template(
            "public/confirm.html",
            heading=heading,
            sentence=sentence,
            topics=view.topics,
            held_back=view.held_back,
            policy=view.policy,
            sender_name=view.sender_name,
            path=path,
        )
    )
