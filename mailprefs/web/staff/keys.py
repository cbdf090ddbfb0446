"""Keys of programs, for admins: what they may do and until when; one can be taken back."""

from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from mailprefs import api_keys
from mailprefs.policy import Role
from mailprefs.web import auth
from mailprefs.web.current import here

routes = Blueprint("keys", __name__, url_prefix="/keys")


@routes.get("")
@auth.only(Role.ADMIN)
def listed() -> str:
    """List all keys, newest first."""
    with here().db.reading() as session:
        found = api_keys.listed(session)
    return render_template("staff/keys.html", keys=found, now=here().clock())


@routes.post("/<int:key_id>/revoke")
@auth.only(Role.ADMIN)
def revoke(key_id: int) -> Response:
    """Take a key back.

    :raises NotFound: for an unknown one.
    """
    parts = here()
    with parts.db.transaction() as session:
        api_keys.revoke(session, key_id, auth.actor(), now=parts.clock())
    flash("Taken back: the next request with this key is refused.")
    return redirect(url_for("staff.keys.listed"), code=303)
