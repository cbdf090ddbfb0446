"""What somebody asked for in a company's other systems: it waits for the mailbox's owner, as ever.

The answer is the same for every address, and says nothing of whose it is.
"""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from sqlalchemy.orm import Session

from mailprefs import api_keys, consent, languages, subscriptions
from mailprefs.addresses import normalise
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, Conflict
from mailprefs.jobs.imports.regions import region_code
from mailprefs.policy import KeyScope, Purpose, Source
from mailprefs.preferences import signing_up
from mailprefs.preferences.signing_up import Asked
from mailprefs.web.api import keyed
from mailprefs.web.current import here
from mailprefs.web.sign_up import house

LONGEST_WORDING: Final = 2_000
"""Characters of the words that a person saw."""
MOST_TOPICS: Final = 100
_NEEDED: Final = frozenset({"address", "topics", "wording"})
_KNOWN: Final = _NEEDED | {"language", "region"}
_FORM: Final = (
    'Send a JSON object such as {"address": "jane@example.com", "topics": ["newsletter"], '
    '"wording": "Yes, send me the newsletter.", "language": "en"}: whose address, the topics that '
    "were ticked, and the words that stood beside the box, which nobody had ticked beforehand. "
    'A "region" such as "AT" may be added, and nothing else.'
)

routes = Blueprint("sign_ups", __name__)


@routes.post("/sign-ups")
@keyed.only(KeyScope.SUBSCRIBE)
def ask() -> tuple[Response, int]:
    """Let topics wait for the owner of the mailbox, who is asked by mail; 202 for every address.

    :raises BadInput: for anything but a sign-up in the form described.
    :raises NotFound: for an unknown topic.
    :raises Conflict: for an administrative topic, and before there is a policy and a topic for
        messages to one person.
    """
    parts, wish, held = here(), _wish(), keyed.key()
    now = parts.clock()
    language = languages.best(wish.get("language")).tag
    with parts.db.transaction(Gate.TAKING) as session:
        consent.lock(session)  # lock order: gate, ledger head, rows
        api_keys.note_use(session, held.id, now=now)
        asked = Asked(
            address=wish["address"],
            topic_ids=_topics(session, wish["topics"]),
            wording=consent.wording(
                session, Purpose.PROMOTIONAL_EMAIL, language, wish["wording"].strip()
            ),
            language=language,
            source=Source.API,
            source_ref=f"key {held.id}",
            region=region_code(wish.get("region", "")),
        )
        signing_up.ask(session, house(parts), asked, now=now)
    return jsonify(accepted=True), 202


def _wish() -> dict[str, Any]:
    """Read the request's body.

    :raises BadInput: with what it has to look like.
    """
    wish = request.get_json(silent=True) if request.mimetype == "application/json" else None
    if not isinstance(wish, dict) or not _NEEDED <= wish.keys() <= _KNOWN:
        raise BadInput(_FORM)
    topics = wish["topics"]
    texts = [text for name, text in wish.items() if name != "topics"]
    if not isinstance(topics, list) or not 0 < len(topics) <= MOST_TOPICS:
        raise BadInput(_FORM)
    if not all(isinstance(text, str) and "\0" not in text for text in (*texts, *topics)):
        raise BadInput(_FORM)
    if not 0 < len(wish["wording"].strip()) <= LONGEST_WORDING:
        raise BadInput(_FORM)
    try:
        # JSON can spell half of a pair of UTF-16, which no database takes.
        "".join((*texts, *topics)).encode()
    except UnicodeEncodeError:
        raise BadInput(_FORM) from None
    normalise(wish["address"])
    return wish


def _topics(session: Session, slugs: list[str]) -> list[int]:
    """Give the numbers of promotional topics.

    :raises NotFound: for an unknown one.
    :raises Conflict: for an administrative one.
    """
    found = []
    for slug in dict.fromkeys(slugs):
        topic = subscriptions.topic(session, slug)
        if not topic.message_class.needs_subscription:
            msg = f"{topic.slug} is administrative: it needs no subscription."
            raise Conflict(msg)
        found.append(topic.id)
    return found
