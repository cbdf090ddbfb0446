"""What a recipient's page shows of one person: a masked address, topics and choices, no more.

Whoever is looked up here is spoken to in their own language from then on.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import consent, languages, preferences, recipients
from mailprefs.consent import Shown
from mailprefs.languages import Language, gettext_noop
from mailprefs.policy import (
    Frequency,
    Purpose,
    SuppressionReason,
    TrackingMode,
    tracking_basis,
    tracking_mode,
)
from mailprefs.preferences import TopicShown
from mailprefs.schema.people import Recipient, Sender, Topic
from mailprefs.settings import Settings
from mailprefs.web import speaking

# A person's own no is shown with the topics; these are not for the person to lift.
_MARKED = gettext_noop(
    "Mail to this address is held back at present, because a message to you was marked as spam."
)
_NOT_ACCEPTED = gettext_noop(
    "Mail to this address is held back at present, because your mailbox didn’t accept our mail."
)
_HELD_BACK = {
    SuppressionReason.COMPLAINED: _MARKED,
    SuppressionReason.HARD_BOUNCE: _NOT_ACCEPTED,
    SuppressionReason.INVALID: _NOT_ACCEPTED,
}


class Told(NamedTuple):
    """What a page says after a choice: the heading that says what happened, and what follows.

    *act* names what was just chosen, where that can be undone.
    """

    heading: str
    more: str = ""
    act: str = ""


class Standing(NamedTuple):
    """Where one person stands, in the words of a page."""

    recipient_id: int
    masked: str
    topics: tuple[TopicShown, ...]
    notices: tuple[TopicShown, ...]
    ended: tuple[TopicShown, ...]
    has_left: bool
    undo_until: datetime | None
    is_measured: bool
    held_back: str | None
    paused_until: datetime | None = None
    is_weekly: bool = False
    chosen_language: Language | None = None
    may_say_why: bool = False

    @property
    def gets_promotional(self) -> bool:
        """Tell whether any promotional mail comes."""
        return any(topic.is_on for topic in self.topics)


def of(
    session: Session, recipient_id: int, settings: Settings, *, now: datetime
) -> Standing | None:
    """Give where a person stands; None for somebody who is unknown or erased."""
    person = find(session, recipient_id)
    if person is None:
        return None
    current = preferences.current(session, recipient_id)
    basis = tracking_basis(person.region, settings.unknown_region_basis)
    mode = tracking_mode(
        current.tracking, basis, ceiling=TrackingMode.INDIVIDUAL, unasked=TrackingMode.OFF
    )
    has_left = current.promotional.is_no or bool(current.ended)
    until = current.left_at + timedelta(seconds=settings.undo_window) if current.left_at else None
    is_fresh = has_left and until is not None and now <= until
    paused = current.paused_until
    return Standing(
        recipient_id=recipient_id,
        masked=current.masked_address,
        topics=current.topics,
        notices=tuple(topic for topic in current.notices if topic.is_on),
        ended=tuple(topic for topic in current.topics if topic.id in current.ended),
        has_left=has_left,
        undo_until=until if is_fresh else None,
        is_measured=mode is TrackingMode.INDIVIDUAL,
        held_back=next(
            (
                speaking.gettext(_HELD_BACK[one.reason])
                for one in current.held_back
                if one.reason in _HELD_BACK
            ),
            None,
        ),
        paused_until=paused if paused and paused > now else None,
        is_weekly=current.frequency is Frequency.WEEKLY,
        chosen_language=languages.find(person.language),
        may_say_why=is_fresh and not current.has_said_why,
    )


def find(session: Session, recipient_id: int) -> Recipient | None:
    """Give the person of a link; None for somebody who is unknown or erased."""
    person = recipients.by_id(session, recipient_id)
    if person is not None:
        speaking.speak_to(person.language)
    return person


def sender_name(session: Session, topic_id: int) -> str | None:
    """Give who sends a topic's messages; None for an unknown topic."""
    return session.scalar(
        select(Sender.name).join(Topic, Topic.sender_id == Sender.id).where(Topic.id == topic_id)
    )


def topic_name(session: Session, topic_id: int) -> str | None:
    """Give what a topic is called; None for an unknown one."""
    return session.scalar(select(Topic.name).where(Topic.id == topic_id))


def shown(session: Session, purpose: Purpose, text: str) -> Shown:
    """Keep the words that stood beside a control, as proof of what was chosen by it.

    *text* is the English; what is kept is what the page said, in its language.
    """
    consent.lock(session)  # lock order: gate, ledger head, rows
    language = speaking.language()
    return consent.wording(session, purpose, language.tag, language.gettext(text))
