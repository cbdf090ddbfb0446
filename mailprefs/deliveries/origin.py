"""Where a campaign's messages come from: topic and sender, for sends, tests and previews."""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.deliveries.pick import Picked
from mailprefs.links import Links
from mailprefs.rendering.person import Origin
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.people import Sender, Topic

_SHOWN: Final = (
    "base_url",
    "campaign_id",
    "topic_id",
    "topic_slug",
    "topic_name",
    "from_address",
    "from_name",
    "reply_to",
    "ip_pool",
)


def origin(links: Links, facts: Picked | Any) -> Origin:  # noqa: ANN401 - a row of of_campaign
    """Give where messages come from, by what a claim or ``of_campaign`` has read."""
    shown = {name: getattr(facts, name) for name in _SHOWN}
    return Origin(links=links, unsubscribe_mailbox=links.mailbox, **shown)


def of_campaign(session: Session, links: Links, campaign_id: int) -> Origin:
    """Read where the messages of one campaign, which there is, come from."""
    facts = session.execute(
        select(
            Campaign.id.label("campaign_id"),
            Topic.id.label("topic_id"),
            Topic.slug.label("topic_slug"),
            Topic.name.label("topic_name"),
            Sender.base_url,
            Sender.from_address,
            Sender.name.label("from_name"),
            Sender.reply_to,
            Sender.ip_pool,
        )
        .join(Topic, Topic.id == Campaign.topic_id)
        .join(Sender, Sender.id == Topic.sender_id)
        .where(Campaign.id == campaign_id)
    ).one()
    return origin(links, facts)
