"""The preference page: topics, all promotional mail, and measuring, each a choice of its own.

The token in the path is the authority, as at the unsubscribe link: there is no session and so
nothing that another site could ride on. Only POST changes anything.
"""

from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Final

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session

from mailprefs import preferences
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, BadToken
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.languages import gettext_noop
from mailprefs.links import PREFERENCES_PREFIX, PreferencesLink
from mailprefs.policy import Purpose, Source
from mailprefs.preferences import Applied, Door
from mailprefs.web import standing
from mailprefs.web.current import here
from mailprefs.web.request_log import note
from mailprefs.web.speaking import gettext, language
from mailprefs.web.standing import Told

TOPICS: Final = gettext_noop(
    "Tick what you would like to get. You can change your mind at any time."
)
ALL_OFF: Final = gettext_noop("Ends every topic above at once, and any that we may add later.")
MEASURING: Final = gettext_noop(
    "May we see whether you open our promotional messages? It helps us find out which of them are "
    "worth your time. Messages about your account are never measured."
)

routes = Blueprint("preferences", __name__)


@routes.get(f"{PREFERENCES_PREFIX}<token:token>")
def show(token: str) -> Response:
    """Show where the person stands; asking changes nothing."""
    link = _read(token)
    return _damaged() if link is None else _page(link)


@routes.post(f"{PREFERENCES_PREFIX}<token:token>")
def change(token: str) -> Response:
    """Make the choice that the form names, in force when this answers, and show the page again.

    :raises BadInput: for a form that isn't one of the page's.
    :raises StoreUnavailable: when it could not be stored.
    """
    link = _read(token)
    if link is None:
        return _damaged()
    choose = _CHOICES.get(request.form.get("choice", ""))
    if choose is None:
        raise BadInput(
            gettext_noop(
                "This form isn’t one of ours, so nothing was changed. Open your link again."
            )
        )
    parts = here()
    with parts.db.transaction(Gate.TAKING) as session:
        if standing.find(session, link.recipient_id) is None:
            return _damaged()
        applied, told = choose(session, link, parts.clock())
    wait_for_requests(parts.db, link.recipient_id)
    if not applied.has_changed:
        told = Told(
            gettext("Nothing to change"), gettext("Everything was already as you have it here.")
        )
    return _page(link, told)


def _topics(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Set the topics that the form showed to what was ticked."""
    ticked, on_form = (set(request.form.getlist(name)) for name in ("topic", "shown"))
    words = standing.shown(session, Purpose.PROMOTIONAL_EMAIL, TOPICS)
    current = preferences.current(session, link.recipient_id)
    wanted = {one.id: one.slug in ticked for one in current.topics if one.slug in on_form}
    door = _door(link, "ticked_checkbox" if ticked else "unticked_checkbox")
    applied = preferences.set_topics(
        session, link.recipient_id, wanted, door._replace(wording=words), now=now
    )
    return applied, Told(gettext("Your topics are saved"))


def _all_off(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """End all promotional mail."""
    words = standing.shown(session, Purpose.PROMOTIONAL_EMAIL, ALL_OFF)
    door = _door(link, "button")._replace(wording=words)
    applied = preferences.opt_out_all(session, link.recipient_id, door, now=now)
    return applied, Told(
        gettext("All promotional mail is off"),
        gettext("Only what was already on its way may still arrive."),
    )


def _measuring(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Set whether opens may be measured, from now on."""
    answer = request.form.get("measuring")
    if answer not in {"yes", "no"}:
        raise BadInput(
            gettext_noop("Choose whether we may measure opens or not; nothing was changed yet.")
        )
    words = standing.shown(session, Purpose.OPEN_TRACKING, MEASURING)
    door = _door(link, "radio_button")._replace(wording=words)
    granted = answer == "yes"
    applied = preferences.set_tracking(session, link.recipient_id, door, granted=granted, now=now)
    if granted:
        return applied, Told(gettext("Thank you"), gettext("Messages from now on may be measured."))
    return applied, Told(
        gettext("Opens aren’t measured any more"),
        gettext("That holds for older messages of ours, too."),
    )


_Choose = Callable[[Session, PreferencesLink, datetime], tuple[Applied, Told]]
_CHOICES: Final = MappingProxyType[str, _Choose](
    {"topics": _topics, "all_off": _all_off, "measuring": _measuring}
)


def _read(token: str) -> PreferencesLink | None:
    try:
        link = here().links.read_preferences(token)
    except BadToken:
        return None
    note(recipient=link.recipient_id, delivery=link.delivery_id)
    return link


def _page(link: PreferencesLink, told: Told | None = None) -> Response:
    parts = here()
    with parts.db.reading() as session:
        person = standing.of(session, link.recipient_id, parts.settings, now=parts.clock())
        first = person.topics[0].id if person and person.topics else 0
        sender = standing.sender_name(session, first)
    if person is None:
        return _damaged()
    return make_response(
        render_template(
            "public/preferences.html",
            person=person,
            sender_name=sender,
            told=told,
            path=parts.links.preferences_path(*link),
            topics=gettext(TOPICS),
            all_off=gettext(ALL_OFF),
            measuring=gettext(MEASURING),
        )
    )


def _damaged() -> Response:
    """Show the way to a fresh link; the same for a forged link and for a person who is gone."""
    return make_response(render_template("public/damaged.html"))


def _door(link: PreferencesLink, method: str) -> Door:
    return Door(
        Source.PREFERENCES, method, delivery_id=link.delivery_id or None, language=language().tag
    )
