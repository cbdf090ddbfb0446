"""Senders, topics, and where each person stands with each topic.

``set_state`` writes the row only; a choice of a person goes through ``preferences``, which also
writes the ledger.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select, type_coerce
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.addresses import normalise
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.db.kept import Kept, KeptInsert
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.policy import MessageClass, Source, SubscriptionState, TrackingMode
from mailprefs.rendering.person import check_addresses
from mailprefs.schema.base import BigId
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.people import Sender, Subscription, Topic

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


# For each of the many who may leave in one second.
_STANDINGS: Final = Kept(
    select(
        type_coerce(Subscription.recipient_id, BigId),
        Subscription.topic_id,
        Subscription.state,
        Subscription.source,
        Subscription.since,
        Subscription.policy_version_id,
    ).where(dialects.listed(Subscription.recipient_id, "recipients"))
)
_KEYS: Final = ("recipient_id", "topic_id")
_SET_STATE: Final = KeptInsert(
    Subscription, (*_KEYS, "state", "source", "since", "policy_version_id")
).or_update(_KEYS)
_PROMOTIONAL: Final = Kept(select(Topic.id).where(Topic.message_class == MessageClass.PROMOTIONAL))


class NewSender(NamedTuple):
    """Who messages of one class come from."""

    name: str
    from_address: str
    reply_to: str
    postal_address: str
    base_url: str
    message_class: MessageClass = MessageClass.PROMOTIONAL
    ip_pool: str | None = None


_CHANGEABLE: Final = frozenset(NewSender._fields) - {"message_class"}
_SHOWN: Final = _CHANGEABLE - {"ip_pool"}
"""What of a sender stands in its messages, and was checked with them."""
_UNDER_WAY: Final = (
    CampaignState.SCHEDULED,
    CampaignState.FREEZING,
    CampaignState.SENDING,
    CampaignState.PAUSED,
    CampaignState.HELD,
)


class NewTopic(NamedTuple):
    """What people can be subscribed to; the class is for ever, and promotional unless said.

    Without *sender_id* the topic takes the oldest sender of its class. ``tracking`` is how far
    opens may be measured at most; ``unasked_tracking`` the same for people who were never asked in
    a region where the law wants them asked.
    """

    slug: str
    name: str
    description: str = ""
    message_class: MessageClass = MessageClass.PROMOTIONAL
    sender_id: int | None = None
    tracking: TrackingMode = TrackingMode.INDIVIDUAL
    unasked_tracking: TrackingMode = TrackingMode.OFF


class Standing(NamedTuple):
    """Where a person stands with a topic, since when and under which policy version."""

    state: SubscriptionState
    source: Source
    since: datetime
    policy_version_id: int


def add_sender(session: Session, new: NewSender, actor: Actor, *, now: datetime) -> Sender:
    """Store a sender; its postal address may follow later, and nothing is sent before.

    :raises BadInput: for an empty or malformed field.
    :raises Conflict: if the From address already is the other class's: mailboxes tell a company's
        promotions from its notices by that address, and so must its recipients.
    """
    sender = Sender(created_at=now, **_checked(session, new)._asdict())
    session.add(sender)
    session.flush()
    details = {"message_class": new.message_class.value}
    audit.record(session, actor, "sender.added", ("sender", sender.id), now=now, details=details)
    return sender


def change_sender(
    session: Session, sender_id: int, changes: Mapping[str, str], actor: Actor, *, now: datetime
) -> Sender:
    """Change some fields of a sender, by name; its class is for ever.

    :raises BadInput: for an empty or malformed value, or a field that can't be changed.
    :raises Conflict: if the From address already is the other class's, or a campaign under way was
        checked and approved with what would change.
    :raises NotFound: for an unknown sender.
    """
    sender = session.get(Sender, sender_id)
    if sender is None:
        msg = f"There is no sender {sender_id}; `mailprefs sender list` shows those there are."
        raise NotFound(msg)
    unknown = sorted(set(changes) - _CHANGEABLE)
    if unknown:
        msg = (
            f"A sender's {', '.join(unknown).replace('_', ' ')} can't be changed; "
            f"these can: {', '.join(sorted(_CHANGEABLE)).replace('_', ' ')}."
        )
        raise BadInput(msg)
    before = NewSender(**{field: getattr(sender, field) for field in NewSender._fields})
    after = _checked(session, before._replace(**changes))  # type: ignore[arg-type]  # text fields
    changed = [
        field for field in sorted(changes) if getattr(before, field) != getattr(after, field)
    ]
    if not _SHOWN.isdisjoint(changed):
        _refuse_while_sending(session, sender.id)
    for field in changed:
        setattr(sender, field, getattr(after, field))
    session.flush()
    if changed:
        subject = ("sender", sender.id)
        details = {"fields": changed}
        audit.record(session, actor, "sender.changed", subject, now=now, details=details)
    return sender


def senders(session: Session, message_class: MessageClass | None = None) -> Sequence[Sender]:
    """List senders, oldest first; those of one class if it is given."""
    query = select(Sender).order_by(Sender.id)
    if message_class is not None:
        query = query.where(Sender.message_class == message_class)
    return session.scalars(query).all()


def add_topic(session: Session, new: NewTopic, actor: Actor, *, now: datetime) -> Topic:
    """Store a topic; its class never changes afterwards.

    :raises BadInput: for an empty name, or a slug of other characters than a-z, 0-9 and hyphens.
    :raises Conflict: if the slug is taken, or no sender of the class fits.
    """
    _require_text("topic", name=new.name)
    if not _SLUG.fullmatch(new.slug):
        msg = "A topic's short name has up to 64 characters: a-z, 0-9 and hyphens inside."
        raise BadInput(msg)
    if session.scalar(select(Topic.id).where(Topic.slug == new.slug)) is not None:
        msg = f"There already is a topic {new.slug}; choose another short name."
        raise Conflict(msg)
    values = new._asdict() | {"sender_id": _sender_for(session, new).id}
    if not new.message_class.may_be_measured:
        values |= {"tracking": TrackingMode.OFF, "unasked_tracking": TrackingMode.OFF}
    if values["unasked_tracking"] is TrackingMode.INDIVIDUAL:
        msg = "Whoever was never asked can't be measured by name; choose off or aggregate."
        raise BadInput(msg)
    topic = Topic(created_at=now, **values)
    session.add(topic)
    session.flush()
    details = {"slug": new.slug, "message_class": new.message_class.value}
    audit.record(session, actor, "topic.added", ("topic", topic.id), now=now, details=details)
    return topic


def topics(session: Session, message_class: MessageClass | None = None) -> Sequence[Topic]:
    """List topics in the order in which they were made; those of one class if it is given."""
    query = select(Topic).order_by(Topic.id)
    if message_class is not None:
        query = query.where(Topic.message_class == message_class)
    return session.scalars(query).all()


def promotional_ids(session: Session) -> frozenset[int]:
    """Give the numbers of all promotional topics."""
    return frozenset(number for (number,) in _PROMOTIONAL.rows(session))


def topic(session: Session, slug: str) -> Topic:
    """Give the topic with this short name.

    :raises NotFound: naming the ones there are.
    """
    found = session.scalar(select(Topic).where(Topic.slug == slug))
    if found is None:
        known = ", ".join(one.slug for one in topics(session)) or "none yet"
        msg = f"There is no topic of that short name. Topics: {known}."
        raise NotFound(msg)
    return found


def standings(session: Session, recipient_id: int) -> dict[int, Standing]:
    """Give where one person stands with each topic that they were ever asked about, by topic id."""
    return standings_each(session, [recipient_id]).get(recipient_id, {})


def standings_each(
    session: Session, recipient_ids: Sequence[int]
) -> dict[int, dict[int, Standing]]:
    """Give where each of some people stands; whoever was never asked about a topic has no entry."""
    found: dict[int, dict[int, Standing]] = {}
    for person, topic_id, *standing in _STANDINGS.rows(session, {"recipients": recipient_ids}):
        found.setdefault(person, {})[topic_id] = Standing(*standing)
    return found


def set_state(session: Session, recipient_id: int, topic_id: int, standing: Standing) -> None:
    """Store where a person stands with a topic from now on."""
    set_states(session, [(recipient_id, topic_id, standing)])


def set_states(session: Session, states: Sequence[tuple[int, int, Standing]]) -> None:
    """Store where some people, by number, stand with topics, by number, from now on."""
    _SET_STATE.change_each(
        session,
        [
            {"recipient_id": person, "topic_id": topic_id, **standing._asdict()}
            for person, topic_id, standing in states
        ],
    )


def _checked(session: Session, sender: NewSender) -> NewSender:
    """Give a sender's fields as they are kept.

    :raises BadInput: for an empty or malformed field.
    :raises Conflict: if the From address already is the other class's.
    """
    _require_text("sender", name=sender.name)
    base_url = sender.base_url.rstrip("/")
    from_address = normalise(sender.from_address).address
    check_addresses(base_url, from_address)
    other = session.scalar(
        select(Sender.message_class)
        .where(Sender.from_address == from_address, Sender.message_class != sender.message_class)
        .limit(1)
    )
    if other is not None:
        msg = (
            f"That From address already sends {other.value} mail; "
            f"{sender.message_class.value} mail needs one of its own."
        )
        raise Conflict(msg)
    return sender._replace(
        from_address=from_address,
        reply_to=normalise(sender.reply_to).address,
        postal_address=sender.postal_address.strip(),
        base_url=base_url,
    )


def _refuse_while_sending(session: Session, sender_id: int) -> None:
    """Refuse a change that a campaign's readers would see and its approver has not.

    :raises Conflict: naming the campaign.
    """
    campaign = session.execute(
        select(Campaign.id, Campaign.state)
        .join(Topic, Topic.id == Campaign.topic_id)
        .where(Topic.sender_id == sender_id, Campaign.state.in_(_UNDER_WAY))
        .where(~Campaign.standing)
        .order_by(Campaign.id)
        .limit(1)
    ).one_or_none()
    if campaign is None:
        return
    way_out = "wait until it has finished, or stop it for good"
    if campaign.state is CampaignState.SCHEDULED:
        way_out = "take it back first"
    msg = (
        f"Campaign {campaign.id} is {campaign.state.value} and was checked with this sender as it "
        f"is; {way_out}, then change the sender."
    )
    raise Conflict(msg)


def _sender_for(session: Session, new: NewTopic) -> Sender:
    """Give the sender of a new topic: the one asked for, else the oldest of its class."""
    fitting = senders(session, new.message_class)
    found = [one for one in fitting if new.sender_id in {None, one.id}]
    if not found:
        msg = (
            f"There is no {new.message_class.value} sender to write as; "
            f"each class has senders of its own. Add one first."
        )
        raise Conflict(msg)
    return found[0]


def _require_text(what: str, **fields: str) -> None:
    for name, value in fields.items():
        if not value.strip():
            msg = f"A {what} needs a {name.replace('_', ' ')}; it is empty."
            raise BadInput(msg)
