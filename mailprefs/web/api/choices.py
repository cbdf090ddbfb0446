"""What a person told a company's other systems: only ever a no, stored before it is answered.

A program says "leave" and "refuse", never a yes: coming back needs the mailbox's owner. Somebody
who isn't on file may still say no to everything: their address is kept out by its keyed hash, as
with the noes that an import brings.
"""

from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, jsonify, request
from sqlalchemy.orm import Session

from mailprefs import api_keys, audit, preferences, recipients, subscriptions, suppressions
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.audit import Actor
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.policy import KeyScope, Purpose, Source, SuppressionReason
from mailprefs.preferences import Door
from mailprefs.web.api import keyed
from mailprefs.web.current import here
from mailprefs.web.request_log import note

EVERYTHING: Final = "all"
REFUSABLE: Final = (Purpose.OPEN_TRACKING.value,)
_ACTOR: Final = Actor(None, "api")
_METHOD: Final = "told_to_a_program"
_MOST_TOPICS: Final = 100
_FORM: Final = (
    'Send a JSON object such as {"address": "jane@example.com", "leave": "all"}; "leave" is "all" '
    'or a list of topics, and "refuse" a list of purposes (open_tracking). At least one of the two '
    "has to be there, and nothing else."
)

routes = Blueprint("choices", __name__)


class _Asked(NamedTuple):
    """What a program asks for: whose noes, to which topics (None: to all), to being measured."""

    address: str
    leaves_all: bool
    topics: tuple[str, ...]
    refuses_tracking: bool


@routes.post("/choices")
@keyed.only(KeyScope.CHOICES)
def narrow() -> Response:
    """Store a person's noes, in force when this answers 200; a second time changes nothing.

    :raises BadInput: for anything but a no in the form described.
    :raises NotFound: for an unknown topic, and for somebody unknown who leaves only some topics.
    :raises Conflict: for an administrative topic, which nobody can leave.
    """
    parts, asked, held = here(), _asked(), keyed.key()
    now = parts.clock()
    with parts.db.transaction(Gate.TAKING) as session:
        api_keys.note_use(session, held.id, now=now)
        person = recipients.find(session, parts.hasher, asked.address)
        if person is None:
            has_changed = _keep_out(session, parts.hasher, asked, held.id)
        else:
            note(recipient=person.id)
            has_changed = _store(session, person.id, asked, held.id)
    if person is not None:
        wait_for_requests(parts.db, person.id)
    return jsonify(changed=has_changed, on_file=person is not None)


def _asked() -> _Asked:
    """Read the request's body.

    :raises BadInput: with what it has to look like.
    """
    wish = request.get_json(silent=True) if request.mimetype == "application/json" else None
    if not isinstance(wish, dict) or not wish.keys() <= {"address", "leave", "refuse"}:
        raise BadInput(_FORM)
    address, leave, refuse = wish.get("address"), wish.get("leave", []), wish.get("refuse", [])
    is_all = leave == EVERYTHING
    topics = [] if is_all else leave
    if not isinstance(address, str) or not _are_words(topics) or not _are_words(refuse):
        raise BadInput(_FORM)
    if not set(refuse) <= set(REFUSABLE) or not (leave or refuse):
        raise BadInput(_FORM)
    normalise(address)
    return _Asked(address, is_all, tuple(dict.fromkeys(topics)), bool(refuse))


def _are_words(value: Any) -> bool:  # noqa: ANN401 - whatever JSON a program sent
    return (
        isinstance(value, list)
        and len(value) <= _MOST_TOPICS
        and all(isinstance(one, str) for one in value)
    )


def _store(session: Session, recipient_id: int, asked: _Asked, key_id: int) -> bool:
    """Make the choices of somebody on file; tell whether anything is different now."""
    now = here().clock()
    door = Door(Source.API, _METHOD, actor=_ACTOR, source_ref=f"key {key_id}")
    topics = [subscriptions.topic(session, slug) for slug in asked.topics]
    for topic in topics:
        if not topic.message_class.needs_subscription:
            msg = f"{topic.slug} is administrative: it needs no subscription, and nobody leaves it."
            raise Conflict(msg)
    done = []
    if asked.leaves_all:
        done.append(preferences.opt_out_all(session, recipient_id, door, now=now))
    done += [
        preferences.opt_out_topic(session, recipient_id, topic.id, door, now=now)
        for topic in topics
    ]
    if asked.refuses_tracking:
        done.append(preferences.set_tracking(session, recipient_id, door, granted=False, now=now))
    return any(one.has_changed for one in done)


def _keep_out(session: Session, hasher: AddressHasher, asked: _Asked, key_id: int) -> bool:
    """Keep an address out that nobody on file has; tell whether that is new.

    :raises NotFound: where the no isn't to everything, and so is about nobody.
    """
    if not asked.leaves_all:
        msg = 'Nobody with this address is on file; for such a one only "leave": "all" is kept.'
        raise NotFound(msg)
    now = here().clock()
    hashed = hasher.hash(normalise(asked.address).key)
    reason = SuppressionReason.UNSUBSCRIBED
    is_new = suppressions.add(session, hashed, hasher.key_id, reason, Source.API, now=now)
    if is_new:
        audit.record(session, _ACTOR, "suppression.added", ("api_key", key_id), now=now)
    return is_new
