"""One's own account: the roles one has, and the password."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs import staff
from mailprefs.errors import BadInput
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.parts import Parts

routes = Blueprint("account", __name__, url_prefix="/account")


@routes.get("")
@auth.only()
def show() -> str:
    """Show one's roles, and the form to set or change one's password."""
    return _page()


@routes.post("/password")
@auth.only()
def change_password() -> Response | tuple[str, int]:
    """Set a password: all other sessions of this person end, this one goes on.

    Whoever has one already gives it first, so that a machine left open isn't enough.
    """
    parts, member = here(), auth.member()
    try:
        _check_current(parts, member)
        with parts.db.transaction() as session:
            new = request.form.get("new", "")
            staff.set_password(session, member.id, new, auth.actor(), now=parts.clock())
    except BadInput as error:
        return _page(str(error)), 400
    auth.begin(parts.db, member.id)
    flash("Your password is set. Every other place where you were signed in is signed out now.")
    return redirect(url_for("staff.account.show"), code=303)


def _check_current(parts: Parts, member: auth.Member) -> None:
    if not member.has_password:
        return
    with parts.db.reading() as session:
        found = staff.check_password(session, member.email, request.form.get("current", ""))
    if found is None or found.id != member.id:
        raise BadInput("The current password isn’t right, so nothing was changed.")


def _page(trouble: str | None = None) -> str:
    return render_template("staff/account.html", trouble=trouble, shortest=staff.SHORTEST_PASSWORD)
