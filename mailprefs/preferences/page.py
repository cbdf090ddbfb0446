"""The preference page: what it shows of one person, and what can be set there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailprefs import consent, recipients, subscriptions, suppressions
from mailprefs.addresses import mask
from mailprefs.errors import Conflict
from mailprefs.policy import (
    Choice,
    Frequency,
    MessageClass,
    Purpose,
    Scope,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences import reasons, wishes
from mailprefs.preferences.choosing import Applied, Change, Door, apply
from mailprefs.preferences.holding import Held, held, last_said
from mailprefs.preferences.leaving import come_back, last_leaving
from mailprefs.schema.people import Topic


class TopicShown(NamedTuple):
    """A topic, and where the person stands with it.

    ``state`` is None where they were never asked; ``source`` and ``since`` say how and when it came
    to be. ``is_on``: its messages come. Administrative ones need no subscription.
    """

    id: int
    slug: str
    name: str
    description: str
    message_class: MessageClass
    state: SubscriptionState | None
    source: Source | None
    since: datetime | None
    is_on: bool


class HeldBack(NamedTuple):
    """Why mail is held back, besides the topics: a complaint, a bounce, a no to all promotions."""

    reason: SuppressionReason
    scope: Scope
    since: datetime


class Wish(NamedTuple):
    """A pause, a frequency or a language that somebody chose: in the ledger's word, and whence."""

    purpose: Purpose
    word: str
    source: Source
    since: datetime


class Preferences(NamedTuple):
    """Where one person stands; for somebody unknown or erased, nothing is told.

    ``topics`` are the promotional ones, ``notices`` the administrative ones. ``left_at`` is when
    the person last left themselves, and ``ended`` the topics which that ended and they still don't
    get: what an undo, and "keep these topics", are about; ``has_said_why``: they have given a
    reason for it. A pause whose end is past is over.
    """

    is_known: bool
    masked_address: str
    language: str | None = None
    topics: tuple[TopicShown, ...] = ()
    notices: tuple[TopicShown, ...] = ()
    promotional: Choice = Choice.UNKNOWN
    tracking: Choice = Choice.UNKNOWN
    paused_until: datetime | None = None
    frequency: Frequency = Frequency.ANY
    held_back: tuple[HeldBack, ...] = ()
    left_at: datetime | None = None
    ended: frozenset[int] = frozenset()
    has_said_why: bool = False


def current(session: Session, recipient_id: int) -> Preferences:
    """Give where one person stands, for a page or an answer; reads only."""
    person = recipients.by_id(session, recipient_id)
    if person is None:
        return Preferences(is_known=False, masked_address=mask(""))
    found = held(session, person)
    held_back = tuple(
        HeldBack(one.reason, one.scope, one.created_at)
        for one in suppressions.of(session, person.address_hash)
    )
    shown = [_shown(topic, found) for topic in subscriptions.topics(session)]
    left = last_leaving(session, recipient_id)
    on = {topic.id for topic in shown if topic.is_on}
    return Preferences(
        is_known=True,
        masked_address=mask(person.address),
        language=person.language,
        topics=tuple(one for one in shown if one.message_class is MessageClass.PROMOTIONAL),
        notices=tuple(one for one in shown if one.message_class is MessageClass.ADMINISTRATIVE),
        promotional=found.promotional,
        tracking=person.open_tracking,
        paused_until=person.paused_until,
        frequency=person.frequency or Frequency.ANY,
        held_back=held_back,
        left_at=left.at if left else None,
        ended=left.ended - on if left else frozenset(),
        has_said_why=left is not None and reasons.is_given(session, recipient_id, left.at),
    )


def wished(session: Session, recipient_id: int, *, now: datetime) -> tuple[Wish, ...]:
    """List the wishes of one person that are in force, each with how and when it came to be."""
    said = last_said(consent.history(session, recipient_id))
    last = [(purpose, said.get((purpose.value, None))) for purpose in wishes.WISHES]
    return tuple(
        Wish(purpose, one.entry.new, one.entry.source, one.entry.occurred_at)
        for purpose, one in last
        if one is not None and wishes.holds(purpose, one.entry.new, now)
    )


def set_topics(
    session: Session, recipient_id: int, wanted: Mapping[int, bool], door: Door, *, now: datetime
) -> Applied:
    """Set the topics of the page as they were ticked (by topic id); others stay as they are.

    A tick is a yes: after a no to all promotions it brings back the ticked topics, and only them.
    To untick everything ends these topics and says nothing of others; an empty page says nothing.
    What is shown as off and stays so is no choice: whoever hasn't confirmed yet may still do so.
    """

    def decide(held: Held) -> Sequence[Change]:
        known = {one: tick for one, tick in wanted.items() if one in held.promotional_ids}
        ticked = {one: SubscriptionState.SUBSCRIBED for one, tick in known.items() if tick}
        unticked = [
            Change(Purpose.PROMOTIONAL_EMAIL, one, SubscriptionState.UNSUBSCRIBED)
            for one, tick in known.items()
            if not tick and held.gets(one)
        ]
        return list(dict.fromkeys([*come_back(held, ticked), *unticked]))

    return apply(session, recipient_id, decide, door, now=now)


def set_tracking(
    session: Session, recipient_id: int, door: Door, *, granted: bool, now: datetime
) -> Applied:
    """Set whether opens may be measured; subscriptions stay as they are.

    A no holds for all earlier messages for ever; a later yes is for later messages only.

    :raises Conflict: where somebody else would turn the person's no into a yes.
    """

    def decide(held: Held) -> Sequence[Change]:
        before = held.person.open_tracking
        if granted:
            if before.is_no and not door.is_the_person:
                raise Conflict(_THEIRS_TO_TAKE_BACK)
            return [Change(Purpose.OPEN_TRACKING, None, Choice.GRANTED)]
        if before.is_no:
            return []
        answer = Choice.WITHDRAWN if before is Choice.GRANTED else Choice.REFUSED
        return [Change(Purpose.OPEN_TRACKING, None, answer)]

    return apply(session, recipient_id, decide, door, now=now)


_THEIRS_TO_TAKE_BACK = (
    "This person said no to being measured, and only they can take that back, "
    "on their own preference page."
)


def _shown(topic: Topic, held: Held) -> TopicShown:
    standing = held.topics.get(topic.id)
    if topic.message_class.needs_subscription:
        is_on = held.gets(topic.id)
    else:
        scopes = {reason.scope for reason in held.suppressed_by}
        is_on = scopes.isdisjoint(topic.message_class.honoured_scopes)
    return TopicShown(
        id=topic.id,
        slug=topic.slug,
        name=topic.name,
        description=topic.description,
        message_class=topic.message_class,
        state=standing.state if standing else None,
        source=standing.source if standing else None,
        since=standing.since if standing else None,
        is_on=is_on,
    )
