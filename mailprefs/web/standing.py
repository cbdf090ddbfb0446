"""What a recipient's page shows of one person: a masked address, topics, and choices; no more."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import recipients, subscriptions, suppressions
from mailprefs.addresses import mask
from mailprefs.policy import (
    MessageClass,
    SubscriptionState,
    TrackingBasis,
    TrackingMode,
    tracking_basis,
    tracking_mode,
)
from mailprefs.schema.people import Recipient, Sender, Topic


class TopicShown(NamedTuple):
    """A topic as a person reads it, and whether its messages come."""

    id: int
    slug: str
    name: str
    description: str
    is_on: bool


class Standing(NamedTuple):
    """Where one person stands."""

    recipient_id: int
    masked: str
    promotional: Sequence[TopicShown]
    administrative: Sequence[TopicShown]
    is_measured: bool

    @property
    def gets_promotional(self) -> bool:
        """Tell whether any promotional mail may come."""
        return any(topic.is_on for topic in self.promotional)


def of(session: Session, recipient_id: int, unknown_region: TrackingBasis) -> Standing | None:
    """Give where a person stands; None for somebody who is unknown or erased."""
    person = recipients.by_id(session, recipient_id)
    if person is None:
        return None
    topics = _topics(session, person)
    basis = tracking_basis(person.region, unknown_region)
    mode = tracking_mode(
        person.open_tracking, basis, ceiling=TrackingMode.INDIVIDUAL, unasked=TrackingMode.OFF
    )
    return Standing(
        recipient_id=person.id,
        masked=mask(person.address),
        promotional=topics[MessageClass.PROMOTIONAL],
        administrative=topics[MessageClass.ADMINISTRATIVE],
        is_measured=mode is TrackingMode.INDIVIDUAL,
    )


def sender_name(session: Session, topic_id: int) -> str | None:
    """Give who sends a topic's messages; None for an unknown topic."""
    return session.scalar(
        select(Sender.name).join(Topic, Topic.sender_id == Sender.id).where(Topic.id == topic_id)
    )


def _topics(session: Session, person: Recipient) -> dict[MessageClass, list[TopicShown]]:
    """Give every topic by class; administrative ones come whatever is chosen."""
    held_back = bool(suppressions.of(session, person.address_hash))
    standings = subscriptions.standings(session, person.id)
    topics: dict[MessageClass, list[TopicShown]] = {kind: [] for kind in MessageClass}
    for topic in subscriptions.topics(session):
        standing = standings.get(topic.id)
        is_on = topic.message_class is MessageClass.ADMINISTRATIVE or (
            standing is not None
            and standing.state is SubscriptionState.SUBSCRIBED
            and not held_back
        )
        topics[topic.message_class].append(
            TopicShown(topic.id, topic.slug, topic.name, topic.description, is_on)
        )
    return topics
