"""Whether the service works, for monitors; and what crawlers are asked to leave alone."""

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from mailprefs.campaigns.publications import PATH
from mailprefs.errors import StoreUnavailable
from mailprefs.keys import installation_id
from mailprefs.web.current import here

_FOR_CRAWLERS = f"User-agent: *\nAllow: {PATH}\nDisallow: /\n"

routes = Blueprint("health", __name__)


@routes.get("/healthz")
def healthz() -> tuple[Response, int]:
    """Answer 200 while the database answers, else 503; pixels are served and kept either way.

    ``installation`` lets ``mailprefs doctor`` see that the address leads here and nowhere else.
    """
    parts = here()
    who = installation_id(parts.token_keys)
    try:
        with parts.db.reading() as session:
            session.execute(text("SELECT 1"))
    except StoreUnavailable:
        return jsonify(status="degraded", database="unreachable", installation=who), 503
    return jsonify(status="ok", database="ok", installation=who), 200


@routes.get("/robots.txt")
def robots() -> Response:
    """Ask crawlers to stay away from all but published messages; nothing relies on it."""
    return Response(_FOR_CRAWLERS, content_type="text/plain; charset=utf-8")
