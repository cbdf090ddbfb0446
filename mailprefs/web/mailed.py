"""Links about somebody's data that were mailed to the address on file, and are good once.

Asking shows what a button does, and changes nothing and uses nothing up, so that no program that
opens links does it. What the buttons do is in ``erasure`` and ``exports``.
"""

from flask import Response, make_response, render_template

from mailprefs.errors import BadToken
from mailprefs.policy import DataRequest
from mailprefs.privacy import requests
from mailprefs.web import standing
from mailprefs.web.current import here
from mailprefs.web.request_log import note


def show(kind: DataRequest, token: str, template: str) -> Response:
    """Show whom a link is for and its buttons, by the public page *template*."""
    parts, nonce, person = here(), read(kind, token), None
    if nonce is not None:
        with parts.db.reading() as session:
            number = requests.whose(session, kind, nonce, now=parts.clock())
            if number is not None:
                note(recipient=number)
                person = standing.of(session, number, parts.settings, now=parts.clock())
    if nonce is None or person is None:
        return over()
    return page(
        template,
        person=person,
        path=parts.links.request_path(kind, nonce),
        preferences_path=parts.links.preferences_path(person.recipient_id),
    )


def read(kind: DataRequest, token: str) -> bytes | None:
    """Give what a link's token holds; None for one that we never made."""
    try:
        return here().links.read_request(kind, token)
    except BadToken:
        return None


def over() -> Response:
    """Say that the link does nothing (any more): the same whether it was good once or never."""
    return page("request_over")


def page(name: str, **values: object) -> Response:
    """Give a public page."""
    return make_response(render_template(f"public/{name}.html", **values))
