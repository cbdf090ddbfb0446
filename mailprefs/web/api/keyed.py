"""Routes for programs that bring a key along, in the header ``Authorization: Bearer KEY``.

A session of the staff pages is no key, so no page of anybody's can make a browser call these.
"""

from collections.abc import Callable
from typing import Final, cast

from flask import abort, g, jsonify, make_response, request

from mailprefs import api_keys
from mailprefs.api_keys import Held
from mailprefs.policy import KeyScope
from mailprefs.web.access import View, allowed_by
from mailprefs.web.current import here

_SCHEME: Final = "bearer"
_NO_KEY: Final = (
    "This needs a key, in the header Authorization: Bearer KEY. The one that came, if any, isn't "
    "ours, has ended or was taken back; an admin makes one: mailprefs key add NAME --scope ..."
)


def only(scope: KeyScope) -> Callable[[View], View]:
    """Give a decorator: only a key with *scope* may call the view."""

    def rule() -> None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        held = None
        if scheme.lower() == _SCHEME:
            with here().db.reading() as session:
                held = api_keys.holder(session, text.strip(), now=here().clock())
        if held is None:
            answer = make_response(jsonify(error=_NO_KEY), 401)
            answer.headers["WWW-Authenticate"] = "Bearer"
            abort(answer)
        held.require(scope)
        g.key = held

    return allowed_by(rule)


def key() -> Held:
    """Give the key of this request, behind a route's ``only`` rule."""
    return cast("Held", g.key)
