"""Erasing people: the button on a person's page, and the proof of what was erased, of nobody.

Only the privacy role, only somebody found by exact address just now, and only with the word typed:
it can't be taken back. The audit names the number, which is nobody's from then on.
"""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs import privacy
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, NotFound
from mailprefs.jobs.in_flight import wait_for_calls
from mailprefs.policy import Role, Source
from mailprefs.privacy import Asked
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff import looking

WORD: Final = "erase"
"""What is typed to erase somebody."""
SHOWN: Final = 100
_PUT_OFF: Final = (
    "Remembered: a legal hold is in force, so this person is erased when it is lifted. No mail "
    "goes to them from now on."
)

routes = Blueprint("erasures", __name__, url_prefix="/erasures")


@routes.get("")
@auth.only(Role.PRIVACY)
def listed() -> str:
    """Show the newest erasures: what went, and what the vendor and the files say."""
    with here().db.reading() as session:
        proofs = privacy.newest(session, limit=SHOWN)
    return render_template("staff/erasures.html", proofs=proofs)


def require_word() -> None:
    """Pass only a form with the word typed in.

    :raises BadInput: for any other.
    """
    if request.form.get("typed", "").strip().lower() != WORD:
        msg = f"Type “{WORD}” to erase this person; nothing was changed."
        raise BadInput(msg)


@routes.post("/<int:recipient_id>")
@auth.only(Role.PRIVACY)
def erase(recipient_id: int) -> Response:
    """Erase one person everywhere; in force when this answers.

    While a legal hold is in force it is remembered only, unless the person is a child.

    :raises NotFound: for somebody who wasn't found by their address just now, or is gone.
    :raises BadInput: unless the word is typed.
    """
    parts = here()
    if not looking.is_at(looking.PERSON, recipient_id, parts.clock()):
        msg = "Find the person by their exact address first; nothing was changed."
        raise NotFound(msg)
    require_word()
    asked = Asked(Source.STAFF, auth.actor(), parts.hasher, is_child="child" in request.form)
    with parts.db.transaction(Gate.TAKING) as session:
        done = privacy.erase(session, recipient_id, asked, now=parts.clock())
    if done is None:
        msg = f"There is no recipient {recipient_id}; one who was erased is gone for good."
        raise NotFound(msg)
    wait_for_calls(parts.db, done.calls)
    if done.id is None:
        flash(_PUT_OFF)
        return redirect(url_for("staff.people.show", recipient_id=recipient_id), code=303)
    flash(f"Erased. The proof is number {done.id}; the vendor and the files follow in a moment.")
    return redirect(url_for("staff.erasures.listed"), code=303)
