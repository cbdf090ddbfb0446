"""Writing a campaign: create it, change it; each change is a new revision with its own content."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import audit, staff, subscriptions
from mailprefs.audit import Actor
from mailprefs.campaigns import publications, states
from mailprefs.errors import BadInput, Conflict
from mailprefs.policy import LegalPurpose, MessageClass, Role
from mailprefs.rendering.composing import Source, compose
from mailprefs.rendering.content import Content as Composed
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, SourceFormat
from mailprefs.schema.people import Attribute, Sender, Topic

SHORTEST_REASON: Final = 10
"""Characters: a reason for mailing people who said no to promotions is a sentence, not a dot."""
_FIRST_LANGUAGE: Final = "en"
_MADE: Final = (
    "Campaign {} is the notice of a policy version: its words are made from what was published, in "
    "every language. Publish another version to say something else, or give it another date: "
    "mailprefs policy postpone"
)


class Words(NamedTuple):
    """A message in one language: a BCP 47 tag, its subject and its source."""

    language: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an author gives: the topic decides the class.

    *purpose* and *reason* are for administrative campaigns only. *others* is the same in other
    languages; whoever reads none of them gets the first, in English. *public*: it gets a public
    page once it is sent, and leads to it.
    """

    topic: str
    subject: str
    body: str
    format: SourceFormat = SourceFormat.MARKDOWN
    name: str | None = None
    purpose: LegalPurpose | None = None
    reason: str | None = None
    others: tuple[Words, ...] = ()
    public: bool = False

    @property
    def languages(self) -> tuple[Words, ...]:
        """Give the message in each of its languages, the one for everybody else first."""
        return (Words(_FIRST_LANGUAGE, self.subject, self.body), *self.others)


class Notice(NamedTuple):
    """What makes a campaign a notice: the version it tells of, and when it has to begin by."""

    policy_version_id: int
    send_by: datetime | None


class Company(NamedTuple):
    """What of the installation every message shows: a contact, and the zone of its reports."""

    contact: str
    zone: str


def create(session: Session, draft: Draft, actor: Actor, *, company: Company, now: datetime) -> int:
    """Store a new draft and its first content; give the campaign's id.

    :raises BadTemplate: when the source breaks a rule of the merge language or of the class.
    :raises BadInput: for an administrative draft without purpose and reason, or a promotional one
        with them.
    :raises NotFound: for an unknown topic.
    """
    staff.require(session, actor, Role.DRAFT)
    return _create(session, draft, actor, company=company, now=now)


def create_notice(  # noqa: PLR0913 - the notice of what, by whom, where and when
    session: Session,
    draft: Draft,
    notice: Notice,
    actor: Actor,
    *,
    company: Company,
    now: datetime,
) -> int:
    """Store the notice of a policy version as a draft; give the campaign's id.

    The caller has asked whether *actor* may publish policies.

    :raises BadTemplate: when what the publisher wrote breaks a rule.
    :raises NotFound: for an unknown topic.
    """
    number = _create(session, draft, actor, company=company, now=now)
    campaign = states.find(session, number)
    campaign.policy_version_id, campaign.send_by = notice
    session.flush()
    return number


def _create(
    session: Session, draft: Draft, actor: Actor, *, company: Company, now: datetime
) -> int:
    topic = subscriptions.topic(session, draft.topic)
    _check(topic, draft)
    campaign = _new(topic, draft, actor, company.zone, now)
    slug = publications.slug_for(session, None, draft.subject)
    composed = _compose_all(session, topic, draft, company.contact, slug)
    session.add(campaign)
    session.flush()
    _store(session, campaign, draft, composed, now)
    publications.choose(session, campaign.id, slug, public=draft.public)
    audit.record(
        session,
        actor,
        "campaign.created",
        ("campaign", campaign.id),
        now=now,
        reason=draft.reason,
        details={"class": topic.message_class.value},
    )
    return campaign.id


def _new(topic: Topic, draft: Draft, actor: Actor, zone: str, now: datetime) -> Campaign:
    """Give the row of a new campaign, of which nothing has been frozen yet."""
    return Campaign(
        topic_id=topic.id,
        message_class=topic.message_class,
        name=draft.name or draft.subject,
        state=CampaignState.DRAFT,
        standing=False,
        purpose=draft.purpose,
        reason=draft.reason,
        revision=1,
        author_id=actor.staff_id,
        editor_id=actor.staff_id,
        report_zone=zone,
        created_at=now,
        frozen_to=0,
        chosen=0,
        frozen=0,
    )


def edit(  # noqa: PLR0913 - whose draft, what, by whom, where and when
    session: Session,
    campaign_id: int,
    draft: Draft,
    actor: Actor,
    *,
    company: Company,
    now: datetime,
) -> None:
    """Replace a draft's subject, source, purpose and reason; an approval it had is void.

    :raises Conflict: for a campaign that isn't a draft or is a policy version's notice, or a topic
        that isn't the campaign's.
    """
    staff.require(session, actor, Role.DRAFT)
    campaign = states.find(session, campaign_id)
    require_written(campaign)
    _edit(session, campaign, draft, actor, company=company, now=now)


def edit_notice(  # noqa: PLR0913 - the notice of what, by whom, where and when
    session: Session,
    campaign: Campaign,
    draft: Draft,
    notice: Notice,
    actor: Actor,
    *,
    company: Company,
    now: datetime,
) -> None:
    """Make a notice say something else while it is a draft; an approval it had is void.

    :raises Conflict: for one that has left the draft.
    """
    _edit(session, campaign, draft, actor, company=company, now=now)
    campaign.policy_version_id, campaign.send_by = notice
    session.flush()


def require_written(campaign: Campaign) -> None:
    """Refuse a campaign that nobody wrote by hand.

    :raises Conflict: for a policy version's notice.
    """
    if campaign.policy_version_id is not None:
        raise Conflict(_MADE.format(campaign.id))


def _edit(  # noqa: PLR0913 - whose draft, what, by whom, where and when
    session: Session,
    campaign: Campaign,
    draft: Draft,
    actor: Actor,
    *,
    company: Company,
    now: datetime,
) -> None:
    topic = subscriptions.topic(session, draft.topic)
    if topic.id != campaign.topic_id:
        msg = "A campaign keeps its topic, and with it its class; write a new campaign instead."
        raise Conflict(msg)
    _check(topic, draft)
    slug = publications.slug_for(session, campaign.id, draft.subject)
    composed = _compose_all(session, topic, draft, company.contact, slug)
    states.new_revision(
        session,
        campaign,
        editor_id=actor.staff_id,
        name=draft.name or draft.subject,
        purpose=draft.purpose,
        reason=draft.reason,
    )
    _store(session, campaign, draft, composed, now)
    publications.choose(session, campaign.id, slug, public=draft.public)
    audit.record(
        session,
        actor,
        "campaign.edited",
        ("campaign", campaign.id),
        now=now,
        reason=draft.reason,
        details={"revision": campaign.revision},
    )


def content(session: Session, campaign: Campaign) -> Content:
    """Give the current content of a campaign as it was stored, in its first language."""
    return contents(session, campaign)[0]


def contents(session: Session, campaign: Campaign) -> Sequence[Content]:
    """Give the current contents of a campaign as they were stored, one for each language."""
    return session.scalars(
        select(Content)
        .where(Content.campaign_id == campaign.id, Content.revision == campaign.revision)
        .order_by(Content.id)
    ).all()


def as_stored(session: Session, campaign: Campaign) -> Draft:
    """Give what the author wrote, so that it can be changed in part or saved again."""
    written, *others = contents(session, campaign)
    topic = session.get_one(Topic, campaign.topic_id)
    return Draft(
        topic=topic.slug,
        subject=written.subject_source,
        body=written.body_source,
        format=written.format,
        # A campaign without a name of its own goes by its subject, also by a new one.
        name=None if campaign.name == written.subject_source else campaign.name,
        purpose=campaign.purpose,
        reason=campaign.reason,
        others=tuple(Words(one.language, one.subject_source, one.body_source) for one in others),
        public=publications.is_public(session, campaign.id),
    )


def composed_anew(
    session: Session, campaign: Campaign, stored: Content, *, contact: str
) -> Composed:
    """Give what saving the draft again would make of a content: the sender's details as of now.

    Equal to the stored one, tags included, as long as nothing that it shows has changed.

    :raises BadTemplate: when the source breaks a rule by now.
    """
    topic = session.get_one(Topic, campaign.topic_id)
    draft = as_stored(session, campaign)
    words = Words(stored.language, stored.subject_source, stored.body_source)
    slug = publications.slug_for(session, campaign.id, draft.subject)
    letterhead = _letterhead(session, topic, draft, contact, slug)
    return _compose(session, letterhead, draft, words, mark=composed(stored).mark)


def composed(stored: Content) -> Composed:
    """Give a stored content in the form that rendering works with."""
    return Composed.from_document(
        stored.tags, subject=stored.subject, text=stored.text, html=stored.html
    )


def _check(topic: Topic, draft: Draft) -> None:
    """Ask administrative mail, and nothing else, for its legal purpose and a written reason."""
    if draft.public:
        publications.check_class(topic)
    if topic.message_class is MessageClass.PROMOTIONAL:
        if draft.purpose or draft.reason:
            msg = (
                f"The topic {topic.slug!r} is promotional: a legal purpose and a reason belong to "
                "administrative campaigns only."
            )
            raise BadInput(msg)
        return
    if draft.purpose is None:
        choices = ", ".join(purpose.value for purpose in LegalPurpose)
        msg = (
            f"The topic {topic.slug!r} is administrative: give its legal purpose, one of {choices}."
        )
        raise BadInput(msg)
    if len((draft.reason or "").strip()) < SHORTEST_REASON:
        msg = (
            "An administrative campaign reaches people who left all promotions: write the reason "
            f"for it in a sentence (at least {SHORTEST_REASON} characters)."
        )
        raise BadInput(msg)


def _compose_all(
    session: Session, topic: Topic, draft: Draft, contact: str, slug: str
) -> list[tuple[Words, Composed]]:
    letterhead = _letterhead(session, topic, draft, contact, slug)
    return [(words, _compose(session, letterhead, draft, words)) for words in draft.languages]


def _letterhead(
    session: Session, topic: Topic, draft: Draft, contact: str, slug: str
) -> Letterhead:
    sender = session.get_one(Sender, topic.sender_id)
    return Letterhead(
        message_class=topic.message_class,
        sender_name=sender.name,
        topic_name=topic.name,
        postal_address=sender.postal_address,
        policy_url=f"{sender.base_url}/policy",
        contact=contact or sender.reply_to,
        purpose=draft.purpose,
        public_page=publications.url(sender.base_url, topic.slug, slug) if draft.public else "",
    )


def _compose(
    session: Session, letterhead: Letterhead, draft: Draft, words: Words, *, mark: str | None = None
) -> Composed:
    attributes = set(session.scalars(select(Attribute.name)))
    source = Source(words.subject, words.body, draft.format.value)
    spoken = replace(letterhead, language=words.language)
    return compose(source, spoken, attributes=attributes, mark=mark)


def _store(
    session: Session,
    campaign: Campaign,
    draft: Draft,
    composed: Sequence[tuple[Words, Composed]],
    now: datetime,
) -> None:
    """Store the contents of the campaign's current revision; they never change after this."""
    for words, one in composed:
        whole = f"{one.subject}\0{one.text}\0{one.html}"
        session.add(
            Content(
                campaign_id=campaign.id,
                revision=campaign.revision,
                language=one.language,
                variant="",
                format=draft.format,
                subject_source=words.subject,
                body_source=words.body,
                subject=one.subject,
                text=one.text,
                html=one.html,
                tags=one.document(),
                sha256=hashlib.sha256(whole.encode()).digest(),
                created_at=now,
            )
        )
        # One after the other: the first one's number is the lowest, which makes it the default.
        session.flush()
