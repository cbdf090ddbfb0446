"""What people wrote or told us, for the privacy role: a list, one at a time, and "done".

The list says when and about what, never who or in which words. To open one is a POST and stands in
the audit. A mail is shown as plain text: nothing in it is loaded, linked or given out as a file.
"""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs import inbound, privacy
from mailprefs.db.database import Gate
from mailprefs.errors import NotFound, StoreUnavailable
from mailprefs.inbound import Wish
from mailprefs.jobs.in_flight import wait_for_calls
from mailprefs.policy import Role, Source
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff import alarms, erasures, looking

PAGE: Final = 50
WISHES: Final = {
    Wish.DATA: "About somebody’s data",
    Wish.LEAVE_UNPROVEN: "Wants to leave, without a link",
    Wish.CHILD: "A child’s address, says somebody",
    Wish.AUTOMATIC: "Written by a program, or by ourselves",
    Wish.OTHER: "Something else",
    Wish.LEAVE: "Has left",
}

routes = Blueprint("inbound", __name__, url_prefix="/inbound")


@routes.get("")
@auth.only(Role.PRIVACY)
def listed() -> str:
    """List what came in, newest first."""
    before = request.args.get("before", type=int)
    with here().db.reading() as session:
        found = inbound.listed(session, limit=PAGE + 1, before_id=before)
    return render_template(
        "staff/inbound.html",
        mails=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        before=before,
        wishes=WISHES,
        mailbox=here().settings.inbound_mailbox,
    )


@routes.post("/<int:number>")
@auth.only(Role.PRIVACY)
def open_one(number: int) -> Response:
    """Note that somebody opens one mail, and show it.

    :raises NotFound: for a mail that isn't kept (any more).
    """
    parts = here()
    with parts.db.transaction() as session:
        inbound.look_at(session, number)
        looking.begin(session, looking.MAIL, number, parts.clock())
    return redirect(url_for("staff.inbound.show", number=number), code=303)


@routes.get("/<int:number>")
@auth.only(Role.PRIVACY)
def show(number: int) -> str | Response:
    """Show one mail to whoever has just opened it; everybody else finds it in the list.

    :raises NotFound: for a mail that isn't kept (any more).
    """
    if not looking.is_at(looking.MAIL, number, here().clock()):
        return redirect(url_for("staff.inbound.listed"), code=303)
    with here().db.reading() as session:
        mail = inbound.look_at(session, number)
    return render_template("staff/inbound_mail.html", mail=mail, wishes=WISHES)


@routes.post("/<int:number>/erase")
@auth.only(Role.PRIVACY)
def erase(number: int) -> Response:
    """Erase whoever has a reported address, on file or not, and the report with them.

    It is done as for anybody, and nothing says afterwards why (``docs/erasure.md``).

    :raises NotFound: for a report that isn't kept (any more) or wasn't opened just now.
    :raises BadInput: unless the word is typed.
    """
    parts = here()
    if not looking.is_at(looking.MAIL, number, parts.clock()):
        raise NotFound("Open the report first; nothing was changed.")
    erasures.require_word()
    asked = privacy.Asked(Source.STAFF, auth.actor(), parts.hasher, is_child=True)
    with parts.db.transaction(Gate.TAKING) as session:
        address = inbound.reported_address(session, number)
        done = privacy.erase_address(session, address, asked, now=parts.clock())
    if done is not None:
        wait_for_calls(parts.db, done.calls)
    alarms.look_again()
    flash("Erased, and the report with it. The vendor and the files follow in a moment.")
    return redirect(url_for("staff.erasures.listed"), code=303)


@routes.post("/<int:number>/handled")
@auth.only(Role.PRIVACY)
def handled(number: int) -> Response:
    """Note that a mail is dealt with, and delete what it says.

    :raises NotFound: for a mail that isn't kept (any more).
    """
    parts = here()
    with parts.db.transaction() as session:
        inbound.handle(session, number, auth.actor(), now=parts.clock())
    alarms.look_again()
    flash("Done. What it said is deleted, unless a legal hold keeps it; it is known for 30 days.")
    return redirect(url_for("staff.inbound.listed"), code=303)


def waiting() -> int:
    """Give how much waits for the page that is being made; 0 where the store can't be asked."""
    try:
        with here().db.reading() as session:
            return inbound.waiting(session)
    except StoreUnavailable:
        return 0
