"""Where one person stands and why, found by exact address; staff may take somebody out.

There is no list of people to browse, nor do their numbers lead to them. The address is typed into a
form and never stands in a URL; each look is in the audit, and holds for a while (``looking``).
Staff can say no for somebody who asks them to, and never yes; what a mailbox said can be lifted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from mailprefs import audience, languages, preferences, recipients, subscriptions, suppressions
from mailprefs.audience import Audience
from mailprefs.consent.ledger import Recorded, history
from mailprefs.db.database import Gate
from mailprefs.errors import BadAddress, BadInput, NotFound
from mailprefs.jobs.in_flight import wait_for_requests
from mailprefs.policy import Frequency, Role, Skip, Source, SuppressionReason
from mailprefs.preferences import Wish, leaving
from mailprefs.preferences.choosing import Door
from mailprefs.privacy import access, holds
from mailprefs.schema.choices import Suppression, SuppressionLift
from mailprefs.schema.legal import LegalHold
from mailprefs.schema.people import Recipient, Subscription, Topic
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.exports import as_file
from mailprefs.web.staff import looking

WAYS: Final = {
    "asked_by_email": "by e-mail",
    "asked_by_phone": "on the phone",
    "asked_by_letter": "by letter",
    "asked_in_person": "in person",
}
"""How somebody asked us to stop: the ledger keeps it as proof."""
LESS: Final = {
    **{str(days): f"Pause it for {days} days" for days in preferences.PAUSES},
    Frequency.WEEKLY.value: "At most one message a week",
}
"""What somebody can ask us for, short of none at all."""
HELD_BACK: Final = {
    reason: words[0].upper() + words[1:] for reason, words in suppressions.WORDS.items()
}
"""Why mail to an address is held back, in words."""
LOOKING_UP: Final = (Role.SEND, Role.PRIVACY, Role.ADMIN)
"""Who answers people that write in, and who looks after their rights."""

_ASK_FIRST: Final = (
    "A person’s page opens for {} minutes once you have found them by their exact address, and "
    "each look stands in the audit. Nothing was changed; enter the address to go on."
)
_GONE: Final = "There is no recipient {}; one who was erased is gone for good."

routes = Blueprint("people", __name__, url_prefix="/people")


class TopicLine(NamedTuple):
    """One topic for one person: whether its mail would come now, and if not, why.

    *is_dropped_there*: we would send it, and the vendor holds it back.
    """

    topic: Topic
    standing: subscriptions.Standing | None
    kept_out: Skip | None
    is_dropped_there: bool = False


class Page(NamedTuple):
    """What staff see of one person."""

    person: Recipient
    lines: list[TopicLine]
    suppressions: list[Suppression]
    lifts: list[SuppressionLift]
    history: list[Recorded]
    wishes: tuple[Wish, ...] = ()
    holds: Sequence[LegalHold] = ()

    @property
    def gets_promotional(self) -> bool:
        """Tell whether any promotional mail would come now."""
        return any(
            line.kept_out is None and line.topic.message_class.needs_subscription
            for line in self.lines
        )


@routes.get("")
@auth.only(*LOOKING_UP)
def ask() -> str:
    """Show the form that finds one person."""
    return _form()


@routes.post("")
@auth.only(*LOOKING_UP)
def find() -> Response | tuple[str, int]:
    """Find who has an address, note that somebody looked, and show them."""
    parts, address = here(), request.form.get("address", "")
    try:
        with parts.db.transaction() as session:
            found = recipients.find(session, parts.hasher, address)
            if found is not None:
                looking.begin(session, looking.PERSON, found.id, parts.clock())
    except BadAddress as error:
        return _form(str(error), address), 400
    if found is None:
        return _form("Nobody with exactly this address is known here.", address), 404
    return redirect(url_for("staff.people.show", recipient_id=found.id), code=303)


@routes.get("/<int:recipient_id>")
@auth.only(*LOOKING_UP)
def show(recipient_id: int) -> str | tuple[str, int]:
    """Show where one person stands with each topic, and why, to whoever has found them just now.

    :raises NotFound: for somebody who is erased since.
    """
    if not looking.is_at(looking.PERSON, recipient_id, here().clock()):
        return _ask_first()
    with here().db.reading() as session:
        page = _page(session, recipient_id, here().clock())
    return render_template(
        "staff/person.html",
        page=page,
        ways=WAYS,
        less=LESS,
        topic_names={line.topic.id: line.topic.name for line in page.lines},
        may_see_proof=auth.member().holds(Role.PRIVACY),
        held_back=HELD_BACK,
    )


@routes.post("/<int:recipient_id>/unsubscribe")
@auth.only(*LOOKING_UP)
def unsubscribe(recipient_id: int) -> Response | tuple[str, int]:
    """End all promotional mail of somebody who asked for it; in force when this answers.

    :raises BadInput: for a way of asking that isn't offered.
    :raises NotFound: for somebody who is erased since.
    """
    parts, asked = here(), request.form.get("asked", "")
    if not looking.is_at(looking.PERSON, recipient_id, parts.clock()):
        return _ask_first()
    if asked not in WAYS:
        raise BadInput("Say how the person asked: choose one of the ways offered.")
    door = Door(source=Source.STAFF, method=asked, actor=auth.actor())
    with parts.db.transaction(Gate.TAKING) as session:
        applied = leaving.opt_out_all(session, recipient_id, door, now=parts.clock())
    if not applied.is_known:
        raise NotFound(_GONE.format(recipient_id))
    wait_for_requests(parts.db, recipient_id)
    flash("Done: no promotional mail reaches this person any more, from running campaigns either.")
    return redirect(url_for("staff.people.show", recipient_id=recipient_id), code=303)


@routes.post("/<int:recipient_id>/less")
@auth.only(*LOOKING_UP)
def less(recipient_id: int) -> Response | tuple[str, int]:
    """Pause promotional mail, or send less of it, for somebody who asked for that.

    :raises BadInput: for a way of asking, or a wish, that isn't offered.
    :raises Conflict: where it would make a pause shorter.
    :raises NotFound: for somebody who is erased since.
    """
    parts, asked = here(), request.form.get("asked", "")
    if not looking.is_at(looking.PERSON, recipient_id, parts.clock()):
        return _ask_first()
    what = request.form.get("what", "")
    if asked not in WAYS or what not in LESS:
        raise BadInput("Say what the person asked for and how: choose from what is offered.")
    door, now = Door(source=Source.STAFF, method=asked, actor=auth.actor()), parts.clock()
    with parts.db.transaction(Gate.TAKING) as session:
        if what == Frequency.WEEKLY:
            applied = preferences.set_frequency(
                session, recipient_id, Frequency.WEEKLY, door, now=now
            )
        else:
            applied = preferences.set_pause(session, recipient_id, int(what), door, now=now)
    if not applied.is_known:
        raise NotFound(_GONE.format(recipient_id))
    wait_for_requests(parts.db, recipient_id)
    flash("Done: it holds from now on, for running campaigns too. Only the person can end it.")
    return redirect(url_for("staff.people.show", recipient_id=recipient_id), code=303)


@routes.post("/<int:recipient_id>/lift")
@auth.only(Role.PRIVACY)
def lift(recipient_id: int) -> Response | tuple[str, int]:
    """Lift what a mailbox or the vendor said against an address, with the written reason.

    :raises BadInput: for an unknown word, and without a reason in a sentence.
    :raises Conflict: for what only the person can take back.
    :raises NotFound: for somebody who is erased since, or isn't held back for this.
    """
    parts = here()
    if not looking.is_at(looking.PERSON, recipient_id, parts.clock()):
        return _ask_first()
    word, because = request.form.get("reason", ""), request.form.get("because", "")
    if word not in list(SuppressionReason):
        raise BadInput("Choose what to lift from what the page offers.")
    with parts.db.transaction() as session:
        person = recipients.by_id(session, recipient_id)
        if person is None:
            raise NotFound(_GONE.format(recipient_id))
        suppressions.lift_by_staff(
            session,
            person.address_hash,
            SuppressionReason(word),
            auth.actor(),
            because=because,
            now=parts.clock(),
        )
    flash("Lifted. What they chose themselves stays as it is; the vendor keeps lists of its own.")
    return redirect(url_for("staff.people.show", recipient_id=recipient_id), code=303)


@routes.post("/<int:recipient_id>/export")
@auth.only(Role.PRIVACY)
def export(recipient_id: int) -> Response | tuple[str, int]:
    """Give everything that is stored about one person as a file for that person; audited.

    :raises NotFound: for somebody who is erased since.
    """
    parts = here()
    if not looking.is_at(looking.PERSON, recipient_id, parts.clock()):
        return _ask_first()
    zone, now = parts.settings.time_zone, parts.clock()
    with parts.db.transaction() as session:
        made = access.collect_by_staff(session, recipient_id, auth.actor(), zone=zone, now=now)
    return as_file(made, request.form.get("form", ""), languages.best(made.language))


def _ask_first() -> tuple[str, int]:
    """Say how somebody is found; the same for everybody who wasn't, known here or not."""
    return _form(_ASK_FIRST.format(looking.LASTS.seconds // 60)), 404


def _form(trouble: str | None = None, address: str = "") -> str:
    return render_template("staff/people.html", trouble=trouble, address=address)


def _page(session: Session, recipient_id: int, now: datetime) -> Page:
    person = recipients.by_id(session, recipient_id)
    if person is None:
        raise NotFound(_GONE.format(recipient_id))
    standings = subscriptions.standings(session, recipient_id)
    against = suppressions.of(session, person.address_hash)
    complained = any(one.reason is SuppressionReason.COMPLAINED for one in against)
    return Page(
        person=person,
        lines=[
            TopicLine(
                topic,
                standings.get(topic.id),
                _kept_out(session, recipient_id, topic, now),
                complained and not topic.message_class.needs_subscription,
            )
            for topic in subscriptions.topics(session)
        ],
        suppressions=against,
        lifts=suppressions.lifts(session, address_hash=person.address_hash),
        history=history(session, recipient_id),
        wishes=preferences.wished(session, recipient_id, now=now),
        holds=holds.in_force(session, person.address_hash),
    )


def _kept_out(session: Session, recipient_id: int, topic: Topic, now: datetime) -> Skip | None:
    """Ask the one rule of who may get what about one person; None if the topic's mail comes."""
    who = Audience(topic.id, topic.message_class)
    word = session.scalar(
        select(audience.reason(who))
        .select_from(Recipient)
        .outerjoin(Subscription, audience.subscribed_to(who))
        .where(Recipient.id == recipient_id),
        audience.asked(now),
    )
    return None if word is None else Skip(word)
