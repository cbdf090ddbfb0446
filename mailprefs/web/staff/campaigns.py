"""All campaigns, and how each one stands: sums, mailbox facts, opens, history."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from mailprefs import staff, subscriptions
from mailprefs.campaigns import archive, review, shown, states
from mailprefs.campaigns.shown import Overview
from mailprefs.deliveries import limits, pace
from mailprefs.reports.campaigns import DEFINITIONS, Report, report
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.people import Sender, Topic
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff.history import Event, history
from mailprefs.web.staff.previews import Previewed, previewed

MOVING: Final = frozenset({CampaignState.SCHEDULED, CampaignState.FREEZING, CampaignState.SENDING})
"""States that change by themselves: a page about one fetches its numbers again."""
STARTED: Final = frozenset(CampaignState) - {CampaignState.DRAFT, CampaignState.SCHEDULED}

routes = Blueprint("campaigns", __name__, url_prefix="/campaigns")


class Page(NamedTuple):
    """All that the page of one campaign shows."""

    overview: Overview
    campaign: Campaign
    topic: Topic
    sender: Sender
    preview: Previewed
    report: Report | None
    review: review.Review | None
    history: list[Event]
    names: dict[int, str]
    public_page: str | None


@routes.get("")
@auth.only()
def listed() -> str:
    """List the campaigns, newest first."""
    return render_template("staff/campaigns.html", **_rows())


@routes.get("/rows")
@auth.only()
def rows() -> str:
    """Give the list alone, for the page that shows it."""
    return render_template("staff/_campaign_rows.html", **_rows())


@routes.get("/<int:campaign_id>")
@auth.only()
def show(campaign_id: int) -> str:
    """Show one campaign."""
    return page_of(campaign_id)


@routes.get("/<int:campaign_id>/progress")
@auth.only()
def progress(campaign_id: int) -> str:
    """Give one campaign's numbers alone, for the page that shows them."""
    parts = here()
    with parts.db.reading() as session:
        found = overview_of(session, campaign_id)
    return render_template("staff/_progress.html", one=found, moving=found.state in MOVING)


@routes.get("/<int:campaign_id>/begins")
@auth.only()
def begins(campaign_id: int) -> str:
    """Give when a scheduled campaign begins, and how soon, for the page that counts down."""
    parts = here()
    with parts.db.reading() as session:
        found = shown.overview(session, campaign_id, now=parts.clock())
    return render_template("staff/_begins.html", one=found)


def page_of(campaign_id: int, trouble: str | None = None) -> str:
    """Give the page of one campaign; *trouble* says what was refused just now.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    with parts.db.reading() as session:
        page = _page(session, campaign_id)
    return render_template(
        "staff/campaign.html",
        page=page,
        one=page.overview,
        campaign=page.campaign,
        moving=page.overview.state in MOVING,
        started=_has_started(page.overview),
        definitions=DEFINITIONS,
        # The page tells the stop itself, so that the banner need not.
        stopped=bool(page.overview.halt and page.overview.halt.stopped_at),
        trouble=trouble,
    )


def overview_of(session: Session, campaign_id: int) -> Overview:
    """Show how a campaign stands, by the settings in force.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    return shown.overview_under(session, campaign_id, parts.settings, now=parts.clock())


def _page(session: Session, campaign_id: int) -> Page:
    parts = here()
    now = parts.clock()
    overview = overview_of(session, campaign_id)
    campaign = states.find(session, campaign_id)
    topic = session.get_one(Topic, campaign.topic_id)
    started = _has_started(overview)
    called = names(session)
    rounded = not auth.member().sees_exact_numbers
    return Page(
        overview=overview,
        campaign=campaign,
        topic=topic,
        sender=session.get_one(Sender, topic.sender_id),
        preview=previewed(session, campaign_id, request.args.get("person", "")),
        report=report(session, campaign_id, now=now, rounded=rounded) if started else None,
        review=None if started else _review(session, campaign_id, now),
        history=history(session, campaign, called),
        names=called,
        public_page=archive.address(session, campaign),
    )


def _review(session: Session, campaign_id: int, now: datetime) -> review.Review:
    return review.review(session, campaign_id, here().settings, now=now)


def _has_started(one: Overview) -> bool:
    """Tell whether anything of a campaign has begun; of one that was missed nothing has."""
    return one.state in STARTED and not one.is_missed


def names(session: Session) -> dict[int, str]:
    """Give the name of everybody who is or was on the staff, by id."""
    return {person.id: person.name for person, _ in staff.listed(session)}


def _rows() -> dict[str, Any]:
    parts = here()
    with parts.db.reading() as session:
        limited = parts.settings.limits
        found = shown.listed(session, now=parts.clock(), limited=limited)
        uses = limits.show(session, limited)
        topics = {topic.slug: topic.name for topic in subscriptions.topics(session)}
        paced = pace.show(session)
    return {
        "rows": found,
        "uses": uses,
        "topics": topics,
        "moving": any(one.state in MOVING for one in found),
        "stopped": paced.stopped_reason if paced.stopped_at else None,
    }
