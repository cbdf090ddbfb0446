"""The people who run mailprefs: their roles, how they sign in, and one-time links.

Passwords are kept as argon2 hashes, one-time links as SHA-256 of their random number. A new
password changes ``session_key``, which ends every session of that person. Every change is audited.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.addresses import normalise
from mailprefs.audit import CONSOLE, Actor
from mailprefs.db import dialects
from mailprefs.errors import BadInput, Conflict, NotAllowed, NotFound
from mailprefs.links import NONCE_BYTES, Links
from mailprefs.policy import Role
from mailprefs.schema.staff import SignInLink, Staff, StaffRole

LINK_LASTS: Final = timedelta(hours=24)
SHORTEST_PASSWORD: Final = 12
"""Characters; length is what counts (NIST SP 800-63B section 5.1.1.2), no rules on their kinds."""
LONGEST_PASSWORD: Final = 256

_LINK_IS_DEAD = "This sign-in link was used already or is too old; ask an admin for a new one."
# The parameters that argon2-cffi recommends (RFC 9106 section 4, low memory): 64 MB, 3 passes.
_passwords = PasswordHasher()


def add(  # noqa: PLR0913 - who, with what, by whom and when
    session: Session,
    email: str,
    name: str,
    roles: Iterable[Role],
    actor: Actor,
    *,
    now: datetime,
) -> Staff:
    """Add a member of staff, who signs in by a one-time link and then sets a password.

    :raises BadAddress: for a text that is no address.
    :raises Conflict: if somebody has this address already.
    """
    known_as = _email(email)
    if session.scalar(select(Staff.id).where(Staff.email == known_as)) is not None:
        msg = "There already is a member of staff with this address; give them the role instead."
        raise Conflict(msg)
    person = Staff(
        email=known_as,
        name=name.strip() or known_as.partition("@")[0],
        password_hash=None,
        session_key=_new_session_key(),
        active=True,
        created_at=now,
    )
    session.add(person)
    session.flush()
    held = sorted(set(roles))
    session.add_all(StaffRole(staff_id=person.id, role=role) for role in held)
    session.flush()
    _note(session, actor, "staff.added", person.id, now, roles=[role.value for role in held])
    return person


def by_email(session: Session, email: str) -> Staff:
    """Give the member of staff with this address, active or not.

    :raises NotFound: for nobody's address.
    """
    found = session.scalar(select(Staff).where(Staff.email == _email(email)))
    if found is None:
        msg = "Nobody on the staff has this address; `mailprefs staff list` shows who there is."
        raise NotFound(msg)
    return found


def by_id(session: Session, staff_id: int) -> Staff:
    """Give one member of staff.

    :raises NotFound: for an unknown id.
    """
    found = session.get(Staff, staff_id)
    if found is None:
        msg = f"There is no member of staff {staff_id}; `mailprefs staff list` shows who there is."
        raise NotFound(msg)
    return found


def by_session_key(session: Session, key: str) -> Staff | None:
    """Give the active member of staff whose session this is; None once it was ended."""
    return session.scalar(select(Staff).where(Staff.session_key == key, Staff.active.is_(True)))


def listed(session: Session) -> list[tuple[Staff, frozenset[Role]]]:
    """List everybody on the staff with their roles, in the order in which they were added."""
    held: dict[int, set[Role]] = {}
    for row in session.execute(select(StaffRole.staff_id, StaffRole.role)):
        held.setdefault(row.staff_id, set()).add(row.role)
    people = session.scalars(select(Staff).order_by(Staff.id))
    return [(person, frozenset(held.get(person.id, ()))) for person in people]


def roles_of(session: Session, staff_id: int) -> frozenset[Role]:
    """Give the roles of one member of staff; none for somebody who isn't active (any more)."""
    found = session.scalars(
        select(StaffRole.role)
        .join(Staff, Staff.id == StaffRole.staff_id)
        .where(Staff.id == staff_id, Staff.active.is_(True))
    )
    return frozenset(found)


def require(session: Session, actor: Actor, role: Role) -> None:
    """Let an active member of staff who holds *role* pass, and the operator at the console.

    No role implies another: an admin gives roles, also to themselves, and the audit shows it. The
    operator could change every row anyway; only an approval is never given by nobody.

    :raises NotAllowed: for everybody else, and where nobody is named.
    """
    if actor == CONSOLE and role is not Role.APPROVE:
        return
    if actor.staff_id is None:
        msg = (
            f"This needs a member of staff with the role {role.value}: say who acts "
            f"(on the command line: --as ADDRESS)."
        )
        raise NotAllowed(msg)
    if role not in roles_of(session, actor.staff_id):
        msg = f"This needs the role {role.value}; an admin can give it to you."
        raise NotAllowed(msg)


def grant(session: Session, staff_id: int, role: Role, actor: Actor, *, now: datetime) -> bool:
    """Give a role; tell whether that is new."""
    person = by_id(session, staff_id)
    added = session.execute(
        dialects.insert(session, StaffRole)
        .values(staff_id=person.id, role=role)
        .on_conflict_do_nothing()
        .returning(StaffRole.role)
    ).one_or_none()
    if added is not None:
        _note(session, actor, "staff.role_given", person.id, now, role=role.value)
    return added is not None


def revoke(session: Session, staff_id: int, role: Role, actor: Actor, *, now: datetime) -> bool:
    """Take a role away; tell whether it was held.

    :raises Conflict: for the last active admin's role, after which nobody could give any.
    """
    person = by_id(session, staff_id)
    if role not in roles_of(session, person.id):
        return False
    if role is Role.ADMIN:
        _keep_an_admin(session, person)
    session.execute(
        delete(StaffRole).where(StaffRole.staff_id == person.id, StaffRole.role == role)
    )
    _note(session, actor, "staff.role_taken", person.id, now, role=role.value)
    return True


def deactivate(session: Session, staff_id: int, actor: Actor, *, now: datetime) -> None:
    """End somebody's access at once: sessions, links and roles; their name stays in the audit.

    :raises Conflict: for the last active admin.
    """
    person = by_id(session, staff_id)
    if Role.ADMIN in roles_of(session, person.id):
        _keep_an_admin(session, person)
    person.active = False
    person.session_key = _new_session_key()
    session.flush()
    session.execute(delete(SignInLink).where(SignInLink.staff_id == person.id))
    _note(session, actor, "staff.deactivated", person.id, now)


def activate(session: Session, staff_id: int, actor: Actor, *, now: datetime) -> None:
    """Give somebody their access back, with the roles they had."""
    person = by_id(session, staff_id)
    person.active = True
    session.flush()
    _note(session, actor, "staff.activated", person.id, now)


def set_password(
    session: Session, staff_id: int, password: str, actor: Actor, *, now: datetime
) -> None:
    """Set a password, and end every session and every one-time link of that person.

    :raises BadInput: for one that is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        msg = (
            f"A password has at least {SHORTEST_PASSWORD} characters (a few words do well) "
            f"and at most {LONGEST_PASSWORD}."
        )
        raise BadInput(msg)
    person = by_id(session, staff_id)
    person.password_hash = _passwords.hash(password)
    person.session_key = _new_session_key()
    session.flush()
    session.execute(delete(SignInLink).where(SignInLink.staff_id == person.id))
    _note(session, actor, "staff.password_set", person.id, now)


def check_password(session: Session, email: str, password: str) -> Staff | None:
    """Give the active member of staff with this address and password, else None.

    It takes as long for an unknown address, so that nobody can find out who is on the staff.
    """
    try:
        person = by_email(session, email)
    except (NotFound, BadInput):
        person = None
    usable = person is not None and person.active and person.password_hash is not None
    kept = person.password_hash if person is not None and usable else None
    # A longer text than any password of ours would only keep argon2 busy.
    is_right = _matches(kept or _nobodys_hash(), password[: LONGEST_PASSWORD + 1])
    return person if usable and is_right else None


def sign_in_link(session: Session, links: Links, staff_id: int, *, now: datetime) -> str:
    """Make a link that signs one person in, once, within 24 hours; give its path.

    :raises NotAllowed: for somebody who isn't active.
    """
    person = by_id(session, staff_id)
    if not person.active:
        msg = f"Member of staff {staff_id} isn't active; activate them first."
        raise NotAllowed(msg)
    session.execute(
        delete(SignInLink).where(SignInLink.staff_id == staff_id, SignInLink.expires_at <= now)
    )
    nonce = secrets.token_bytes(NONCE_BYTES)
    session.add(
        SignInLink(
            nonce_hash=_hashed(nonce), staff_id=staff_id, expires_at=now + LINK_LASTS, used_at=None
        )
    )
    session.flush()
    return links.sign_in_path(nonce)


def redeem(session: Session, nonce: bytes, *, now: datetime) -> int:
    """Use a one-time link up; give the id of the member of staff whom it signs in.

    One statement, so that of two clicks at the same time one gets in.

    :raises NotAllowed: for a link that is unknown, used or too old, or of somebody inactive.
    """
    active = select(Staff.id).where(Staff.active.is_(True))
    used = session.execute(
        update(SignInLink)
        .where(
            SignInLink.nonce_hash == _hashed(nonce),
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > now,
            SignInLink.staff_id.in_(active),
        )
        .values(used_at=now)
        .returning(SignInLink.staff_id)
    )
    staff_id = used.scalar_one_or_none()
    if staff_id is None:
        raise NotAllowed(_LINK_IS_DEAD)
    _note(session, Actor(staff_id, "page"), "staff.signed_in_by_link", staff_id, now)
    return staff_id


def link_is_good(session: Session, nonce: bytes, *, now: datetime) -> bool:
    """Tell whether ``redeem`` would accept a link, without using it up: a GET changes nothing."""
    found = session.scalar(
        select(SignInLink.staff_id).where(
            SignInLink.nonce_hash == _hashed(nonce),
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > now,
        )
    )
    return found is not None


def _keep_an_admin(session: Session, leaving: Staff) -> None:
    # Locked, so that of two last admins who take each other's role at once, one keeps it.
    others: Sequence[int] = session.scalars(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(StaffRole.role == Role.ADMIN, Staff.active.is_(True))
        .with_for_update()
    ).all()
    if set(others) <= {leaving.id}:
        msg = "This is the last admin; make somebody else one first."
        raise Conflict(msg)


def _email(text: str) -> str:
    """Give an address as it is kept: one spelling, whatever case it is typed in."""
    return normalise(text).key


def _matches(kept: str, password: str) -> bool:
    try:
        return _passwords.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _passwords.hash(secrets.token_urlsafe())


def _new_session_key() -> str:
    return secrets.token_hex(32)


def _hashed(nonce: bytes) -> bytes:
    return sha256(nonce).digest()


def _note(
    session: Session, actor: Actor, action: str, staff_id: int, now: datetime, **details: object
) -> None:
    audit.record(session, actor, action, ("staff", staff_id), now=now, details=details)
