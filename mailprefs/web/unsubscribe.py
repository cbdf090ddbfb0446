"""Leaving by the link of a message: at once by POST, and never by anything else.

POST is RFC 8058's one click as well as the button of the page. The token is the authority: no
cookie, no sign-in, no form check, any body in any encoding or none, and no limit on how often
(section 3.2 of the RFC: the receiver sends no context along). The answer is 200 only after the
commit, and when no request with this person can begin any more; 503 tells a mail provider to try
again. A link that isn't ours, and one whose person is
gone, get the same answer as a good one and change nothing.

What comes after on the page may only take back what this link did, or stop more: whoever holds a
forwarded message can't sign its owner up for anything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from mailprefs import preferences
from mailprefs.db.database import Gate
from mailprefs.errors import BadToken, StoreUnavailable
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.languages import gettext_noop
from mailprefs.links import UNSUBSCRIBE_PREFIX, UnsubscribeLink
from mailprefs.policy import Purpose, Source
from mailprefs.preferences import Applied, Click, Door
from mailprefs.settings import OneClickScope
from mailprefs.web import reasons, standing
from mailprefs.web.current import here
from mailprefs.web.errors import trouble
from mailprefs.web.request_log import note
from mailprefs.web.speaking import gettext, language
from mailprefs.web.standing import Standing, Told

ONE_CLICK_ANSWER: Final = (
    "Received. If this link is ours, its address gets no more of this mail from now on.\n"
)
"""What a mail provider gets, whatever the link is worth."""
FROM_PAGE: Final = "page"
"""The form field of our own page; without it the answer is short."""
STOP_MEASURING: Final = gettext_noop(
    "We can see whether a message to you was opened, to learn which mails are worth sending."
)
KEEP: Final = gettext_noop("Pick what you would still like to get; the rest stays off.")

routes = Blueprint("unsubscribe", __name__)


class _View(NamedTuple):
    """What the pages of one link show."""

    link: UnsubscribeLink
    person: Standing
    sender_name: str | None
    ends: str | None


class _Chosen(NamedTuple):
    """What came of a choice."""

    link: UnsubscribeLink
    has_changed: bool


@routes.get(f"{UNSUBSCRIBE_PREFIX}<token:token>")
def show(token: str) -> Response:
    """Show the button, or that the person has left already; asking changes nothing."""
    view = _seen(token)
    if view is None:
        return _damaged()
    return _out_page(view) if _is_out(view) else _page(view, "unsubscribe")


@routes.post(f"{UNSUBSCRIBE_PREFIX}<token:token>")
def leave(token: str) -> Response:
    """End promotional mail, in force when this answers 200.

    :raises StoreUnavailable: when it could not be stored, for whatever reason.
    """
    if not _is_from_page():
        _leave_at_one_click(token)
        return Response(ONE_CLICK_ANSWER, content_type="text/plain; charset=utf-8")

    def opt_out(session: Session, link: UnsubscribeLink, now: datetime) -> Applied:
        door, scope = _door(link, Source.PAGE, "button"), here().settings.one_click_scope
        return preferences.opt_out(
            session, link.recipient_id, link.topic_id, door, scope=scope, now=now
        )

    chosen = _chosen(token, opt_out)
    if chosen:
        wait_for_requests(here().db, chosen.link.recipient_id)
    view = _view(chosen.link) if chosen else None
    return _damaged() if view is None else _out_page(view)


@routes.post(f"{UNSUBSCRIBE_PREFIX}<token>/undo")
def undo(token: str) -> Response:
    """Take back what the person's leaving changed, for a day after it."""

    def take_back(session: Session, link: UnsubscribeLink, now: datetime) -> Applied:
        window = timedelta(seconds=here().settings.undo_window)
        door = _door(link, Source.PAGE, "button")
        return preferences.undo(session, link.recipient_id, door, now=now, window=window)

    return _after(token, take_back, gettext_noop("Undone: everything is as it was before"))


@routes.post(f"{UNSUBSCRIBE_PREFIX}<token>/keep")
def keep(token: str) -> Response:
    """Keep some of the topics that the leaving ended, for as long as it could be undone."""
    picked = set(request.form.getlist("topic"))

    def take_up(session: Session, link: UnsubscribeLink, now: datetime) -> Applied:
        person = standing.of(session, link.recipient_id, here().settings, now=now)
        if person is None or person.undo_until is None:
            return Applied(is_known=True)
        kept = [topic.id for topic in person.ended if topic.slug in picked]
        words = standing.shown(session, Purpose.PROMOTIONAL_EMAIL, KEEP) if kept else None
        door = _door(link, Source.PAGE, "ticked_checkbox")._replace(wording=words)
        return preferences.keep_topics(session, link.recipient_id, kept, door, now=now)

    return _after(token, take_up, gettext_noop("Saved: you keep what you picked, and nothing else"))


@routes.post(f"{UNSUBSCRIBE_PREFIX}<token>/stop-measuring")
def stop_measuring(token: str) -> Response:
    """Stop measuring whether the person opens messages; a choice apart from all others."""

    def refuse(session: Session, link: UnsubscribeLink, now: datetime) -> Applied:
        words = standing.shown(session, Purpose.OPEN_TRACKING, STOP_MEASURING)
        door = _door(link, Source.PAGE, "button")._replace(wording=words)
        return preferences.set_tracking(session, link.recipient_id, door, granted=False, now=now)

    return _after(token, refuse, gettext_noop("Saved: your opens aren’t measured any more"))


@routes.post(f"{UNSUBSCRIBE_PREFIX}<token>/why")
def say_why(token: str) -> Response:
    """Count why the person left, which changes nothing else.

    :raises BadInput: for a reason that the page doesn't offer.
    """
    reason, counted = reasons.asked(), list[bool]()

    def count(session: Session, link: UnsubscribeLink, now: datetime) -> Applied:
        counted.append(reasons.count(session, link.recipient_id, reason, now))
        return Applied(is_known=True)

    chosen = _chosen(token, count)
    view = _view(chosen.link) if chosen else None
    if view is None:
        return _damaged()
    return _where(view, reasons.told(is_counted=any(counted)))


def _leave_at_one_click(token: str) -> None:
    """End promotional mail for whom a mail provider says so, with all who leave at this moment.

    :raises StoreUnavailable: when it could not be stored.
    """
    parts = here()
    link = _read(token)
    if link is None:
        return
    # No page was shown, so there is no language.
    door = Door(Source.ONE_CLICK, "post_one_click", delivery_id=link.delivery_id)
    scope = parts.settings.one_click_scope
    click = Click(link.recipient_id, link.topic_id, door, scope, parts.clock())
    with _stored():
        applied = parts.db.taking(preferences.opt_out_each, click)
    if applied.is_known:
        wait_for_requests(parts.db, link.recipient_id)


_Choose = Callable[[Session, UnsubscribeLink, datetime], Applied]


def _chosen(token: str, choose: _Choose) -> _Chosen | None:
    """Make a choice and commit it; give what came of it, None for a link worth nothing.

    :raises StoreUnavailable: when it could not be stored.
    """
    parts = here()
    link = _read(token)
    if link is None:
        return None
    now = parts.clock()
    with _stored(), parts.db.transaction(Gate.TAKING) as session:
        # Held by a name, so that the session knows the person and isn't read for them again.
        person = standing.find(session, link.recipient_id)
        if person is None:
            return None
        applied = choose(session, link, now)
    return _Chosen(link, applied.has_changed)


@contextmanager
def _stored() -> Iterator[None]:
    """Let nobody be told anything but "try again" where a choice could not be stored.

    :raises StoreUnavailable: whatever went wrong: somebody asked to leave.
    """
    try:
        yield
    except StoreUnavailable:
        raise
    except Exception as error:
        trouble(error)
        raise StoreUnavailable("A choice could not be stored, and was not acknowledged.") from error


def _read(token: str) -> UnsubscribeLink | None:
    """Give what a link says, noted for the log; None for one worth nothing."""
    try:
        link = here().links.read_unsubscribe(token)
    except BadToken:
        return None
    note(recipient=link.recipient_id, delivery=link.delivery_id)
    return link


def _seen(token: str) -> _View | None:
    """Give what the page of a link shows; None for a link worth nothing."""
    link = _read(token)
    return _view(link) if link else None


def _view(link: UnsubscribeLink) -> _View | None:
    """Give what the page shows of the person; None once erased."""
    parts = here()
    with parts.db.reading() as session:
        person = standing.of(session, link.recipient_id, parts.settings, now=parts.clock())
        if person is None:
            return None
        sender = standing.sender_name(session, link.topic_id)
        return _View(link, person, sender, _ended_by(session, link))


def _ended_by(session: Session, link: UnsubscribeLink) -> str | None:
    """Give the topic that one click on this link ends; None where it ends all promotional mail."""
    if here().settings.one_click_scope is OneClickScope.ALL:
        return None
    return standing.topic_name(session, link.topic_id)


def _is_out(view: _View) -> bool:
    """Tell whether there is nothing left for the button to end."""
    if view.ends is None:
        return view.person.has_left and not view.person.gets_promotional
    mine = (topic for topic in view.person.topics if topic.id == view.link.topic_id)
    return view.person.has_left and not any(topic.is_on for topic in mine)


def _after(token: str, choose: _Choose, heading: str) -> Response:
    """Make a choice of the page after leaving, and show where that leaves the person."""
    chosen = _chosen(token, choose)
    view = _view(chosen.link) if chosen else None
    if chosen is None or view is None:
        return _damaged()
    told = Told(gettext(heading))
    if not chosen.has_changed:
        told = Told(gettext("Nothing was changed"), gettext("There was nothing left to do."))
    return _where(view, told)


def _where(view: _View, told: Told) -> Response:
    """Show where a choice of the page after leaving leaves the person."""
    if _is_out(view):
        return _out_page(view, told)
    name = "staying" if view.person.gets_promotional else "unsubscribe"
    return _page(view, name, told=told)


def _out_page(view: _View, told: Told | None = None) -> Response:
    """Show that the person has left, and what can still be done about it."""
    path = _path(view.link)
    return _page(
        view,
        "unsubscribed",
        told=told,
        keep=gettext(KEEP),
        keep_path=f"{path}/keep",
        stop_measuring=gettext(STOP_MEASURING),
        stop_measuring_path=f"{path}/stop-measuring",
        undo_path=f"{path}/undo",
        why_path=f"{path}/why",
        whys=reasons.offered(),
    )


def _page(view: _View, name: str, **values: object) -> Response:
    link = view.link
    return make_response(
        render_template(
            f"public/{name}.html",
            person=view.person,
            ends=view.ends,
            sender_name=view.sender_name,
            path=_path(link),
            preferences_path=here().links.preferences_path(link.recipient_id, link.delivery_id),
            **values,
        )
    )


def _path(link: UnsubscribeLink) -> str:
    """Give the link's own path: the one that was asked for may have been mangled on its way."""
    return here().links.unsubscribe_path(*link)


def _damaged() -> Response:
    """Show the way to a fresh link; the same for a forged link and for a person who is gone."""
    return make_response(render_template("public/damaged.html"))


def _door(link: UnsubscribeLink, source: Source, method: str) -> Door:
    return Door(source, method, delivery_id=link.delivery_id, language=language().tag)


def _is_from_page() -> bool:
    """Tell whether our own page sent the request; a body that can't be read is nobody's form."""
    try:
        return FROM_PAGE in request.form
    except (HTTPException, OSError, ValueError):
        return False
