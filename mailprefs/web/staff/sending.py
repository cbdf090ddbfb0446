"""What happens to a campaign: checked, tested, approved, sent, taken back, paused, stopped."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs.campaigns import review, schedule, states, testing
from mailprefs.campaigns.review import Review
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, Conflict, MailprefsError, NotAllowed
from mailprefs.policy import Role
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.errors import status_of
from mailprefs.web.staff import alarms
from mailprefs.web.staff.campaigns import page_of

MANY: Final = 1_000
"""Above so many people, whoever sends types the number: nobody mails 700,000 by one click."""

Answer = Response | tuple[str, int]
Change = Callable[..., None]

routes = Blueprint("sending", __name__, url_prefix="/campaigns/<int:campaign_id>")
everything = Blueprint("all_sending", __name__, url_prefix="/sending")


@routes.get("/review")
@auth.only(Role.SEND)
def show(campaign_id: int) -> str:
    """Show who would get it, who not and why, what stands in the way, and the button."""
    return _review_page(campaign_id)


@routes.post("/send")
@auth.only(Role.SEND)
def send(campaign_id: int) -> Answer:
    """Let a campaign go as it was reviewed; until it is due it can be taken back."""
    parts = here()
    now = parts.clock()
    try:
        due, zone = _due(now)
        with parts.db.reading() as session:
            done = review.review(session, campaign_id, parts.settings, now=parts.clock())
        _check_reviewed(done)
        with parts.db.transaction() as session:
            review.require(
                session,
                done,
                auth.actor(),
                overrides=request.form.getlist("override"),
                reason=request.form.get("reason"),
                now=now,
            )
            states.send(
                session,
                campaign_id,
                auth.actor(),
                now=now,
                due_at=due,
                zone=zone,
                revision=done.revision,
            )
    except (BadInput, Conflict, NotAllowed) as error:
        return _review_page(campaign_id, str(error)), status_of(error)
    flash("On its way. Until it begins you can take it back.")
    return _back(campaign_id)


@routes.post("/test")
@auth.only(Role.DRAFT)
def test(campaign_id: int) -> Answer:
    """Send one copy to an address; its links lead nowhere and it counts nowhere."""
    parts = here()
    address = request.form.get("address", "")
    try:
        with parts.db.transaction() as session:
            mailing = testing.prepare(
                session,
                parts.links,
                campaign_id,
                address,
                person=testing.EXAMPLE,
                actor=auth.actor(),
                now=parts.clock(),
                may_mail=parts.settings.may_mail,
            )
        testing.hand_over(parts.vendor, mailing)
    except MailprefsError as error:
        return _refused(campaign_id, error)
    flash("The test is handed over to the vendor; it should arrive in a moment.")
    return _back(campaign_id)


@routes.post("/approve")
@auth.only(Role.APPROVE)
def approve(campaign_id: int) -> Answer:
    """Approve an administrative campaign that somebody else wrote."""
    text = request.form.get("revision", "")
    # Revisions begin at 1: anything else is one that nobody has read.
    read = int(text) if text.isdecimal() and len(text) < 10 else 0
    approve_read = partial(states.approve, revision=read)
    return _change(campaign_id, approve_read, "Approved. Any edit would void that.")


@routes.post("/undo")
@auth.only(Role.SEND)
def undo(campaign_id: int) -> Answer:
    """Take a send back before it begins."""
    return _change(campaign_id, states.undo, "Taken back: a draft again, and nothing was sent.")


@routes.post("/pause")
@auth.only(Role.SEND)
def pause(campaign_id: int) -> Answer:
    """Hold a running campaign."""
    return _change(campaign_id, states.pause, "Paused. Calls that were in flight finish.")


@routes.post("/resume")
@auth.only(Role.SEND)
def resume(campaign_id: int) -> Answer:
    """Go on with a paused campaign."""
    return _change(campaign_id, states.resume, "It goes on where it stopped.")


@routes.post("/cancel")
@auth.only(Role.SEND)
def cancel(campaign_id: int) -> Answer:
    """Stop a campaign for good."""
    told = "Stopped for good. Whoever wasn’t mailed yet is skipped."
    return _change(campaign_id, states.cancel, told)


@everything.post("/start")
@auth.only(Role.SEND)
def start() -> Response:
    """Let all sending go on, once what the vendor refused is mended."""
    parts = here()
    with parts.db.transaction() as session:
        states.start_sending(session, auth.actor(), now=parts.clock())
    alarms.look_again()
    flash("Sending goes on.")
    return redirect(url_for("staff.campaigns.listed"), code=303)


def _change(campaign_id: int, change: Change, told: str) -> Answer:
    """Change a campaign's state, under the gate: some changes take sending away."""
    parts = here()
    try:
        with parts.db.transaction(Gate.TAKING) as session:
            change(session, campaign_id, auth.actor(), now=parts.clock())
    except (Conflict, NotAllowed) as error:
        return _refused(campaign_id, error)
    alarms.look_again()
    flash(told)
    return _back(campaign_id)


def _check_reviewed(done: Review) -> None:
    """Send only what was looked at, to as many as were shown.

    :raises Conflict: when the campaign or its audience changed since the page was shown.
    :raises BadInput: when the number isn't typed as asked for.
    """
    if request.form.get("revision") != str(done.revision):
        raise Conflict("Somebody changed this campaign since you looked at it. Review it again.")
    seen = request.form.get("eligible", "")
    if not seen.isdecimal() or done.eligible > int(seen) + MANY // 10 + int(seen) // 100:
        raise Conflict(f"The audience has grown to {done.eligible:,} people. Review it again.")
    typed = request.form.get("typed", "").replace(",", "").replace(".", "").strip()
    if int(seen) > MANY and typed != seen:
        raise BadInput(
            f"Type the number of people, {int(seen):,}, to show that you mean it. Nothing was sent."
        )


def _due(now: datetime) -> tuple[datetime, str | None]:
    """Give when to begin, and the zone in which that was said.

    :raises BadInput: for a time that is past, skipped or ambiguous in its zone.
    """
    if request.form.get("when") != "later":
        return schedule.due_after(now, here().settings.undo_delay), None
    zone = request.form.get("zone", "")
    which = request.form.get("occurrence", "")
    occurrence = schedule.Occurrence(which) if which in list(schedule.Occurrence) else None
    due = schedule.instant(request.form.get("at", ""), zone, occurrence)
    if due <= now:
        raise BadInput("That time is past. Choose a later one, or send now.")
    return due, zone


def _review_page(campaign_id: int, trouble: str | None = None) -> str:
    parts = here()
    with parts.db.reading() as session:
        campaign = states.find(session, campaign_id)
        done = review.review(session, campaign_id, parts.settings, now=parts.clock())
    return render_template(
        "staff/review.html",
        campaign=campaign,
        review=done,
        final=[check for check in done.blocks if not check.overridable],
        overridable=[check for check in done.blocks if check.overridable],
        notes=[check for check in done.checks if not check.blocks],
        many=done.eligible > MANY,
        undo_delay=parts.settings.undo_delay,
        zones=sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
        form=request.form,
        trouble=trouble,
    )


def _refused(campaign_id: int, error: MailprefsError) -> tuple[str, int]:
    status = status_of(error)
    if status >= 500:
        raise error
    return page_of(campaign_id, str(error)), status


def _back(campaign_id: int) -> Response:
    return redirect(url_for("staff.campaigns.show", campaign_id=campaign_id), code=303)
