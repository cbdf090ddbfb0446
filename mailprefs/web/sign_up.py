"""Signing up: our own page, forms on other sites that post to it, and what both are answered.

The answer is the same for an address that is known, unknown, held back or erased: whether anything
comes of it, only its mailbox shows. There is no CAPTCHA: a field that people don't see, a limit for
each visitor and one mail a day to each address keep machines from doing harm.
"""

import logging
import re
import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request
from sqlalchemy.orm import Session

from mailprefs import consent, subscriptions
from mailprefs.addresses import LONGEST, normalise
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, Conflict
from mailprefs.jobs.imports.regions import region_code
from mailprefs.languages import gettext_noop
from mailprefs.policy import MessageClass, Purpose, Source
from mailprefs.preferences import signing_up
from mailprefs.preferences.signing_up import Asked, House
from mailprefs.schema.people import Topic
from mailprefs.web import standing
from mailprefs.web.current import here
from mailprefs.web.errors import in_words, trouble
from mailprefs.web.parts import Parts
from mailprefs.web.speaking import gettext, language
from mailprefs.web.visitors import TOO_OFTEN, Allowance, visitor

PATH: Final = "/subscribe"
MOST: Final = 20
"""How often one visitor may sign somebody up within WINDOW."""
WINDOW: Final = timedelta(hours=1)
WORDS: Final = gettext_noop(
    "Yes, send me by e-mail what I tick here. I can end it at any time, by a link in each message."
)
"""What a tick says; kept with the choice, in the language of the page."""
LEAST_SECONDS: Final = 0.08
"""How long an answer takes at least: to store somebody new takes a third longer (24 ms, not 16)."""
TRAP: Final = "website"
"""The field that people don't see, and machines fill in."""

_EXTENSION: Final = "mailprefs_sign_ups"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_TICK: Final = gettext_noop("Tick at least one box, so that we know what to send.")
_OLD: Final = gettext_noop(
    "This form names something that can’t be subscribed to. Please pick from this list."
)
_SENT: Final = gettext_noop(
    "If that address can get our mail, a message with a link is on its way to it, once a day at "
    "most. Nothing else comes before you open the link and say yes. Please look in the spam "
    "folder, too."
)
_NOT_NOW: Final = gettext_noop("Signing up isn’t possible just now. Please come back later.")

log = logging.getLogger("mailprefs.web")
routes = Blueprint("sign_up", __name__)


class _Form(NamedTuple):
    """The form of the page: what can be ticked, what is, and what else was typed."""

    topics: Sequence[Topic]
    words: str
    ticked: Collection[str] = ()
    address: str = ""
    name: str | None = None


def install(app: Flask, parts: Parts) -> None:
    """Count the sign-ups of *app*'s visitors from now on, in this process."""
    app.extensions[_EXTENSION] = Allowance(MOST, WINDOW, parts.clock)


@routes.get(PATH)
def show() -> Response:
    """Show the topics with empty boxes: all, or those that ``?topic=`` names."""
    sentence = gettext("Pick what you would like to get, and tell us where to send it.")
    return _page(gettext("Get our e-mails"), sentence, shows_form=True)


@routes.post(PATH)
def ask() -> Response:
    """Let what was ticked wait for the owner of the mailbox, whoever that is.

    :raises StoreUnavailable: when it could not be stored.
    """
    parts, began = here(), time.monotonic()
    allowance: Allowance = current_app.extensions[_EXTENSION]
    if not allowance.take(visitor(request.environ, parts.settings)):
        return _page(gettext("A little too often"), gettext(TOO_OFTEN), status=429)
    if request.form.get(TRAP):
        return _sent(began)
    try:
        _ask(parts)
    except BadInput as error:
        heading = gettext("Something is missing")
        return _page(heading, in_words(error), shows_form=True, status=400)
    except Conflict as error:
        # Something isn't set up yet, which is for staff to read: the same for every address.
        trouble(error)
        log.warning("Nobody can sign up. %s", error)
        return _page(gettext("Not yet"), gettext(_NOT_NOW), status=409)
    return _sent(began)


def house(parts: Parts) -> House:
    """Give what a confirmation mail is made with."""
    return House(parts.hasher, parts.links, parts.settings.base_url)


def policy_version(session: Session) -> str | None:
    """Give the version of the policy in force, as a page shows it; None before there is one."""
    policy = consent.current_policy(session, here().clock())
    return policy.version if policy else None


def _ask(parts: Parts) -> None:
    """Keep what the form asks for.

    :raises BadInput: for a form without a tick or an address, or with a topic that isn't one.
    :raises Conflict: while there is no administrative topic or no privacy policy.
    """
    address, ticked = request.form.get("address", ""), set(request.form.getlist("topic"))
    with parts.db.reading() as session:
        topics = subscriptions.topics(session, MessageClass.PROMOTIONAL)
    known = {one.slug: one.id for one in topics}
    if not ticked:
        raise BadInput(_TICK)
    if not ticked <= known.keys():
        raise BadInput(_OLD)
    normalise(address)
    name = _name()
    with parts.db.transaction(Gate.TAKING) as session:
        asked = Asked(
            address=address,
            topic_ids=[known[one] for one in ticked],
            wording=standing.shown(session, Purpose.PROMOTIONAL_EMAIL, WORDS),
            language=language().tag,
            source=Source.SIGN_UP,
            source_ref=f"form {name}" if name else None,
            region=region_code(request.form.get("region", "")[:100]),
        )
        signing_up.ask(session, house(parts), asked, now=parts.clock())


def _name() -> str | None:
    """Give the name of the form that the person came by, if it is one."""
    name = request.values.get("form", "")
    return name if _NAME.fullmatch(name) else None


def _sent(began: float) -> Response:
    """Say the same to everybody, and not sooner to anybody."""
    time.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
    return _page(gettext("Look into your mailbox"), gettext(_SENT))


def _page(heading: str, sentence: str, *, shows_form: bool = False, status: int = 200) -> Response:
    form, policy, sender = None, None, None
    if shows_form:
        with here().db.reading() as session:
            topics = _shown(subscriptions.topics(session, MessageClass.PROMOTIONAL))
            policy = policy_version(session)
            sender = standing.sender_name(session, topics[0].id) if topics else None
        form = _Form(
            topics=topics,
            words=gettext(WORDS),
            ticked=request.form.getlist("topic"),
            address=request.form.get("address", "")[:LONGEST],
            name=_name(),
        )
    page = render_template(
        "public/sign_up.html",
        heading=heading,
        sentence=sentence,
        form=form,
        policy=policy,
        sender_name=sender,
    )
    response = make_response(page)
    response.status_code = status
    return response


def _shown(topics: Sequence[Topic]) -> Sequence[Topic]:
    """Give the topics that the page was asked for, or all where it was asked for none of them."""
    wanted = {*request.args.getlist("topic"), *request.form.getlist("shown")}
    return [one for one in topics if one.slug in wanted] or topics
