"""Keys with which a company's own programs ask for something: made, checked, and taken back.

A key is 256 random bits that only its holder has; what is stored is a hash, from which it can't be
told, and which finds it again. It may do what its scopes say, until its day, and nothing else.
"""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.audit import Actor
from mailprefs.errors import BadInput, NotAllowed, NotFound
from mailprefs.policy import KeyScope
from mailprefs.schema.staff import ApiKey

LONGEST: Final = timedelta(days=366)
"""How long a key may hold: whoever uses it for longer makes a new one, as nobody forgets a year."""
_MARK: Final = "mpk_"
_BYTES: Final = 32
_LONGEST_NAME: Final = 80


class Held(NamedTuple):
    """A key that a request brought along, and what it may do."""

    id: int
    scopes: frozenset[KeyScope]

    def require(self, scope: KeyScope) -> None:
        """Let pass what the key may do.

        :raises NotAllowed: for anything else.
        """
        if scope not in self.scopes:
            raise NotAllowed(f"This key lacks the scope {scope.value}; an admin can make one.")


def add(  # noqa: PLR0913 - what it is for, what it may do, until when, by whom and when
    session: Session,
    name: str,
    scopes: Collection[KeyScope],
    expires_at: datetime,
    actor: Actor,
    *,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key; give it with its text, which can't be had again.

    :raises BadInput: for a name that is none, no scope, and a day that is past or too far away.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise BadInput(f"Say in at most {_LONGEST_NAME} characters which program uses the key.")
    if not scopes:
        raise BadInput("A key needs a scope: what it may do.")
    if not now < expires_at <= now + LONGEST:
        raise BadInput(f"A key ends after today and within {LONGEST.days} days.")
    text = _MARK + secrets.token_urlsafe(_BYTES)
    words = sorted(scope.value for scope in set(scopes))
    key = ApiKey(
        name=name,
        key_hash=_hash(text),
        scopes=words,
        created_at=now,
        created_by=actor.staff_id,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    details = {"name": name, "scopes": words, "expires_at": expires_at.isoformat()}
    audit.record(session, actor, "api_key.added", ("api_key", key.id), now=now, details=details)
    return key, text


def holder(session: Session, text: str, *, now: datetime) -> Held | None:
    """Give what a key is good for; None for one that isn't ours, has ended or was taken back."""
    if not text.startswith(_MARK) or len(text) > 2 * len(_MARK) + 2 * _BYTES:
        return None
    key = session.scalar(select(ApiKey).where(ApiKey.key_hash == _hash(text)))
    if key is None or key.revoked_at is not None or key.expires_at <= now:
        return None
    known = set(KeyScope)
    return Held(key.id, frozenset(KeyScope(word) for word in key.scopes if word in known))


def note_use(session: Session, key_id: int, *, now: datetime) -> None:
    """Note the day on which a key was last used; once a day."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.last_used_on.is_distinct_from(now.date()))
        .values(last_used_on=now.date())
    )


def listed(session: Session) -> list[ApiKey]:
    """List all keys, newest first."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


def revoke(session: Session, key_id: int, actor: Actor, *, now: datetime) -> None:
    """Take a key back, for good; the next request with it is refused.

    :raises NotFound: for an unknown one.
    """
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"There is no key {key_id}.")
    if key.revoked_at is None:
        key.revoked_at = now
        audit.record(session, actor, "api_key.revoked", ("api_key", key_id), now=now)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
