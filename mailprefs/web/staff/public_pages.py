"""One button publishes a campaign for everybody, and one takes it back."""

from flask import Blueprint, flash, redirect, url_for
from werkzeug.wrappers import Response

from mailprefs.campaigns import archive
from mailprefs.campaigns.drafts import Company
from mailprefs.errors import MailprefsError
from mailprefs.policy import Role
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.errors import status_of
from mailprefs.web.staff.campaigns import page_of

Answer = Response | tuple[str, int]

routes = Blueprint("public_pages", __name__, url_prefix="/campaigns/<int:campaign_id>/public-page")


@routes.post("/publish")
@auth.only(Role.DRAFT, Role.SEND)
def publish(campaign_id: int) -> Answer:
    """Give a campaign a public page."""
    return _choose(campaign_id, wanted=True)


@routes.post("/withdraw")
@auth.only(Role.DRAFT, Role.SEND)
def withdraw(campaign_id: int) -> Answer:
    """Take a campaign's public page away."""
    return _choose(campaign_id, wanted=False)


def _choose(campaign_id: int, *, wanted: bool) -> Answer:
    parts = here()
    company = Company(parts.settings.contact, parts.settings.time_zone)
    choose = archive.publish if wanted else archive.withdraw
    try:
        with parts.db.transaction() as session:
            choose(session, campaign_id, auth.actor(), company=company, now=parts.clock())
    except MailprefsError as error:
        if status_of(error) >= 500:
            raise
        return page_of(campaign_id, str(error)), status_of(error)
    flash("It has a public page." if wanted else "The public page is withdrawn.")
    return redirect(url_for("staff.campaigns.show", campaign_id=campaign_id), code=303)
