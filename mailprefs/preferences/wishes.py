"""What a person wishes besides a yes or a no: a pause, a frequency, a language; each one word.

The words stand in the ledger, and the rows are made of them again (``rebuilding``), so they are
fixed for ever:

* pause: the instant from which promotional mail comes again (``2026-12-23T00:00:00Z``), or "none";
* frequency: a ``Frequency``;
* language: a tag ("pt-BR"). Who never chose one has none here, also where a file has told us one.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy.orm import Session

from mailprefs.deliveries import weekly
from mailprefs.policy import Frequency, Purpose
from mailprefs.schema.people import Recipient

NONE: Final = "none"
WISHES: Final = (Purpose.PAUSE, Purpose.FREQUENCY, Purpose.LANGUAGE)
"""The purposes that take such a word."""


def of(person: Recipient, purpose: Purpose) -> str | None:
    """Give a wish of one person as it stands, in the ledger's word."""
    if purpose is Purpose.PAUSE:
        return pause(person.paused_until)
    if purpose is Purpose.FREQUENCY:
        return (person.frequency or Frequency.ANY).value
    return person.language if person.language_since else None


def unsaid(purpose: Purpose) -> str | None:
    """Give the wish of somebody who never said one."""
    return {Purpose.PAUSE: NONE, Purpose.FREQUENCY: Frequency.ANY.value}.get(purpose)


def holds(purpose: Purpose, word: str, now: datetime) -> bool:
    """Tell whether a wish makes any difference now: a pause that is over doesn't."""
    if purpose is Purpose.PAUSE:
        return word != NONE and paused_until(word) > now
    return word != unsaid(purpose)


def put(
    session: Session, person: Recipient, purpose: Purpose, word: str | None, *, at: datetime
) -> None:
    """Make the row say a wish, chosen *at*, with what follows from it."""
    if purpose is Purpose.PAUSE:
        person.paused_until = None if word == NONE else paused_until(word or "")
    elif purpose is Purpose.FREQUENCY:
        frequency = Frequency(word or "")
        person.frequency = None if frequency is Frequency.ANY else frequency
        if person.frequency is None:
            weekly.end(session, person.id)
        else:
            weekly.begin(session, person.id, now=at)
    else:
        person.language = word or person.language
        person.language_since = at if word else None
    session.flush()


def pause(until: datetime | None) -> str:
    """Give the word of a pause."""
    return NONE if until is None else f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def paused_until(word: str) -> datetime:
    """Give the instant that a pause's word tells."""
    return datetime.fromisoformat(word)
