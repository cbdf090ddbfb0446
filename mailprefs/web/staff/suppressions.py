"""Addresses that are not mailed: how many and why, what the vendor tells, and what was lifted.

Numbers only: why one person is held back stands on their page, and it is lifted there.
"""

from typing import Final

from flask import Blueprint, render_template

from mailprefs import events, staff, suppressions
from mailprefs.jobs import reconciliation
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff.people import HELD_BACK, LOOKING_UP

LIFTS: Final = 50
"""Lifts on the page, the newest first."""

routes = Blueprint("suppressions", __name__, url_prefix="/suppressions")


@routes.get("")
@auth.only(*LOOKING_UP)
def show() -> str:
    """Show what holds mail back, and what the vendor says of it."""
    with here().db.reading() as session:
        return render_template(
            "staff/suppressions.html",
            held_back=HELD_BACK,
            totals=suppressions.totals(session),
            last_received=events.last_received(session),
            tracking_seen=events.tracking_seen(session),
            malformed=events.malformed(session),
            compared=reconciliation.last(session),
            lifts=suppressions.lifts(session, limit=LIFTS),
            names={person.id: person.name for person, _ in staff.listed(session)},
        )
