"""Reports for people: a list, one campaign, topics by month, campaigns side by side, and how."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs.opens import RECORDED_FOR
from mailprefs.policy import LeavingReason, Role
from mailprefs.preferences import reasons
from mailprefs.reports import catalogue, cells, leaving, releases, statistic
from mailprefs.reports.breakdowns import MEANING
from mailprefs.reports.campaigns import DEFINITIONS, Report, find, report
from mailprefs.reports.cells import Rule
from mailprefs.reports.statistic import Doubt, Estimate, Seen
from mailprefs.web import auth
from mailprefs.web.api import asking
from mailprefs.web.api.reports import READING_REPORTS, rounded
from mailprefs.web.current import here

WHY: Final = {
    LeavingReason.TOO_MANY: "Too many mails",
    LeavingReason.NOT_RELEVANT: "Not relevant",
    LeavingReason.NEVER_SIGNED_UP: "Never signed up",
    LeavingReason.OTHER: "Something else",
}
"""Why people left, for the head of a table."""
RELEASING: Final = (Role.DRAFT, Role.SEND, Role.APPROVE, Role.ADMIN)
"""Who may ask for a campaign's first numbers before they come by themselves."""
EXAMPLE: Final = Seen(delivered=1_000, apple=500, others_opened=150, apple_opened=10, loaded=640)
"""A made-up campaign that the page about the formula works through."""

routes = Blueprint("reports", __name__, url_prefix="/reports")


class Page(NamedTuple):
    """What the part about opens shows, also on a campaign's own page."""

    report: Report


class Worked(NamedTuple):
    """The worked example: its counts, and what the product's own function makes of them."""

    seen: Seen
    estimate: Estimate
    reported: float
    confirmed: float
    observed: float
    size: float


@routes.get("")
@auth.only(*READING_REPORTS)
def listed() -> str:
    """List the campaigns that have gone out, newest first."""
    with here().db.reading() as session:
        rows = catalogue.listed(session, rounded=rounded())
    return render_template("staff/reports.html", rows=rows)


@routes.get("/<int:campaign_id>")
@auth.only(*READING_REPORTS)
def show(campaign_id: int) -> str:
    """Show one campaign's report.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    with parts.db.reading() as session:
        found = report(session, campaign_id, now=parts.clock(), rounded=rounded())
        release = releases.stored(session, campaign_id)
    return render_template(
        "staff/report.html",
        page=Page(found),
        definitions=DEFINITIONS,
        meaning=MEANING,
        may_release=release is None and found.begun_at is not None,
        releasing=RELEASING,
        first_at=found.begun_at and found.begun_at + releases.EVERY,
    )


@routes.post("/<int:campaign_id>/release")
@auth.only(*RELEASING)
def release(campaign_id: int) -> Response:
    """Release a campaign's first numbers now, if they tell of nobody.

    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    rule = Rule(people=parts.settings.least_people)
    with parts.db.transaction() as session:
        campaign = find(session, campaign_id)
        done = releases.ask(session, campaign, auth.actor(), now=parts.clock(), rule=rule)
    if done:
        flash(
            "The first numbers are released; the next ones come in a day at the earliest.", "good"
        )
    else:
        flash(
            f"No new numbers are released: they need at least {rule.people} measured people, and "
            "they are looked at once a day.",
            "warn",
        )
    return redirect(url_for("staff.reports.show", campaign_id=campaign_id), code=303)


@routes.get("/topics")
@auth.only(*READING_REPORTS)
def topics() -> str:
    """Show every topic's months."""
    parts = here()
    rule = Rule(people=parts.settings.least_people)
    before = reasons.month(parts.clock(), parts.settings.time_zone)
    with parts.db.reading() as session:
        months = catalogue.months(session, rounded=rounded())
        left, untold = leaving.months(session, before=before, rounded=rounded(), rule=rule)
    return render_template(
        "staff/report_topics.html",
        topics=_by_topic(months),
        left=left,
        untold=untold,
        people=rule.people,
        why=WHY,
    )


@routes.get("/compare")
@auth.only(*READING_REPORTS)
def compare() -> str:
    """Put campaigns side by side.

    :raises BadInput: for fewer than two campaigns, or too many.
    :raises NotFound: for an unknown campaign.
    """
    parts = here()
    asked = asking.campaigns()
    with parts.db.reading() as session:
        choices = catalogue.listed(session, rounded=rounded())
        reports: list[Report] = []
        pairs: list[catalogue.Pair] = []
        if asked:
            reports, pairs = catalogue.compared(
                session, asked, now=parts.clock(), rounded=rounded()
            )
    return render_template(
        "staff/report_compare.html",
        choices=[one for one in choices if one.opens is not None],
        asked=asked,
        reports=reports,
        pairs=pairs,
        most=catalogue.MOST_COMPARED,
        query=request.query_string.decode("ascii", "replace"),
    )


@routes.get("/how")
@auth.only(*READING_REPORTS)
def how() -> str:
    """Explain how everything is computed, with an example that the product itself works out."""
    parts = here()
    return render_template(
        "staff/report_how.html",
        worked=_worked(EXAMPLE),
        definitions=DEFINITIONS,
        meaning=MEANING,
        doubts=[doubt.sentence for doubt in Doubt],
        people=parts.settings.least_people,
        fewest=cells.FEWEST,
        fives=cells.ROUNDED_TO,
        less=statistic.LESS,
        more=statistic.MORE,
        days=RECORDED_FOR.days,
    )


def _worked(seen: Seen) -> Worked:
    return Worked(
        seen=seen,
        estimate=statistic.estimate(seen),
        reported=seen.loaded / seen.delivered,
        confirmed=seen.opened / seen.delivered,
        observed=seen.others_opened / seen.others,
        size=seen.others * seen.delivered / seen.apple,
    )


def _by_topic(months: Sequence[catalogue.Month]) -> dict[str, list[catalogue.Month]]:
    found: dict[str, list[catalogue.Month]] = {}
    for month in months:
        found.setdefault(month.topic_name, []).append(month)
    return found
