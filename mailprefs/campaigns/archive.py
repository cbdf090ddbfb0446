"""The public pages of campaigns: who opens and closes them, and what everybody may read there.

A page shows what was sent: the contents of the revision that the freeze took, which can't change.
Before a campaign has begun there is none, whatever its staff chose.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from mailprefs import audit, staff
from mailprefs.audit import Actor
from mailprefs.campaigns import drafts, publications, states
from mailprefs.campaigns.drafts import Company
from mailprefs.errors import Conflict, NotFound
from mailprefs.languages import gettext_noop
from mailprefs.policy import Role
from mailprefs.rendering.public import Public, public
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, Publication
from mailprefs.schema.people import Sender, Topic

ASK_PATH: Final = "/fresh-link"
"""Where links lead that would be a person's own: one asks there for a link by mail."""
PAGE: Final = 50
"""Messages in one page of a list."""
IN_FEED: Final = 20
_NOT_PUBLIC: Final = gettext_noop("This message isn’t public, or isn’t any more.")
_NO_LIST: Final = gettext_noop("There is no list of messages here.")


class Place(NamedTuple):
    """A topic with public messages, and who sends it."""

    topic: Topic
    sender: Sender

    @property
    def path(self) -> str:
        """Give where its list is, on any host of the installation."""
        return f"{publications.PATH}/{self.topic.slug}"


class Message(NamedTuple):
    """One public message: its campaign, its address, and its content in one language."""

    campaign_id: int
    slug: str
    sent_at: datetime
    language: str
    shown: Public


def publish(
    session: Session, campaign_id: int, actor: Actor, *, company: Company, now: datetime
) -> None:
    """Give a campaign a public page; a draft gets the link to it with its next revision.

    :raises BadInput: for an administrative campaign.
    :raises Conflict: if it has one already.
    """
    _choose(session, campaign_id, actor, company=company, now=now, wanted=True)


def withdraw(
    session: Session, campaign_id: int, actor: Actor, *, company: Company, now: datetime
) -> None:
    """Take a campaign's public page away, at once; its address is kept.

    :raises Conflict: if it has none.
    """
    _choose(session, campaign_id, actor, company=company, now=now, wanted=False)


def address(session: Session, campaign: Campaign) -> str | None:
    """Give where a campaign's public page is or will be; None if its staff chose none."""
    found = session.get(Publication, campaign.id)
    if found is None or not found.is_public:
        return None
    topic = session.get_one(Topic, campaign.topic_id)
    sender = session.get_one(Sender, topic.sender_id)
    return publications.url(sender.base_url, topic.slug, found.slug)


def places(session: Session) -> list[Place]:
    """List the topics that have public messages, in the order in which they were made."""
    some = _rows().with_only_columns(Campaign.topic_id)
    rows = session.execute(
        select(Topic, Sender)
        .join(Sender, Sender.id == Topic.sender_id)
        .where(Topic.id.in_(some))
        .order_by(Topic.id)
    )
    return [Place(topic, sender) for topic, sender in rows]


def place(session: Session, slug: str) -> Place:
    """Give one topic that has, or may have, public messages.

    :raises NotFound: for an unknown or an administrative one.
    """
    row = session.execute(
        select(Topic, Sender).join(Sender, Sender.id == Topic.sender_id).where(Topic.slug == slug)
    ).one_or_none()
    if row is None or not row[0].message_class.may_be_public:
        raise NotFound(_NO_LIST)
    return Place(*row)


def messages(
    session: Session, where: Place, tag: str, *, before: int | None = None, most: int = PAGE
) -> list[Message]:
    """List a topic's public messages, the newest first, each in the language that fits *tag*.

    *before*: only campaigns of lower numbers.
    """
    query = _rows().where(Campaign.topic_id == where.topic.id)
    if before is not None:
        query = query.where(Campaign.id < before)
    rows = session.execute(query.order_by(Campaign.id.desc()).limit(most)).all()
    return [_message(session, where, row, tag) for row in rows]


def message(session: Session, where: Place, slug: str, tag: str) -> Message:
    """Give one public message, in the language that fits *tag*.

    :raises NotFound: unless it is public and has begun to be sent.
    """
    query = _rows().where(Campaign.topic_id == where.topic.id, Publication.slug == slug)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(_NOT_PUBLIC)
    return _message(session, where, row, tag)


def _choose(  # noqa: PLR0913 - whose page, by whom, where, when, and whether
    session: Session,
    campaign_id: int,
    actor: Actor,
    *,
    company: Company,
    now: datetime,
    wanted: bool,
) -> None:
    campaign = states.find(session, campaign_id)
    # Whoever presses at the same time waits, and finds it done.
    session.refresh(campaign, with_for_update=True)
    is_draft = campaign.state is CampaignState.DRAFT
    staff.require(session, actor, Role.DRAFT if is_draft else Role.SEND)
    topic = session.get_one(Topic, campaign.topic_id)
    if wanted:
        publications.check_class(topic)
    if publications.is_public(session, campaign_id) is wanted:
        has = "is to have a public page already" if wanted else "has no public page"
        raise Conflict(f"Campaign {campaign_id} {has}.")
    if is_draft:
        written = drafts.as_stored(session, campaign)
        changed = replace(written, public=wanted)
        drafts.edit(session, campaign_id, changed, actor, company=company, now=now)
    else:
        # Its name is the staff's own; everybody has seen the subject.
        subject = drafts.content(session, campaign).subject_source
        slug = publications.slug_for(session, campaign_id, subject)
        publications.choose(session, campaign_id, slug, public=wanted)
    done = "campaign.published" if wanted else "campaign.withdrawn"
    audit.record(session, actor, done, ("campaign", campaign_id), now=now)


def _rows() -> Select[int, int, datetime | None, str]:
    """Give the query for the campaigns that have a public page now."""
    return (
        select(Campaign.id, Campaign.revision, Campaign.started_at, Publication.slug)
        .join(Publication, Publication.campaign_id == Campaign.id)
        .where(
            Publication.is_public.is_(True),
            # One that was taken back has begun once, and is a draft that changes.
            Campaign.started_at.is_not(None),
            Campaign.state != CampaignState.DRAFT,
            or_(
                Campaign.state != CampaignState.CANCELLED, Campaign.first_hand_over_at.is_not(None)
            ),
        )
    )


def _message(session: Session, where: Place, row: Any, tag: str) -> Message:  # noqa: ANN401 - a row of _rows
    stored = session.scalars(
        select(Content)
        .where(Content.campaign_id == row.id, Content.revision == row.revision)
        .order_by(Content.id)
    ).all()
    one = _fitting(stored, tag)
    shown = public(drafts.composed(one), personal_links=f"{where.sender.base_url}{ASK_PATH}")
    return Message(row.id, row.slug, row.started_at, one.language, shown)


def _fitting(stored: Sequence[Content], tag: str) -> Content:
    """Give the content for a language, as the freeze chooses: exactly it, alike, else the first."""
    wanted = tag.casefold()
    exact = [one for one in stored if one.language.casefold() == wanted]
    short = wanted.partition("-")[0]
    alike = [one for one in stored if one.language.casefold().partition("-")[0] == short]
    return next(iter((*exact, *alike, *stored)))
