"""Campaigns and their reports as JSON: the same objects that ``--json`` prints at the console.

Whoever asks is signed in at the staff pages: the browser's session is what is checked. What changes
something takes a key instead (``keyed``), and no session will do. Errors are
``{"error": sentence}`` with the status of ``web.errors``. What there is, and what each answer
looks like, stands in ``/api/openapi.json``.
"""

from flask import Blueprint, Response, jsonify

from mailprefs.campaigns import shown
from mailprefs.web import auth
from mailprefs.web.api import asking, choices, reports, sign_ups
from mailprefs.web.api.openapi import document
from mailprefs.web.api.reports import READING_REPORTS
from mailprefs.web.current import here

routes = Blueprint("api", __name__, url_prefix="/api")
routes.register_blueprint(reports.routes)
routes.register_blueprint(choices.routes)
routes.register_blueprint(sign_ups.routes)
routes.before_request(asking.refuse_unknown)


@routes.get("/openapi.json")
@auth.only(*READING_REPORTS)
def openapi() -> Response:
    """Describe this API (OpenAPI 3.1)."""
    return jsonify(document())


@routes.get("/campaigns")
@auth.only(*READING_REPORTS)
def campaigns() -> Response:
    """List the newest campaigns, newest first."""
    parts = here()
    with parts.db.reading() as session:
        found = shown.listed(session, now=parts.clock(), limited=parts.settings.limits)
    return jsonify(campaigns=[one.as_json() for one in found])


@routes.get("/campaigns/<int:campaign_id>")
@auth.only(*READING_REPORTS)
def campaign(campaign_id: int) -> Response:
    """Show one campaign: where everybody in it is.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    with parts.db.reading() as session:
        found = shown.overview_under(session, campaign_id, parts.settings, now=parts.clock())
    return jsonify(found.as_json())
