"""How a token stands in a path: as whatever came back of it, so that links can repair it."""

from flask import Flask
from werkzeug.routing import BaseConverter

NAME = "token"


class Mangled(BaseConverter):
    """Takes the rest of a path, whatever it is: slashes, line breaks, nothing at all.

    Werkzeug's own ``path`` refuses a break and a slash at the start, both of which mail clients put
    in; such a link would be a 404 here, and a one-click POST would be lost.
    """

    regex = "(?s:.*)"
    part_isolating = False
    # After every rule that says more.
    weight = 300


def install(app: Flask) -> None:
    """Let rules of *app* say ``<token:name>``."""
    # A redirect would lose a one-click POST (RFC 8058 section 3.1); "//u/..." is read as it is.
    app.url_map.merge_slashes = False
    app.url_map.converters[NAME] = Mangled
