"""Campaigns and their reports as JSON: the same objects that ``--json`` prints at the console.

Whoever asks is signed in at the staff pages: the browser's session is what is checked. Errors are
``{"error": sentence}`` with the status of ``web.errors``.
"""

from flask import Blueprint, Response, jsonify

from mailprefs.campaigns import shown
from mailprefs.policy import Role
from mailprefs.reports.campaigns import report
from mailprefs.web import auth
from mailprefs.web.current import here

READING_REPORTS = (Role.DRAFT, Role.SEND, Role.APPROVE, Role.ANALYSE, Role.ADMIN)
"""Who may read a campaign's report: everybody who works on campaigns or with their numbers."""

routes = Blueprint("api", __name__, url_prefix="/api")


@routes.get("/campaigns")
@auth.only(*READING_REPORTS)
def campaigns() -> Response:
    """List the newest campaigns, newest first."""
    parts = here()
    with parts.db.reading() as session:
        found = shown.listed(session, now=parts.clock())
    return jsonify(campaigns=[one.as_json() for one in found])


@routes.get("/campaigns/<int:campaign_id>")
@auth.only(*READING_REPORTS)
def campaign(campaign_id: int) -> Response:
    """Show one campaign: where everybody in it is.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    with parts.db.reading() as session:
        found = shown.overview(
            session, campaign_id, now=parts.clock(), settle_time=parts.settings.settle_time
        )
    return jsonify(found.as_json())


@routes.get("/campaigns/<int:campaign_id>/report")
@auth.only(*READING_REPORTS)
def campaign_report(campaign_id: int) -> Response:
    """Report one campaign's mail and opens; analysts get counts in fives.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    with parts.db.reading() as session:
        found = report(
            session,
            campaign_id,
            now=parts.clock(),
            rounded=not auth.member().sees_exact_numbers,
        )
    return jsonify(found.as_json())
