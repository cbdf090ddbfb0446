"""The doors: signing in with a password or a one-time link, and signing out.

An answer never tells whether an address belongs to anybody. A GET never signs in, because mail
scanners open links.
"""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs import staff
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.visitors import Allowance, visitor

WINDOW: Final = timedelta(minutes=15)
TRIES_OF_ONE: Final = 10
"""At one account from one place in a window."""
TRIES_FROM_ONE_PLACE: Final = 50
TRIES_AT_ONE_ACCOUNT: Final = 200
"""From everywhere: so many that a stranger can't easily keep its owner out."""

_LIMITS: Final = "mailprefs_sign_in_limits"
_WRONG: Final = "Address and password don’t match. Try again, or ask an admin for a one-time link."
_TOO_OFTEN: Final = "Too many attempts. Wait a quarter of an hour, or use a one-time link."

routes = Blueprint("sign_in", __name__)


@routes.get("/sign-in")
@auth.door
def show() -> Response | str:
    """Show the form; whoever is signed in already goes on."""
    if auth.signed_in() is not None:
        return redirect(_onward(), code=303)
    return _form()


@routes.post("/sign-in")
@auth.door
def enter() -> Response | tuple[str, int]:
    """Sign in with address and password."""
    parts = here()
    email, password = request.form.get("email", ""), request.form.get("password", "")
    if not _may_try(email):
        return _form(_TOO_OFTEN, email), 429
    with parts.db.reading() as session:
        found = staff.check_password(session, email, password)
    if found is None:
        return _form(_WRONG, email), 401
    auth.begin(parts.db, found.id)
    return redirect(_onward(), code=303)


@routes.get("/sign-in/<token>")
@auth.door
def link(token: str) -> str:
    """Show one button; the link is used up by pressing it, not by opening the page.

    :raises BadToken: for a damaged link.
    """
    parts = here()
    nonce = parts.links.read_sign_in(token).nonce
    with parts.db.reading() as session:
        is_good = staff.link_is_good(session, nonce, now=parts.clock())
    return render_template("staff/sign_in_link.html", is_good=is_good)


@routes.post("/sign-in/<token>")
@auth.door
def redeem(token: str) -> Response:
    """Sign in by a one-time link.

    :raises BadToken: for a damaged link.
    :raises NotAllowed: for one that is used up or too old.
    """
    parts = here()
    nonce = parts.links.read_sign_in(token).nonce
    with parts.db.transaction() as session:
        staff_id = staff.redeem(session, nonce, now=parts.clock())
    auth.begin(parts.db, staff_id)
    if not auth.member().has_password:
        flash("You are signed in. Choose a password now, to sign in without a link next time.")
        return redirect(url_for("staff.account.show"), code=303)
    return redirect(url_for("staff.campaigns.listed"), code=303)


@routes.post("/sign-out")
@auth.only()
def leave() -> Response:
    """Sign out of this browser."""
    auth.end()
    flash("You are signed out.")
    return redirect(url_for("staff.sign_in.show"), code=303)


def _form(trouble: str | None = None, email: str = "") -> str:
    wanted = request.values.get("next", "")
    return render_template("staff/sign_in.html", trouble=trouble, email=email, next=wanted)


def _onward() -> str:
    """Give where to go after signing in: the staff page that was asked for, and nowhere else."""
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    if not (parts.scheme or parts.netloc) and parts.path.startswith("/staff/"):
        return parts.path
    return url_for("staff.campaigns.listed")


def _may_try(email: str) -> bool:
    """Count an attempt; tell whether it is still within every limit."""
    parts = here()
    found: tuple[Allowance, ...] = current_app.extensions.setdefault(
        _LIMITS,
        tuple(
            Allowance(most, WINDOW, parts.clock)
            for most in (TRIES_OF_ONE, TRIES_FROM_ONE_PLACE, TRIES_AT_ONE_ACCOUNT)
        ),
    )
    place = visitor(request.environ, parts.settings)
    account = email.strip().casefold()
    keys = (f"{account} {place}", place, account)
    # Each limit counts each attempt, also those that another one refuses.
    taken = [limit.take(key) for limit, key in zip(found, keys, strict=True)]
    return all(taken)
