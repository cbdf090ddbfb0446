"""What the law asks about people: holds, what went to whom, and all of one person as a file.

Only the privacy role. Whoever is held, or whose data is given away, was found by exact address just
now; each act stands in the audit with its reason.
"""

from typing import Final

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from mailprefs import privacy, recipients, staff
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, NotFound
from mailprefs.jobs.in_flight import wait_for_calls
from mailprefs.policy import Role, Source
from mailprefs.privacy import disclosing, disclosures, holds
from mailprefs.privacy.disclosing import Demand, Disclosed
from mailprefs.privacy.disclosures import Told
from mailprefs.schema.legal import DisclosureBasis
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff import looking

SHOWN: Final = 100
BASES: Final = {
    DisclosureBasis.VENDOR: "A vendor that works for us",
    DisclosureBasis.AFFILIATE: "An affiliate",
    DisclosureBasis.LAW: "The law asks for it",
    DisclosureBasis.TRANSFER: "A merger or transfer",
    DisclosureBasis.CONSENT: "The person agreed",
}
"""On which grounds data about people may go to somebody else."""

routes = Blueprint("legal", __name__, url_prefix="/legal")


@routes.get("")
@auth.only(Role.PRIVACY)
def show() -> str:
    """Show the holds, and the register of disclosures."""
    with here().db.reading() as session:
        return render_template(
            "staff/legal.html",
            holds=holds.listed(session, limit=SHOWN),
            lines=disclosures.register(session, limit=SHOWN),
            bases=BASES,
            names={person.id: person.name for person, _ in staff.listed(session)},
        )


@routes.get("/disclosures.csv")
@auth.only(Role.PRIVACY)
def register_csv() -> Response:
    """Give the whole register as CSV."""
    with here().db.reading() as session:
        names = {person.id: person.name for person, _ in staff.listed(session)}
        text = disclosures.as_csv(disclosures.register(session), names)
    return _file(text.encode(), "disclosures.csv", "text/csv; charset=utf-8")


@routes.post("/disclosures")
@auth.only(Role.PRIVACY)
def record() -> BaseResponse:
    """Write down a disclosure that was made by other means.

    :raises BadInput: for a word that isn't offered, no number, and what the register refuses.
    """
    form, parts = request.form, here()
    n = form.get("people", "")
    if form.get("basis") not in list(DisclosureBasis) or not n.isdecimal() or len(n) > _DIGITS:
        raise BadInput("Choose the ground, and say in a number of how many people it was.")
    told = Told(
        DisclosureBasis(form["basis"]),
        form.get("to", ""),
        form.get("fields", "").split(","),
        int(n),
        form.get("reason", ""),
    )
    with parts.db.transaction() as session:
        number = disclosures.record(session, told, auth.actor(), now=parts.clock())
    flash(f"Disclosure {number} is on record.")
    return redirect(url_for("staff.legal.show"), code=303)


@routes.post("/people/<int:recipient_id>/hold")
@auth.only(Role.PRIVACY)
def place(recipient_id: int) -> BaseResponse:
    """Hold all that is kept of one person; in force when this answers.

    :raises BadInput: without a reason in a sentence.
    :raises NotFound: for somebody who wasn't found by their address just now, or is gone.
    """
    _require_found(recipient_id)
    parts, reason = here(), request.form.get("reason", "")
    with parts.db.transaction(Gate.TAKING) as session:
        hold = holds.place(session, recipient_id, auth.actor(), reason=reason, now=parts.clock())
    flash(
        f"Legal hold {hold.id} is in force: nothing of this person is deleted until it is lifted."
    )
    return redirect(url_for("staff.people.show", recipient_id=recipient_id), code=303)


@routes.post("/people/<int:recipient_id>/export")
@auth.only(Role.PRIVACY)
def export(recipient_id: int) -> Response:
    """Give all that is kept of one person as a file, for an authority; on record.

    :raises BadInput: without whom it goes to, or a reason in a sentence.
    :raises NotFound: for somebody who wasn't found by their address just now, or is gone.
    """
    _require_found(recipient_id)
    with here().db.transaction() as session:
        done = disclosing.of_one(session, recipient_id, _demand())
    return _given(done)


@routes.post("/holds/<int:hold_id>/lift")
@auth.only(Role.PRIVACY)
def lift(hold_id: int) -> BaseResponse:
    """Lift a hold, and do what waited for it; done when this answers.

    :raises BadInput: without a reason in a sentence.
    :raises Conflict: for a hold that is lifted already.
    :raises NotFound: for a number that no hold has.
    """
    parts, because = here(), request.form.get("because", "")
    asked = privacy.Asked(Source.STAFF, auth.actor(), parts.hasher)
    with parts.db.transaction(Gate.TAKING) as session:
        done = privacy.lift(session, hold_id, asked, because=because, now=parts.clock())
    if done.erased is not None:
        wait_for_calls(parts.db, done.erased.calls)
        flash("Lifted, and the person is erased, as they had asked. The proof is below Erasures.")
    elif done.others:
        flash("Lifted. Another hold on the same person goes on.")
    else:
        flash("Lifted: the rules hold for this person again.")
    return redirect(url_for("staff.legal.show"), code=303)


@routes.post("/holds/<int:hold_id>/copy")
@auth.only(Role.PRIVACY)
def copy(hold_id: int) -> Response:
    """Give the sealed copy of an erased child's data as a file, for an authority; on record.

    :raises BadInput: without whom it goes to, or a reason in a sentence.
    :raises Conflict: where nothing is sealed.
    :raises NotFound: for a number that no hold has.
    """
    parts = here()
    with parts.db.transaction() as session:
        done = disclosing.of_held_child(session, parts.hasher, hold_id, _demand())
    return _given(done)


_DIGITS: Final = 9


def _require_found(recipient_id: int) -> None:
    """Refuse somebody who wasn't found by their exact address just now.

    :raises NotFound: for them, and for nobody at all.
    """
    parts = here()
    if looking.is_at(looking.PERSON, recipient_id, parts.clock()):
        with parts.db.reading() as session:
            if recipients.by_id(session, recipient_id) is not None:
                return
    msg = "Find the person by their exact address first; nothing was changed."
    raise NotFound(msg)


def _demand() -> Demand:
    form, parts = request.form, here()
    to_whom, reason = form.get("to", ""), form.get("reason", "")
    return Demand(to_whom, reason, auth.actor(), parts.clock(), parts.settings.time_zone)


def _given(done: Disclosed) -> Response:
    return _file(done.content, f"disclosure-{done.number}.json", "application/json")


def _file(content: bytes, name: str, kind: str) -> Response:
    answer = make_response(content)
    answer.headers["Content-Type"] = kind
    answer.headers["Content-Disposition"] = f"attachment; filename={name}"
    answer.headers["Cache-Control"] = "no-store"
    return answer
