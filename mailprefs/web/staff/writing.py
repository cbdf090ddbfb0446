"""Writing campaigns: a new one, and changes to a draft."""

from typing import Final, NamedTuple

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from mailprefs import subscriptions
from mailprefs.campaigns import drafts, publications, states
from mailprefs.campaigns.drafts import Company, Draft
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.policy import LegalPurpose, MessageClass, Role
from mailprefs.schema.campaigns import CampaignState, SourceFormat
from mailprefs.schema.people import Topic
from mailprefs.web import auth
from mailprefs.web.current import here

_STARTING_BODY: Final = "Hello {{ first_name | “there” }},\n\n".replace("“", '"').replace("”", '"')

routes = Blueprint("writing", __name__, url_prefix="/campaigns")


class Form(NamedTuple):
    """What stands in the form's fields."""

    topic: str = ""
    subject: str = ""
    body: str = _STARTING_BODY
    format: str = SourceFormat.MARKDOWN.value
    name: str = ""
    purpose: str = ""
    reason: str = ""
    public: str = ""


@routes.get("/new")
@auth.only(Role.DRAFT)
def new() -> str:
    """Show an empty form; the first promotional topic is chosen."""
    return _page(Form(), None)


@routes.post("/new")
@auth.only(Role.DRAFT)
def create() -> Response | tuple[str, int]:
    """Store a new draft, or show the form again with what is wrong with it."""
    parts, form = here(), _filled()
    try:
        with parts.db.transaction() as session:
            number = drafts.create(
                session, _draft(form), auth.actor(), company=_company(), now=parts.clock()
            )
    except (BadInput, Conflict, NotFound) as error:
        return _page(form, None, str(error)), 400
    flash("The draft is saved. Look at it, check it, and send yourself a test.")
    return redirect(url_for("staff.campaigns.show", campaign_id=number), code=303)


@routes.get("/<int:campaign_id>/edit")
@auth.only(Role.DRAFT)
def edit(campaign_id: int) -> str:
    """Show a draft in the form.

    :raises Conflict: for a campaign that isn't a draft, or is a policy version's notice.
    """
    parts = here()
    with parts.db.reading() as session:
        campaign = states.find(session, campaign_id)
        if campaign.state is not CampaignState.DRAFT:
            raise Conflict("Only a draft can be changed. Undo the send first, while it waits.")
        drafts.require_written(campaign)
        content = drafts.content(session, campaign)
        topic = session.get_one(Topic, campaign.topic_id)
        is_public = publications.is_public(session, campaign_id)
    form = Form(
        topic=topic.slug,
        subject=content.subject_source,
        body=content.body_source,
        format=content.format.value,
        name="" if campaign.name == content.subject_source else campaign.name,
        purpose=campaign.purpose.value if campaign.purpose else "",
        reason=campaign.reason or "",
        public="yes" if is_public else "",
    )
    return _page(form, campaign_id)


@routes.post("/<int:campaign_id>/edit")
@auth.only(Role.DRAFT)
def change(campaign_id: int) -> Response | tuple[str, int]:
    """Store a changed draft, or show the form again with what is wrong with it."""
    parts, form = here(), _filled()
    try:
        with parts.db.transaction() as session:
            drafts.edit(
                session,
                campaign_id,
                _draft(form),
                auth.actor(),
                company=_company(),
                now=parts.clock(),
            )
    except (BadInput, Conflict) as error:
        return _page(form, campaign_id, str(error)), 400
    flash("The change is saved. An approval that this campaign had is void.")
    return redirect(url_for("staff.campaigns.show", campaign_id=campaign_id), code=303)


def _page(form: Form, campaign_id: int | None, trouble: str | None = None) -> str:
    with here().db.reading() as session:
        topics = {kind: subscriptions.topics(session, kind) for kind in MessageClass}
    if not form.topic and topics[MessageClass.PROMOTIONAL]:
        form = form._replace(topic=topics[MessageClass.PROMOTIONAL][0].slug)
    return render_template(
        "staff/write.html",
        form=form,
        campaign_id=campaign_id,
        topics=topics,
        classes=MessageClass,
        trouble=trouble,
    )


def _filled() -> Form:
    """Give what was filled in, with the line ends that everything else uses."""
    given = {name: request.form.get(name, "") for name in Form._fields}
    return Form(**given | {"body": given["body"].replace("\r\n", "\n")})


def _draft(form: Form) -> Draft:
    """Give the draft that a form describes.

    :raises BadInput: for an empty field, or a format or purpose that isn't one.
    """
    if not form.topic or not form.subject.strip() or not form.body.strip():
        raise BadInput("A campaign needs a topic, a subject and a text.")
    try:
        return Draft(
            topic=form.topic,
            subject=form.subject.strip(),
            body=form.body,
            format=SourceFormat(form.format),
            name=form.name.strip() or None,
            purpose=LegalPurpose(form.purpose) if form.purpose else None,
            reason=form.reason.strip() or None,
            public=bool(form.public),
        )
    except ValueError as error:
        raise BadInput("The format or the purpose isn’t one of those offered.") from error


def _company() -> Company:
    settings = here().settings
    return Company(settings.contact, settings.time_zone)
