"""What the vendor may have taken or not: shown batch by batch, and a person's decision about it."""

from collections.abc import Callable
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs.campaigns import undecided
from mailprefs.deliveries import unknown
from mailprefs.deliveries.unknown import Decided
from mailprefs.errors import BadInput, Conflict, MailprefsError
from mailprefs.policy import Role
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.errors import status_of
from mailprefs.web.staff import alarms
from mailprefs.web.staff.campaigns import overview_of

Answer = Response | tuple[str, int]
Decide = Callable[..., Decided]
_RESEND, _ACCEPT = "resend", "accept"
_LARGEST: Final = (1 << 63) - 1

routes = Blueprint("unknown", __name__, url_prefix="/campaigns/<int:campaign_id>/unknown")


@routes.get("")
@auth.only()
def show(campaign_id: int) -> str:
    """Show what is unknown of a campaign; with ``?decide=``, ask whether that is meant."""
    return _page(campaign_id)


@routes.post("/resend")
@auth.only(Role.SEND)
def resend(campaign_id: int) -> Answer:
    """Have it sent again to whoever may still get it."""
    told = (
        "{} of whom it was unknown will be sent it again as soon as sending goes on; whoever has "
        "left is skipped."
    )
    return _decide(campaign_id, unknown.resend, told)


@routes.post("/accept")
@auth.only(Role.SEND)
def accept(campaign_id: int) -> Answer:
    """Take it as sent."""
    return _decide(campaign_id, unknown.accept, "{} are taken as sent, by your decision.")


def _decide(campaign_id: int, decide: Decide, told: str) -> Answer:
    """Decide about what the person has seen, and nothing that became unknown since."""
    parts = here()
    try:
        up_to = _seen()
        with parts.db.transaction() as session:
            done = decide(session, campaign_id, auth.actor(), now=parts.clock(), up_to=up_to)
    except (BadInput, Conflict) as error:
        return _page(campaign_id, error), status_of(error)
    alarms.look_again()
    flash(told.format(undecided.in_people(done.people)))
    return redirect(url_for("staff.campaigns.show", campaign_id=campaign_id), code=303)


def _seen() -> int:
    """Give the newest hand-over that the form's page showed.

    :raises BadInput: for a form that doesn't say it.
    """
    text = request.form.get("up_to", "")
    if not text.isdecimal() or int(text[:20]) > _LARGEST:
        raise BadInput("The form didn't say what was looked at. Look at it again, then decide.")
    return int(text)


def _page(campaign_id: int, error: MailprefsError | None = None) -> str:
    parts = here()
    with parts.db.reading() as session:
        one = overview_of(session, campaign_id)
        seen = undecided.look(
            session, campaign_id, settle_time=parts.settings.settle_time, now=parts.clock()
        )
    wanted = request.args.get("decide", "")
    return render_template(
        "staff/unknown.html",
        one=one,
        seen=seen,
        decide=wanted if wanted in {_RESEND, _ACCEPT} and seen.batches else "",
        trouble=str(error) if error else None,
    )
