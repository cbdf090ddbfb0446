"""The privacy policy as the company wrote it: in force, each former version, what has changed.

An announced version has its page too, since its notice leads there; one that was withdrawn has
none.
"""

from datetime import datetime
from typing import Final, NamedTuple

import mistune
from flask import Blueprint, render_template
from markupsafe import Markup
from sqlalchemy.orm import Session

from mailprefs import consent
from mailprefs.errors import NotFound
from mailprefs.notices import differences, writing
from mailprefs.notices.differences import Passage, What
from mailprefs.notices.versions import before, standing
from mailprefs.schema.choices import PolicyState, PolicyVersion
from mailprefs.web.current import here

_AROUND: Final = 1
"""So many blocks that are the same are shown on either side of a change; the others are folded."""

routes = Blueprint("policy", __name__)

# HTML in the text is shown as text: what is published can't put a script or a picture of somebody
# else's on our pages.
_to_html = mistune.create_markdown(escape=True, plugins=["table"])


class Listed(NamedTuple):
    """A version in the list of all, with the page of what it changed, if it isn't the first."""

    version: PolicyVersion
    standing: str
    path: str
    changes: str | None


class Stretch(NamedTuple):
    """Some passages in a row; *is_folded*: all the same, shown on request."""

    is_folded: bool
    passages: tuple[Passage, ...]


@routes.get("/policy")
def show() -> tuple[str, int]:
    """Show the policy in force; 404 with a sentence while none has been published."""
    parts = here()
    with parts.db.reading() as session:
        now = parts.clock()
        version = consent.current_policy(session, now)
        listed = _listed(session, now)
    if version is None:
        return render_template("public/policy.html", policy=None, text="", listed=[]), 404
    return _page(version, "in force", listed), 200


@routes.get("/policy/<version>")
def show_version(version: str) -> str:
    """Show one version, whatever its standing.

    :raises NotFound: for a name that is no version's.
    """
    parts = here()
    with parts.db.reading() as session:
        now = parts.clock()
        found = _public(session, version)
        stands = standing(found, consent.current_policy(session, now), now)
        listed = _listed(session, now)
    return _page(found, stands, listed)


@routes.get("/policy/<old>/changes/<new>")
def changes(old: str, new: str) -> str:
    """Show what is different between two versions, in words.

    :raises NotFound: for a name that is no version's.
    """
    with here().db.reading() as session:
        first, second = _public(session, old), _public(session, new)
    found = differences.compare(first.text, second.text)
    return render_template(
        "public/policy_changes.html",
        old=first,
        new=second,
        changes=found.changes,
        stretches=_stretches(found.passages),
        path_of=writing.path,
    )


def as_html(text: str) -> Markup:
    """Give a policy's text as it is shown."""
    return Markup(_to_html(text))  # noqa: S704 - the renderer escapes everything


def _page(version: PolicyVersion, stands: str, listed: list[Listed]) -> str:
    return render_template(
        "public/policy.html",
        policy=version,
        standing=stands,
        text=as_html(version.text),
        listed=listed,
    )


def _public(session: Session, name: str) -> PolicyVersion:
    found = consent.version(session, name)
    if found.state is PolicyState.WITHDRAWN:
        raise NotFound("This version of the policy was withdrawn before it took effect.")
    return found


def _listed(session: Session, now: datetime) -> list[Listed]:
    """List all versions that anybody was or is told of, the newest first."""
    current = consent.current_policy(session, now)
    listed = []
    for one in reversed(consent.versions(session)):
        if one.state is PolicyState.WITHDRAWN:
            continue
        former = before(session, one)
        listed.append(
            Listed(
                one,
                standing(one, current, now),
                writing.path(one.version),
                writing.path_of_changes(former.version, one.version) if former else None,
            )
        )
    return listed


def _stretches(passages: tuple[Passage, ...]) -> list[Stretch]:
    """Fold what is the same and not beside a change."""
    changed = [n for n, one in enumerate(passages) if one.what is not What.SAME]
    near = {n + step for n in changed for step in range(-_AROUND, _AROUND + 1)}
    stretches: list[Stretch] = []
    for n, one in enumerate(passages):
        is_folded = n not in near
        if stretches and stretches[-1].is_folded is is_folded:
            stretches[-1] = Stretch(is_folded, (*stretches[-1].passages, one))
        else:
            stretches.append(Stretch(is_folded, (one,)))
    return stretches
