"""Choices that staff or a program record on somebody's behalf: never a yes over a no."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from mailprefs import subscriptions
from mailprefs.audit import Actor
from mailprefs.errors import BadInput, Conflict
from mailprefs.policy import Purpose, Source, SubscriptionState, SuppressionReason
from mailprefs.preferences.choosing import Applied, Change, Door, apply
from mailprefs.preferences.holding import Held

_THEIRS_TO_TAKE_BACK = (
    "This person said no to that mail. Coming back needs the mailbox's owner: "
    "they can tick the topic on their own preference page."
)


def set_by_staff(  # noqa: PLR0913 - whose choice, of what, which, by whom and when
    session: Session,
    recipient_id: int,
    slug: str,
    state: SubscriptionState,
    actor: Actor,
    *,
    now: datetime,
    source_ref: str | None = None,
) -> Applied:
    """Record that somebody subscribed to a topic, or left it; *source_ref* says how they told us.

    :raises NotFound: for an unknown topic.
    :raises BadInput: for the state pending, which only a sign-up makes.
    :raises Conflict: for an administrative topic, and for a yes over the person's no.
    """
    topic = subscriptions.topic(session, slug)
    if state is SubscriptionState.PENDING:
        msg = "A person is subscribed or unsubscribed; pending is what a sign-up form makes."
        raise BadInput(msg)
    if not topic.message_class.needs_subscription:
        msg = f"{slug} is administrative: it needs no subscription, and nobody can leave it."
        raise Conflict(msg)

    def decide(held: Held) -> Sequence[Change]:
        if state is SubscriptionState.SUBSCRIBED:
            _refuse_over_a_no(held, topic.id)
        return [Change(Purpose.PROMOTIONAL_EMAIL, topic.id, state)]

    source = Source.API if actor.door == "api" else Source.STAFF
    door = Door(source=source, method=actor.door, actor=actor, source_ref=source_ref)
    return apply(session, recipient_id, decide, door, now=now)


def _refuse_over_a_no(held: Held, topic_id: int) -> None:
    """Refuse a yes where the person left, complained or never confirmed.

    :raises Conflict: with what the person can do.
    """
    state = held.of(Purpose.PROMOTIONAL_EMAIL, topic_id)
    has_said_no = (
        state is SubscriptionState.UNSUBSCRIBED
        or held.promotional.is_no
        or SuppressionReason.COMPLAINED in held.suppressed_by
    )
    if has_said_no:
        raise Conflict(_THEIRS_TO_TAKE_BACK)
    if state is SubscriptionState.PENDING:
        msg = (
            "This person hasn't confirmed yet, and only they can, by the link that they were sent."
        )
        raise Conflict(msg)
