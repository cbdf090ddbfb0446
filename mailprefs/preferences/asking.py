"""Asking for less mail, or for mail in another language: pause, frequency, language."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy.orm import Session

from mailprefs.errors import BadInput, Conflict
from mailprefs.policy import Frequency, Purpose
from mailprefs.preferences import wishes
from mailprefs.preferences.choosing import Applied, Change, Door, apply
from mailprefs.preferences.holding import Held

PAUSES: Final = (30, 90)
"""For how many days promotional mail can be paused."""
_THEIRS_TO_TAKE_BACK = (
    "This person asked for less mail than that, and only they can take it back, "
    "on their own preference page."
)


def set_pause(
    session: Session, recipient_id: int, days: int | None, door: Door, *, now: datetime
) -> Applied:
    """Hold back all promotional mail for *days*, or end that (None); subscriptions stay.

    It ends by itself: at the first midnight (UTC) after so many days, so that to press the button
    twice is to press it once. Whoever pauses anew while paused has the new pause, be it shorter.

    :raises BadInput: for a number of days that isn't offered.
    :raises Conflict: where somebody else would end the person's pause, or make it shorter.
    """
    if days is not None and days not in PAUSES:
        msg = f"Promotional mail can be paused for {' or '.join(map(str, PAUSES))} days."
        raise BadInput(msg)
    until = None if days is None else _midnight_after(now + timedelta(days=days))

    def decide(held: Held) -> Sequence[Change]:
        before = held.person.paused_until
        if not door.is_the_person:
            if until is None or (before is not None and before > until):
                raise Conflict(_THEIRS_TO_TAKE_BACK)
        elif until is None and before is not None and before <= now:
            return []  # It has ended by itself.
        return [Change(Purpose.PAUSE, None, wishes.pause(until))]

    return apply(session, recipient_id, decide, door, now=now)


def set_frequency(
    session: Session, recipient_id: int, frequency: Frequency, door: Door, *, now: datetime
) -> Applied:
    """Set how much promotional mail comes at most, of all topics together.

    :raises Conflict: where somebody else would let more come than before.
    """

    def decide(held: Held) -> Sequence[Change]:
        if frequency is Frequency.ANY and held.person.frequency and not door.is_the_person:
            raise Conflict(_THEIRS_TO_TAKE_BACK)
        return [Change(Purpose.FREQUENCY, None, frequency.value)]

    return apply(session, recipient_id, decide, door, now=now)


def set_language(
    session: Session, recipient_id: int, tag: str, door: Door, *, now: datetime
) -> Applied:
    """Set in which language pages and messages come, where there is one in it.

    *tag* is one of those that the pages offer. Once chosen, no import changes it.
    """

    def decide(held: Held) -> Sequence[Change]:
        del held
        return [Change(Purpose.LANGUAGE, None, tag)]

    return apply(session, recipient_id, decide, door, now=now)


def _midnight_after(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(day, time.min, UTC)
