"""Leaving promotional mail, keeping some of it after all, and taking a click back."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs import consent
from mailprefs.consent import Recorded
from mailprefs.policy import Choice, Purpose, SubscriptionState
from mailprefs.preferences import counting, wishes
from mailprefs.preferences.choosing import Applied, Change, Door, Wanted, apply, apply_each
from mailprefs.preferences.holding import PERSON, Held, last_said
from mailprefs.settings import OneClickScope

_UNDO: Final = "undo"
_PROMOTIONAL = Purpose.PROMOTIONAL_EMAIL
_TAKEN_BACK: Final = frozenset({_PROMOTIONAL, Purpose.PAUSE, Purpose.FREQUENCY})
"""What can be taken back: what was deleted after a no to measuring is gone."""


class Leaving(NamedTuple):
    """The last act by which a person left promotional mail themselves.

    ``entries`` is what it changed and nobody has said anything of since: what it can be taken back
    by. A no that staff or a file brought later isn't the person's click, and stays.
    """

    at: datetime
    entries: tuple[Recorded, ...]

    @property
    def ended(self) -> frozenset[int]:
        """Give the topics that this act ended."""
        return frozenset(
            one.entry.topic_id
            for one in self.entries
            if one.entry.topic_id is not None and _is_leaving(one)
        )


class Click(NamedTuple):
    """One click on the link of a message, by which somebody leaves."""

    recipient_id: int
    topic_id: int
    door: Door
    scope: OneClickScope
    at: datetime


def opt_out(  # noqa: PLR0913 - whose, by which message, door and rule, and when
    session: Session,
    recipient_id: int,
    topic_id: int,
    door: Door,
    *,
    scope: OneClickScope,
    now: datetime,
) -> Applied:
    """End what one click ends: all promotional mail, or, where set so, the message's topic only."""
    return opt_out_each(session, [Click(recipient_id, topic_id, door, scope, now)])[0]


def opt_out_each(session: Session, clicks: Sequence[Click]) -> list[Applied]:
    """End what each of some clicks ends; they count as of the last one's time."""
    if not clicks:
        return []
    wanted = [Wanted(one.recipient_id, partial(_end, one), one.door) for one in clicks]
    return apply_each(session, wanted, now=max(one.at for one in clicks))


def _end(click: Click, held: Held) -> Sequence[Change]:
    if click.scope is OneClickScope.TOPIC and click.topic_id in held.promotional_ids:
        return [_ended(click.topic_id)]
    return everything(held)


def opt_out_all(session: Session, recipient_id: int, door: Door, *, now: datetime) -> Applied:
    """End all promotional mail, of topics that don't exist yet too."""
    return apply(session, recipient_id, everything, door, now=now)


def opt_out_topic(
    session: Session, recipient_id: int, topic_id: int, door: Door, *, now: datetime
) -> Applied:
    """End one promotional topic; an administrative one can't be left, and nothing changes."""

    def decide(held: Held) -> Sequence[Change]:
        return [_ended(topic_id)] if topic_id in held.promotional_ids else []

    return apply(session, recipient_id, decide, door, now=now)


def keep_topics(
    session: Session, recipient_id: int, topic_ids: Collection[int], door: Door, *, now: datetime
) -> Applied:
    """Take up again some of the topics that the person's last leaving ended; no others."""
    left = last_leaving(session, recipient_id)
    kept = left.ended.intersection(topic_ids) if left else frozenset()
    # As it was before: a topic that was never confirmed isn't confirmed by being kept.
    before = {one.entry.topic_id: one.entry.old for one in left.entries} if left else {}
    states = {one: SubscriptionState(before[one] or SubscriptionState.SUBSCRIBED) for one in kept}
    applied = apply(session, recipient_id, partial(come_back, states=states), door, now=now)
    _settle(session, recipient_id, left, applied)
    return applied


def undo(
    session: Session, recipient_id: int, door: Door, *, now: datetime, window: timedelta
) -> Applied:
    """Take back exactly what the person's last leaving changed, if it is within *window*.

    What was chosen anew in the meantime stays. ``has_changed`` is False if there is nothing (more)
    to take back.
    """
    left = last_leaving(session, recipient_id)
    if left is not None and now - left.at > window:
        left = None

    entries = left.entries if left else ()
    applied = _back(session, recipient_id, entries, door, now)
    _settle(session, recipient_id, left, applied)
    return applied


def take_back(  # noqa: PLR0913 - whose, which act, by which door, until when
    session: Session,
    recipient_id: int,
    request_id: str,
    door: Door,
    *,
    now: datetime,
    window: timedelta,
) -> Applied:
    """Take back one act of the person's, if it is within *window*: topics, all mail, less mail.

    What somebody has said anything of since stays as it is now. A topic that the act asked for the
    first time is left again: nobody can be as if they had never been asked.
    """
    entries = tuple(
        one
        for one in last_said(consent.history(session, recipient_id)).values()
        if one.entry.request_id == request_id
        and one.entry.actor == PERSON
        and one.entry.purpose in _TAKEN_BACK
        and now - one.entry.occurred_at <= window
    )
    applied = _back(session, recipient_id, entries, door, now)
    if any(_is_leaving(one) for one in entries):
        _settle(session, recipient_id, Leaving(entries[0].entry.occurred_at, entries), applied)
    return applied


def _back(
    session: Session, recipient_id: int, entries: Sequence[Recorded], door: Door, now: datetime
) -> Applied:
    """Make of each thing what it was before an entry, where it is still what that says."""

    def decide(held: Held) -> Sequence[Change]:
        changes = []
        for one in entries:
            purpose, said = Purpose(one.entry.purpose), one.entry
            before = said.old
            if before is None and said.new == SubscriptionState.SUBSCRIBED:
                before = SubscriptionState.UNSUBSCRIBED.value
            if before is not None and held.of(purpose, said.topic_id) == said.new:
                changes.append(Change(purpose, said.topic_id, _as_chosen(one, before)))
        return changes

    undoing = door._replace(method=_UNDO, is_counted=False)
    return apply(session, recipient_id, decide, undoing, now=now)


def everything(held: Held) -> Sequence[Change]:
    """Decide to end every topic that the person asked for, and promotional mail as a whole.

    What has ended is ended once more, which changes nothing: ``apply`` knows what to do with it.
    """
    ended = [_ended(topic_id) for topic_id in held.subscribed()]
    gone = [_ended(topic_id) for topic_id in held.unsubscribed()]
    if held.promotional.is_no:
        return [*ended, *gone, Change(_PROMOTIONAL, None, held.promotional)]
    has_agreed = bool(ended) or held.promotional is Choice.GRANTED
    answer = Choice.WITHDRAWN if has_agreed else Choice.REFUSED
    return [*ended, *gone, Change(_PROMOTIONAL, None, answer)]


def come_back(held: Held, states: dict[int, SubscriptionState]) -> Sequence[Change]:
    """Decide to take up topics, each in a state.

    Where all promotional mail had ended, that ends too, for these topics and no others: what else
    is still on file as subscribed would come back with them unasked.
    """
    changes = [Change(_PROMOTIONAL, one, state) for one, state in sorted(states.items())]
    if not states or not held.promotional.is_no:
        return changes
    others = [_ended(one) for one in held.subscribed() if one not in states]
    return [*changes, *others, Change(_PROMOTIONAL, None, Choice.GRANTED)]


def last_leaving(session: Session, recipient_id: int) -> Leaving | None:
    """Give the last act by which a person left themselves, whether or not it is still in force."""
    history = [
        one for one in consent.history(session, recipient_id) if one.entry.purpose == _PROMOTIONAL
    ]
    for one in reversed(history):
        if one.entry.actor == PERSON and _is_leaving(one) and one.entry.method != _UNDO:
            same = tuple(
                other
                for other in last_said(history).values()
                if other.entry.request_id == one.entry.request_id
            )
            return Leaving(one.entry.occurred_at, same)
    return None


def _settle(session: Session, recipient_id: int, left: Leaving | None, applied: Applied) -> None:
    """Take a message out of the count of those that made somebody leave, once it didn't."""
    delivery_id = left.entries[0].entry.delivery_id if left and left.entries else None
    if delivery_id is None or not applied.has_changed:
        return
    in_force = last_said(consent.history(session, recipient_id)).values()
    if not any(_is_leaving(one) and one.entry.delivery_id == delivery_id for one in in_force):
        counting.uncount(session, delivery_id)


def _ended(topic_id: int) -> Change:
    return Change(_PROMOTIONAL, topic_id, SubscriptionState.UNSUBSCRIBED)


def _is_leaving(one: Recorded) -> bool:
    purpose = Purpose(one.entry.purpose)
    return Change(purpose, one.entry.topic_id, _as_chosen(one, one.entry.new)).is_leaving


def _as_chosen(one: Recorded, word: str) -> SubscriptionState | Choice | str:
    if one.entry.topic_id is not None:
        return SubscriptionState(word)
    return word if one.entry.purpose in wishes.WISHES else Choice(word)
