"""The preference page: topics, less mail, none at all, measuring, language, each its own choice.

The token in the path is the authority, as at the unsubscribe link: there is no session and so
nothing that another site could ride on. Only POST changes anything.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session

from mailprefs import languages, preferences
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, BadToken
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.languages import gettext_noop
from mailprefs.links import PREFERENCES_PREFIX, PreferencesLink
from mailprefs.policy import Frequency, Purpose, Source
from mailprefs.preferences import Applied, Door
from mailprefs.web import reasons, requesting, standing
from mailprefs.web.current import here
from mailprefs.web.request_log import note
from mailprefs.web.speaking import gettext, language, turn_to
from mailprefs.web.standing import Told

TOPICS: Final = gettext_noop(
    "Tick what you would like to get. You can change your mind at any time."
)
ALL_OFF: Final = gettext_noop("Ends every topic above at once, and any that we may add later.")
MEASURING: Final = gettext_noop(
    "May we see whether you open our promotional messages? It helps us find out which of them are "
    "worth your time. Messages about your account are never measured."
)

PAUSE: Final = gettext_noop(
    "No promotional mail for a while. Your topics stay as they are, and it comes again by itself."
)
END_PAUSE: Final = gettext_noop("End the pause now")
FREQUENCY: Final = gettext_noop(
    "How often promotional mail may come at most, of all topics together."
)
LANGUAGE: Final = gettext_noop(
    "In which language we write to you, where a message is written in it, and show you this page."
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
    choice = request.form.get("choice", "")
    choose = _CHOICES.get(choice)
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
    if choice in _UNDOABLE:
        told = told._replace(act=applied.request_id or "")
    if choice not in _NO_CHOICE and not applied.has_changed:
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


def _pause(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Pause all promotional mail for some days, or end that."""
    asked = request.form.get("days", "")
    if asked not in {"0", *map(str, preferences.PAUSES)}:
        raise BadInput(gettext_noop("Choose for how long; nothing was changed yet."))
    days = int(asked) or None
    words = standing.shown(session, Purpose.PAUSE, PAUSE if days else END_PAUSE)
    door = _door(link, "button")._replace(wording=words)
    applied = preferences.set_pause(session, link.recipient_id, days, door, now=now)
    until = preferences.current(session, link.recipient_id).paused_until
    if until is None:
        return applied, Told(
            gettext("The pause is over"), gettext("Your topics come again from now on.")
        )
    return applied, Told(
        gettext("Promotional mail is paused"),
        gettext("It comes again on %(day)s, by itself.", day=language().date(until)),
    )


def _frequency(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Set how often promotional mail may come at most."""
    asked = request.form.get("frequency", "")
    if asked not in list(Frequency):
        raise BadInput(gettext_noop("Choose how often; nothing was changed yet."))
    words = standing.shown(session, Purpose.FREQUENCY, FREQUENCY)
    door = _door(link, "radio_button")._replace(wording=words)
    applied = preferences.set_frequency(session, link.recipient_id, Frequency(asked), door, now=now)
    if Frequency(asked) is Frequency.WEEKLY:
        return applied, Told(
            gettext("At most one promotional message a week"),
            gettext("What else would have come in that week isn’t sent to you later, either."),
        )
    return applied, Told(gettext("Promotional mail comes as often as we write it"))


def _language(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Set the language, and speak it from here on."""
    chosen = languages.find(request.form.get("language"))
    if chosen is None:
        raise BadInput(gettext_noop("Choose one of the languages; nothing was changed yet."))
    words = standing.shown(session, Purpose.LANGUAGE, LANGUAGE)
    door = _door(link, "select")._replace(wording=words)
    applied = preferences.set_language(session, link.recipient_id, chosen.tag, door, now=now)
    turn_to(chosen)
    return applied, Told(gettext("Your language is saved"))


def _why(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Count why the person left, which changes nothing else."""
    is_counted = reasons.count(session, link.recipient_id, reasons.asked(), now)
    return Applied(is_known=True), reasons.told(is_counted=is_counted)


def _undo(session: Session, link: PreferencesLink, now: datetime) -> tuple[Applied, Told]:
    """Take back what the person has just chosen here."""
    window = timedelta(seconds=here().settings.undo_window)
    applied = preferences.take_back(
        session,
        link.recipient_id,
        request.form.get("act", ""),
        _door(link, "button"),
        now=now,
        window=window,
    )
    return applied, Told(gettext("Undone: everything is as it was before"))


_Choose = Callable[[Session, PreferencesLink, datetime], tuple[Applied, Told]]
_CHOICES: Final = MappingProxyType[str, _Choose](
    {
        "topics": _topics,
        "all_off": _all_off,
        "pause": _pause,
        "frequency": _frequency,
        "measuring": _measuring,
        "language": _language,
        "why": _why,
        "undo": _undo,
        "export": requesting.export,
        "erase": requesting.erase,
    }
)
_UNDOABLE: Final = frozenset({"topics", "all_off", "pause", "frequency"})
"""What can be taken back at once; what measuring has deleted is gone."""
_NO_CHOICE: Final = frozenset({"why", "export", "erase"})
"""What changes nothing about the mail that comes."""


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
            pause=gettext(PAUSE),
            pauses=preferences.PAUSES,
            end_pause=gettext(END_PAUSE),
            frequency=gettext(FREQUENCY),
            in_which=gettext(LANGUAGE),
            whys=reasons.offered(),
            why_path=parts.links.preferences_path(*link),
        )
    )


def _damaged() -> Response:
    """Show the way to a fresh link; the same for a forged link and for a person who is gone."""
    return make_response(render_template("public/damaged.html"))


def _door(link: PreferencesLink, method: str) -> Door:
    return Door(
        Source.PREFERENCES, method, delivery_id=link.delivery_id or None, language=language().tag
    )
