"""Single messages (a fresh link, a confirmation): one delivery, on the path that campaigns take.

Each kind is a standing administrative campaign, made on first use from ``templates/email/<kind>``.
Each message is a batch of its own, claimed before everything else. The caller's key says what the
message is for: the same key again gives the same delivery, and nobody gets it twice.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import case, insert, select
from sqlalchemy.orm import Session

from mailprefs import consent, languages
from mailprefs.db import dialects
from mailprefs.deliveries.numbers import delivery_id
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.rendering import layouts
from mailprefs.rendering.composing import compose_template
from mailprefs.rendering.content import Content as Composed
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, SourceFormat
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, SingleValues
from mailprefs.schema.people import Recipient, Sender, Topic

LONGEST_KEY: Final = 64
"""Characters of an idempotency key."""
PRIORITY: Final = 0
_TOPIC: Final = "account"
_PURPOSE: Final = LegalPurpose.ACCOUNT


def queue(  # noqa: PLR0913 - what, to whom, with what, what for and when
    session: Session,
    template: str,
    recipient_id: int,
    values: Mapping[str, str],
    idempotency_key: str,
    *,
    now: datetime,
) -> int:
    """Queue one message of the kind *template* to one person; give the delivery's id.

    *values* are its merge values; names that end in ``_url`` are addresses. Whether the person may
    get it is asked when it is claimed, as for every delivery.

    :raises NotFound: for an unknown person or template.
    :raises BadInput: for a key that is empty or too long.
    :raises Conflict: while there is no administrative topic or no privacy policy.
    """
    language = _language(session, template, recipient_id, idempotency_key)
    campaign = _standing(session, template, now)
    same = Delivery.idempotency_key == idempotency_key
    known = session.scalar(select(Delivery.id).where(Delivery.campaign_id == campaign.id, same))
    if known is not None:
        return known
    content_id = _content(session, campaign, template, sorted(values), language=language, now=now)
    campaign.frozen += 1
    campaign.chosen += 1
    session.flush()
    made = delivery_id(campaign.id, campaign.frozen)
    row = {
        "id": made,
        "campaign_id": campaign.id,
        "recipient_id": recipient_id,
        "policy_version_id": consent.policy_in_force(session, now),
        "idempotency_key": idempotency_key,
    }
    _insert(session, row, content_id, values)
    return made


def queue_unless_lately(  # noqa: PLR0913 - what, to whom, with what, how seldom and when
    session: Session,
    template: str,
    recipient_id: int,
    values: Mapping[str, str],
    interval: timedelta,
    *,
    now: datetime,
) -> int | None:
    """Queue one message unless the person had one of its kind within *interval* before *now*.

    Gives the delivery's id, or None; raises as ``queue`` does. Two at the same time are one.
    """
    campaign = _standing(session, template, now)
    # Figures of a fixed width are in order by every collation.
    who = f"{recipient_id:020d}"
    since, key = (f"{who}:{moment:%Y%m%d%H%M%S%f}" for moment in (now - interval, now))
    lately = session.scalar(
        select(Delivery.id)
        .where(Delivery.campaign_id == campaign.id)
        .where(Delivery.idempotency_key > since, Delivery.idempotency_key < f"{who}:9")
        .limit(1)
    )
    if lately is not None:
        return None
    return queue(session, template, recipient_id, values, key, now=now)


def _language(session: Session, template: str, recipient_id: int, idempotency_key: str) -> str:
    """Give the tag of the language to write to a person in, having checked what is asked."""
    if not 0 < len(idempotency_key) <= LONGEST_KEY:
        raise BadInput(f"The idempotency key has to have 1 to {LONGEST_KEY} characters.")
    # Locked against an erasure, which wouldn't see the message; other writers don't wait for it.
    person = session.execute(
        select(Recipient.language)
        .where(Recipient.id == recipient_id)
        .with_for_update(read=True, key_share=True)
    ).one_or_none()
    if person is None:
        raise NotFound(f"There is no recipient {recipient_id}; nothing was queued.")
    if not layouts.is_translated(template):
        return languages.ENGLISH.tag
    return languages.best(person.language).tag


def _insert(
    session: Session, row: dict[str, Any], content_id: int, values: Mapping[str, str]
) -> None:
    """Insert a delivery, its values, and its batch of one."""
    session.execute(insert(Delivery).values(row))
    if values:
        session.execute(insert(SingleValues).values(delivery_id=row["id"], values=dict(values)))
    session.execute(
        insert(Batch).values(
            campaign_id=row["campaign_id"],
            content_id=content_id,
            priority=PRIORITY,
            first_id=row["id"],
            last_id=row["id"],
            n=1,
            own=0,
            state=BatchState.PENDING,
        )
    )


def _standing(session: Session, template: str, now: datetime) -> Campaign:
    """Give the standing campaign of *template*, locked, so that its ordinals have no gap."""
    query = (
        select(Campaign)
        .where(Campaign.template == template)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    campaign = session.execute(query).scalar_one_or_none()
    if campaign is not None:
        return campaign
    topic = _topic(session)
    made = dialects.insert(session, Campaign).values(
        topic_id=topic.id,
        message_class=topic.message_class,
        name=template.replace("_", " ").capitalize(),
        state=CampaignState.SENDING,
        standing=True,
        template=template,
        purpose=_PURPOSE,
        revision=0,
        report_zone="UTC",
        created_at=now,
        started_at=now,
        frozen_to=0,
        chosen=0,
        frozen=0,
    )
    session.execute(made.on_conflict_do_nothing())
    return session.execute(query).scalar_one()


def _topic(session: Session) -> Topic:
    """Give the topic of single messages: ``account``, else the first administrative one."""
    topic = session.scalars(
        select(Topic)
        .where(Topic.message_class == MessageClass.ADMINISTRATIVE)
        .order_by(case((Topic.slug == _TOPIC, 0), else_=1), Topic.id)
        .limit(1)
    ).first()
    if topic is None:
        raise Conflict(
            "Messages to one person need an administrative topic; add one: mailprefs topic add "
            f"{_TOPIC} --class administrative --name Account"
        )
    return topic


def _content(  # noqa: PLR0913 - where, of what, with what, in which language and when
    session: Session,
    campaign: Campaign,
    template: str,
    names: list[str],
    *,
    language: str,
    now: datetime,
) -> int:
    """Give the content that the template's files make now in a language.

    A changed one is a new revision; in other languages the former revisions stay good.
    """
    letterhead = _letterhead(session, campaign.topic_id, language)
    links = tuple(name for name in names if name.endswith("_url"))
    stored = session.execute(
        select(Content.id, Content.tags, Content.sha256)
        .where(Content.campaign_id == campaign.id, Content.language == language)
        .order_by(Content.revision.desc())
        .limit(1)
    ).one_or_none()
    if stored is not None:
        again = _composed(template, letterhead, links, stored.tags["mark"])
        if _digest(again) == stored.sha256:
            return int(stored.id)
    composed = _composed(template, letterhead, links, None)
    campaign.revision += 1
    return _store(session, campaign, template, composed, now)


def _store(
    session: Session, campaign: Campaign, template: str, composed: Composed, now: datetime
) -> int:
    """Store a content of the campaign's current revision; give its id."""
    added = Content(
        campaign_id=campaign.id,
        revision=campaign.revision,
        language=composed.language,
        variant="",
        format=SourceFormat.MJML,
        subject_source=composed.subject,
        body_source=f"templates/email/{template}",
        subject=composed.subject,
        text=composed.text,
        html=composed.html,
        tags=composed.document(),
        sha256=_digest(composed),
        created_at=now,
    )
    session.add(added)
    session.flush()
    return added.id


def _letterhead(session: Session, topic_id: int, language: str) -> Letterhead:
    topic = session.get_one(Topic, topic_id)
    sender = session.get_one(Sender, topic.sender_id)
    return Letterhead(
        message_class=topic.message_class,
        sender_name=sender.name,
        topic_name=topic.name,
        postal_address=sender.postal_address,
        policy_url=f"{sender.base_url}/policy",
        contact=sender.reply_to,
        purpose=_PURPOSE,
        language=language,
    )


@lru_cache(maxsize=256)
def _composed(
    template: str, letterhead: Letterhead, links: tuple[str, ...], mark: str | None
) -> Composed:
    """Compose a template, which takes some milliseconds, once for each stored mark."""
    return compose_template(template, letterhead, links=links, mark=mark)


def _digest(composed: Composed) -> bytes:
    whole = f"{composed.subject}\0{composed.text}\0{composed.html}"
    return hashlib.sha256(whole.encode()).digest()
