"""Topics, and the audit: lists to read."""

from typing import Final

from flask import Blueprint, render_template, request
from sqlalchemy import func, select

from mailprefs import audit, subscriptions
from mailprefs.policy import MessageClass, Role, SubscriptionState
from mailprefs.schema.people import Subscription
from mailprefs.web import auth
from mailprefs.web import sign_up as asking
from mailprefs.web.current import here
from mailprefs.web.speaking import gettext, language
from mailprefs.web.staff import entries

PAGE: Final = 50
"""Entries of the audit on one page."""

routes = Blueprint("lists", __name__)


@routes.get("/topics")
@auth.only()
def topics() -> str:
    """List the topics with their class, their sender and how many people subscribed."""
    with here().db.reading() as session:
        found = subscriptions.topics(session)
        senders = {sender.id: sender for sender in subscriptions.senders(session)}
        counted = session.execute(
            select(Subscription.topic_id, func.count().label("n"))
            .where(Subscription.state == SubscriptionState.SUBSCRIBED)
            .group_by(Subscription.topic_id)
        )
        subscribed = {row.topic_id: row.n for row in counted}
    return render_template(
        "staff/topics.html", topics=found, senders=senders, subscribed=subscribed
    )


@routes.get("/topics/sign-up")
@auth.only()
def sign_up() -> str:
    """Show where people sign up for each topic: our page, and a form for other sites.

    The form speaks the language that is asked for (``?lang=``), else the browser's.
    """
    base_url, tag = here().settings.base_url, language().tag
    with here().db.reading() as session:
        found = subscriptions.topics(session, MessageClass.PROMOTIONAL)
    forms = {
        topic.slug: render_template(
            "public/_embedded_form.html",
            topic=topic,
            words=gettext(asking.WORDS),
            action=f"{base_url}{asking.PATH}?lang={tag}",
            policy_url=f"{base_url}/policy?lang={tag}",
        )
        for topic in found
    }
    return render_template(
        "staff/sign_up.html", topics=found, forms=forms, page=f"{base_url}{asking.PATH}"
    )


@routes.get("/audit")
@auth.only(Role.ADMIN, Role.PRIVACY)
def audit_entries() -> str:
    """Show who did what, newest first."""
    before = request.args.get("before", type=int)
    with here().db.reading() as session:
        found = audit.latest(session, limit=PAGE + 1, before_id=before)
        lines = entries.lines(session, found[:PAGE], zone=here().settings.time_zone)
    return render_template(
        "staff/audit.html",
        lines=lines,
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        before=before,
    )
