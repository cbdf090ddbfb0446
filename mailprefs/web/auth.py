"""Who is signed in: Flask-Security's sessions over our own ``staff`` rows, and each route's rule.

The session names a member of staff by ``staff.session_key``; a new password changes that key, which
ends every session of that person at once, wherever it runs. Passwords are hashed and checked by
``mailprefs.staff`` alone. Flask-Security stays out of every request that isn't about staff:
recipients' pages set no cookie and read none.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NoReturn, cast

from flask import Flask, abort, g, jsonify, make_response, redirect, request, session, url_for
from flask_login import current_user
from flask_security import RoleMixin, Security, UserDatastore, UserMixin, login_user, logout_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from mailprefs import staff
from mailprefs.audit import Actor
from mailprefs.db.database import Database
from mailprefs.errors import NotAllowed
from mailprefs.policy import Role
from mailprefs.schema.staff import Staff
from mailprefs.web.access import View, allowed_by

SESSION_LASTS: Final = timedelta(hours=12)
"""Counted from the last request: a working day, so that nobody is asked twice in one."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_FIELD: Final = "csrf_token"
_ROLES: Final = "mailprefs_roles"


class _Role(RoleMixin):
    """A role as Flask-Security asks for it."""

    def __init__(self, name: str) -> None:
        self.name = name


class Member(UserMixin):
    """A member of staff, as the session of one request knows them."""

    fs_uniquifier = ""

    def __init__(self, row: Staff, held: frozenset[Role]) -> None:
        self.id = row.id
        self.name = row.name
        self.email = row.email
        self.active = row.active
        self.has_password = row.password_hash is not None
        self.fs_uniquifier = row.session_key
        self.held = held
        self.roles = [_Role(role.value) for role in held]

    def holds(self, *roles: Role) -> bool:
        """Tell whether this person has at least one of *roles*."""
        return not self.held.isdisjoint(roles)

    @property
    def sees_exact_numbers(self) -> bool:
        """Tell whether open counts are shown exactly; whoever only analyses gets them in fives."""
        return bool(self.held - {Role.ANALYSE})


class _StaffRows(UserDatastore):
    """What Flask-Security asks of the store: whose session is this."""

    def __init__(self, db: Database) -> None:
        super().__init__(Member, _Role)
        self._db = db

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> Member | None:  # noqa: ANN401, FBT001, FBT002 - Flask-Security's signature
        """Give the active member of staff that a session names, or None."""
        del case_insensitive
        with self._db.reading() as read:
            row = staff.by_session_key(read, str(kwargs["fs_uniquifier"]))
            return None if row is None else Member(row, staff.roles_of(read, row.id))


def install(app: Flask, db: Database) -> None:
    """Give *app* staff sessions, without a hook on any request that doesn't ask for them."""
    app.config.update(
        PERMANENT_SESSION_LIFETIME=SESSION_LASTS,
        # Staff pages renew it themselves; on a recipient's page nobody gets a cookie.
        SESSION_REFRESH_EACH_REQUEST=False,
        # No hash of a staff member's address and browser in the cookie.
        SESSION_PROTECTION=None,
        # Never used, as mailprefs.staff hashes; Flask-Security refuses to start without one.
        SECURITY_PASSWORD_SALT=app.config["SECRET_KEY"].hex(),
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106 - the name of an algorithm
        # A form that stood open over lunch still works; the session is what ends.
        WTF_CSRF_TIME_LIMIT=None,
    )
    hooks: tuple[dict[Any, list[Any]], ...] = (
        app.before_request_funcs,
        app.after_request_funcs,
        app.template_context_processors,
    )
    before = [list(hook[None]) for hook in hooks]
    security = Security(app, _StaffRows(db), register_blueprint=False)
    # What it hooked into every request would read the session on recipients' pages too.
    for hook, kept in zip(hooks, before, strict=True):
        hook[None][:] = kept
    # No sign-in by a token in a header or query.
    security.login_manager.request_loader(lambda _: None)  # type: ignore[no-untyped-call]  # the package has no types


def only(*roles: Role) -> Callable[[View], View]:
    """Give a decorator: only staff who have one of *roles* may call the view.

    Without roles, every signed-in member of staff may. Whoever isn't signed in is sent to do so.
    """

    def rule() -> None:
        member = signed_in()
        if member is None:
            _ask_to_sign_in()
        if roles and not member.holds(*roles):
            names = " or ".join(role.value for role in roles)
            raise NotAllowed(f"This needs the role {names}; an admin can give it to you.")

    def decorate(view: View) -> View:
        setattr(view, _ROLES, frozenset(roles))
        return allowed_by(rule)(view)

    return decorate


def door(view: View) -> View:
    """Mark a view that leads in: whoever isn't signed in yet may see it."""
    setattr(view, _ROLES, None)
    return allowed_by(lambda: None)(view)


def roles_for(view: Callable[..., Any]) -> frozenset[Role] | None:
    """Give the roles that may call a view: empty for all staff, None for the doors."""
    return cast("frozenset[Role] | None", getattr(view, _ROLES))


def signed_in() -> Member | None:
    """Give the member of staff who asks, or None; reads the store once a request."""
    if "member" not in g:
        current = cast("Any", current_user)._get_current_object()  # noqa: SLF001 - the documented way to the object behind a proxy
        g.member = current if isinstance(current, Member) else None
        if g.member is not None:
            session.modified = True  # so that its twelve hours begin again
    return cast("Member | None", g.member)


def member() -> Member:
    """Give the member of staff who asks, behind a route's ``only`` rule."""
    found = signed_in()
    if found is None:
        _ask_to_sign_in()
    return found


def actor(door_name: str = "page") -> Actor:
    """Give who acts, for the audit."""
    return Actor(member().id, door_name)


def begin(db: Database, staff_id: int) -> None:
    """Begin a session of a member of staff who has just shown who they are.

    :raises NotAllowed: for somebody who isn't active (any more).
    """
    with db.reading() as read:
        row = staff.by_id(read, staff_id)
        if not row.active:
            raise NotAllowed("This account is closed; an admin can open it again.")
        found = Member(row, staff.roles_of(read, row.id))
    session.clear()
    session.permanent = True
    login_user(found, remember=False)
    session.pop("_id", None)
    g.member = found


def end() -> None:
    """End the session of this browser."""
    logout_user()
    session.clear()
    g.member = None


def check_form() -> None:
    """Refuse a form that isn't from a page of ours, shown to this same browser.

    :raises NotAllowed: without a valid token.
    """
    if request.method in SAFE_METHODS:
        return
    try:
        validate_csrf(request.form.get(FORM_FIELD))  # type: ignore[no-untyped-call]  # the package has no types
    except ValidationError:
        raise NotAllowed(
            "This form is out of date, so nothing was changed. Go back, load the page again and "
            "repeat it; if that doesn’t help, sign in again."
        ) from None


def form_token() -> str:
    """Give what a form of ours carries so that ``check_form`` lets it pass."""
    return cast("str", generate_csrf())  # type: ignore[no-untyped-call]  # the package has no types


def _ask_to_sign_in() -> NoReturn:
    if request.path.startswith("/api/"):
        answer = jsonify(error="Sign in to the staff pages first, then ask again.")
        abort(make_response(answer, 401))
    wanted = request.path if request.method in SAFE_METHODS else None
    abort(redirect(url_for("staff.sign_in.show", next=wanted), code=303))
