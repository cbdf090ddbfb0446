"""The staff and their roles, for admins; a one-time link is shown once, to whoever made it."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from mailprefs import staff
from mailprefs.errors import BadInput, Conflict
from mailprefs.policy import Role
from mailprefs.web import auth
from mailprefs.web.current import here

routes = Blueprint("team", __name__, url_prefix="/team")


@routes.get("")
@auth.only(Role.ADMIN)
def listed() -> str:
    """List everybody on the staff, and show the form to add somebody."""
    return _page()


@routes.post("")
@auth.only(Role.ADMIN)
def add() -> str | tuple[str, int]:
    """Add somebody; shows their one-time link, this once."""
    parts = here()
    try:
        with parts.db.transaction() as session:
            person = staff.add(
                session,
                request.form.get("email", ""),
                request.form.get("name", ""),
                _roles(),
                auth.actor(),
                now=parts.clock(),
            )
            path = staff.sign_in_link(session, parts.links, person.id, now=parts.clock())
    except (BadInput, Conflict) as error:
        return _page(trouble=str(error)), 400
    return _page(link=_url(path), whose=person.name)


@routes.post("/<int:staff_id>/link")
@auth.only(Role.ADMIN)
def link(staff_id: int) -> str:
    """Make somebody a new one-time link; it is shown this once."""
    parts = here()
    with parts.db.transaction() as session:
        path = staff.sign_in_link(session, parts.links, staff_id, now=parts.clock())
        name = staff.by_id(session, staff_id).name
    return _page(link=_url(path), whose=name)


@routes.post("/<int:staff_id>/roles")
@auth.only(Role.ADMIN)
def give_roles(staff_id: int) -> Response | tuple[str, int]:
    """Give somebody exactly the roles that are ticked."""
    parts, wanted = here(), _roles()

    def change(session: Session) -> None:
        held = staff.roles_of(session, staff_id)
        for role in wanted - held:
            staff.grant(session, staff_id, role, auth.actor(), now=parts.clock())
        for role in held - wanted:
            staff.revoke(session, staff_id, role, auth.actor(), now=parts.clock())

    return _changed(change, "The roles are saved; they hold from the next page on.")


@routes.post("/<int:staff_id>/close")
@auth.only(Role.ADMIN)
def close(staff_id: int) -> Response | tuple[str, int]:
    """End somebody's access at once."""
    now = here().clock()
    return _changed(
        lambda session: staff.deactivate(session, staff_id, auth.actor(), now=now),
        "Closed. Every session and link of this person has ended.",
    )


@routes.post("/<int:staff_id>/open")
@auth.only(Role.ADMIN)
def reopen(staff_id: int) -> Response | tuple[str, int]:
    """Give somebody their access back, with the roles they had."""
    now = here().clock()
    return _changed(
        lambda session: staff.activate(session, staff_id, auth.actor(), now=now),
        "Open again. Make a one-time link if the password is forgotten.",
    )


def _changed(change: Callable[[Session], None], told: str) -> Response | tuple[str, int]:
    try:
        with here().db.transaction() as session:
            change(session)
    except Conflict as error:
        return _page(trouble=str(error)), 409
    flash(told)
    return redirect(url_for("staff.team.listed"), code=303)


def _page(*, link: str | None = None, whose: str | None = None, trouble: str | None = None) -> str:
    with here().db.reading() as session:
        people = staff.listed(session)
    return render_template(
        "staff/team.html",
        people=people,
        roles=list(Role),
        link=link,
        whose=whose,
        trouble=trouble,
        hours=int(staff.LINK_LASTS.total_seconds() // 3600),
    )


def _roles() -> frozenset[Role]:
    """Give the roles that are ticked.

    :raises BadInput: for a word that is no role.
    """
    try:
        return frozenset(Role(word) for word in request.form.getlist("role"))
    except ValueError as error:
        raise BadInput("One of the roles isn’t a role.") from error


def _url(path: str) -> str:
    return here().settings.base_url + path
