"""One line a request: what was asked of which page, how it ended and how long it took.

The line names the endpoint, never the path: a path holds a token. No IP address, no user agent and
no query is written; ids that help to find a delivery again are added by the view.
"""

import logging
import time

from flask import Flask, Response, g, request

log = logging.getLogger("mailprefs.web")


def note(**ids: int) -> None:
    """Add ids (delivery=..., recipient=...) to the line of the present request."""
    g.setdefault("noted", {}).update(ids)


def install(app: Flask, *, untouched: frozenset[str]) -> None:
    """Log every request of *app* at level INFO, but those of the endpoints *untouched*."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def tell(response: Response) -> Response:
        if request.endpoint not in untouched:
            spent = (time.perf_counter() - g.get("started", time.perf_counter())) * 1000
            ids = "".join(f" {name}={value}" for name, value in g.get("noted", {}).items())
            place = request.endpoint or "nowhere"
            log.info("%s %s %d %.0f ms%s", _method(), place, response.status_code, spent, ids)
        return response


def _method() -> str:
    """Give the request's method if it is a known one: the rest is a text that a stranger chose."""
    known = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
    return request.method if request.method in known else "OTHER"
