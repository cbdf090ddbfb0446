"""The one function behind every choice: ledger, rows and what follows from them, or nothing.

What a person holds is this, and a choice changes some of it:

* a state for each topic (``subscriptions``);
* an answer to promotional mail as a whole: a no is the suppression "unsubscribed";
* an answer to being measured (``recipients.open_tracking``): a no silences all earlier messages;
* three wishes: a pause, a frequency, a language (``wishes``);
* nothing else. Complaints, bounces and erasure aren't choices, and no choice lifts them.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs import audit, consent, journal, opens, recipients, subscriptions, suppressions
from mailprefs.audit import CONSOLE, Actor
from mailprefs.consent import Entry, Recorded, Shown
from mailprefs.db.database import refused, require_taking
from mailprefs.journal import Refusal
from mailprefs.policy import (
    Choice,
    MessageClass,
    Purpose,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences import counting, wishes
from mailprefs.schema.people import Recipient
from mailprefs.subscriptions import Standing

_PROMOTIONAL_SCOPES = MessageClass.PROMOTIONAL.honoured_scopes
PERSON: Final = "self"
"""How the ledger names the person, where they chose themselves."""
_NOES: Final = frozenset(
    {SubscriptionState.UNSUBSCRIBED.value, *(choice.value for choice in Choice if choice.is_no)}
)


class Door(NamedTuple):
    """By which door a choice comes in, and what proves it.

    ``method`` says how it was expressed: "post_one_click", "button", "unticked_checkbox", ...
    ``actor`` is None for the person. ``delivery_id`` is the message whose link was used (0 and
    None: none), ``wording`` the words shown, ``language`` the page's. Unless ``is_counted``, a no
    isn't added to those that the message caused, because it is counted otherwise.
    """

    source: Source
    method: str
    actor: Actor | None = None
    delivery_id: int | None = None
    source_ref: str | None = None
    wording: Shown | None = None
    language: str | None = None
    token_key_id: int | None = None
    is_counted: bool = True

    @property
    def is_the_person(self) -> bool:
        """Tell whether it is the person who chooses, and nobody on their behalf."""
        return self.actor is None

    @property
    def who(self) -> str:
        """Give who chooses, as the ledger names them."""
        if self.actor is None:
            return PERSON
        if self.actor.staff_id is not None:
            return f"staff:{self.actor.staff_id}"
        return "console" if self.actor == CONSOLE else "system"


class Change(NamedTuple):
    """What one thing is to become: a topic's state, or, without topic, the word for a purpose.

    The word is a ``Choice``, or what ``wishes`` says of a pause, a frequency, a language.
    """

    purpose: Purpose
    topic_id: int | None
    new: SubscriptionState | Choice | str

    @property
    def is_leaving(self) -> bool:
        """Tell whether this is a no to promotional mail, of one topic or all."""
        if self.purpose is not Purpose.PROMOTIONAL_EMAIL:
            return False
        return self.new is SubscriptionState.UNSUBSCRIBED or (
            isinstance(self.new, Choice) and self.new.is_no
        )


class Held(NamedTuple):
    """What one person holds before a choice; ``topics`` has only those ever asked about."""

    person: Recipient
    topics: Mapping[int, Standing]
    promotional_ids: frozenset[int]
    promotional: Choice
    suppressed_by: frozenset[SuppressionReason]

    def of(self, purpose: Purpose, topic_id: int | None) -> str | None:
        """Give what one thing is now; None where the person was never asked or said nothing."""
        if topic_id is not None:
            standing = self.topics.get(topic_id)
            return standing.state if standing else None
        if purpose in wishes.WISHES:
            return wishes.of(self.person, purpose)
        if purpose is Purpose.OPEN_TRACKING:
            return self.person.open_tracking
        return self.promotional

    def gets(self, topic_id: int) -> bool:
        """Tell whether messages of a promotional topic come, given all that may hold them back."""
        standing = self.topics.get(topic_id)
        return (
            not any(reason.scope in _PROMOTIONAL_SCOPES for reason in self.suppressed_by)
            and standing is not None
            and standing.state is SubscriptionState.SUBSCRIBED
        )

    def subscribed(self) -> list[int]:
        """List the promotional topics that this person asked for, confirmed or not."""
        return self._in(SubscriptionState.SUBSCRIBED, SubscriptionState.PENDING)

    def unsubscribed(self) -> list[int]:
        """List the promotional topics that this person has left."""
        return self._in(SubscriptionState.UNSUBSCRIBED)

    def _in(self, *states: SubscriptionState) -> list[int]:
        return [
            topic_id
            for topic_id, standing in sorted(self.topics.items())
            if topic_id in self.promotional_ids and standing.state in states
        ]


class Applied(NamedTuple):
    """What came of a choice. A person who is unknown or erased is neutral: nothing, no error."""

    is_known: bool
    changes: tuple[Change, ...] = ()
    request_id: str | None = None

    @property
    def has_changed(self) -> bool:
        """Tell whether anything is different now."""
        return bool(self.changes)


class _Act(NamedTuple):
    """What all changes of one act share."""

    policy_version_id: int
    request_id: str
    at: datetime


NOBODY: Final = Applied(is_known=False)


def apply(
    session: Session,
    recipient_id: int,
    decide: Callable[[Held], Sequence[Change]],
    door: Door,
    *,
    now: datetime,
) -> Applied:
    """Make the changes that *decide* asks for, given what the person holds; what is so stays so.

    Ledger entries, rows, suppression, silenced messages, the count of the message that made the
    person leave, and, for a choice on somebody's behalf, the audit: all in this transaction. A
    second time nothing is left to change, and nothing is written, with one exception: a no that
    somebody records over the person's own click is noted beside it (old = new), so that whoever
    takes the click back doesn't take back what was said since.

    :raises Conflict: before a privacy policy is in force.
    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    # Kept by a name, so that the session isn't asked for the same person again.
    person = recipients.by_id(session, recipient_id)
    if person is None:
        return NOBODY
    consent.lock(session)  # lock order: gate, ledger head, rows
    session.flush()  # what follows is asked of the driver, past what waits to be written
    before = held(session, person)
    asked = decide(before)
    changes = tuple(one for one in asked if before.of(one.purpose, one.topic_id) != one.new)
    noted = (*changes, *_repeated(session, before, asked, door))
    if not noted:
        return Applied(is_known=True)
    act = _Act(consent.policy_in_force(session, now), secrets.token_hex(8), now)
    entries = [_entry(before, change, door, act) for change in noted]
    consent.append(session, entries, now=now)
    for change in noted:
        _write(session, before.person, change, door, act)
    is_counted = door.is_counted and any(change.is_leaving for change in changes)
    if door.delivery_id and is_counted:
        counting.count(session, door.delivery_id, now)
    _note(session, before, noted, door, act)
    return Applied(is_known=True, changes=changes, request_id=act.request_id)


def held(session: Session, person: Recipient) -> Held:
    """Give what one person holds."""
    reasons = suppressions.reasons(session, person.address_hash)
    return Held(
        person=person,
        topics=subscriptions.standings(session, person.id),
        promotional_ids=subscriptions.promotional_ids(session),
        promotional=_promotional(
            session, person.id, is_suppressed=SuppressionReason.UNSUBSCRIBED in reasons
        ),
        suppressed_by=reasons,
    )


def last_said(history: Sequence[Recorded]) -> dict[tuple[str, int | None], Recorded]:
    """Give the last entry about each thing, by purpose and topic, of a history in order."""
    return {(one.entry.purpose, one.entry.topic_id): one for one in history}


def own_noes(history: Sequence[Recorded]) -> dict[int | None, str]:
    """Give the noes to promotional mail that are the person's own last word, by topic.

    None stands for all promotional mail. Only these can be taken back by the page's undo.
    """
    return {
        one.entry.topic_id: one.entry.new
        for one in last_said(history).values()
        if one.entry.purpose == Purpose.PROMOTIONAL_EMAIL
        and one.entry.actor == PERSON
        and one.entry.new in _NOES
    }


def _repeated(
    session: Session, before: Held, asked: Sequence[Change], door: Door
) -> Sequence[Change]:
    """Give the noes that somebody else says once more while the person's own click holds them."""
    if door.is_the_person:
        return ()
    same = [
        one for one in asked if one.is_leaving and before.of(one.purpose, one.topic_id) == one.new
    ]
    if not same:
        return ()
    own = own_noes(consent.history(session, before.person.id))
    return [one for one in same if one.topic_id in own]


def _promotional(session: Session, recipient_id: int, *, is_suppressed: bool) -> Choice:
    """Give the answer to promotional mail as a whole.

    The suppression decides; the ledger says in which words, where the person said it here.
    """
    last = last_said(consent.history(session, recipient_id))
    recorded = last.get((Purpose.PROMOTIONAL_EMAIL, None))
    said = Choice(recorded.entry.new) if recorded else Choice.UNKNOWN
    if is_suppressed:
        return said if said.is_no else Choice.WITHDRAWN
    return Choice.UNKNOWN if said.is_no else said


def _entry(held: Held, change: Change, door: Door, act: _Act) -> Entry:
    old = held.of(change.purpose, change.topic_id)
    return Entry(
        recipient_id=held.person.id,
        purpose=change.purpose.value,
        topic_id=change.topic_id,
        old=None if old is None else str(old),
        new=str(change.new),
        source=door.source,
        policy_version_id=act.policy_version_id,
        method=door.method,
        occurred_at=act.at,
        actor=door.who,
        delivery_id=door.delivery_id or None,
        source_ref=door.source_ref,
        wording=door.wording,
        language=door.language,
        token_key_id=door.token_key_id,
        request_id=act.request_id,
    )


def _write(session: Session, person: Recipient, change: Change, door: Door, act: _Act) -> None:
    """Make one row say what was chosen, with what follows from it."""
    if change.new in _NOES:
        refused(session, Refusal(person.address_hash, _word(change), act.at))
    if isinstance(change.new, SubscriptionState):
        if change.topic_id is None:
            msg = "A subscription state without a topic says nothing."
            raise TypeError(msg)
        standing = Standing(change.new, door.source, act.at, act.policy_version_id)
        subscriptions.set_state(session, person.id, change.topic_id, standing)
    elif not isinstance(change.new, Choice):
        wishes.put(session, person, change.purpose, change.new, at=act.at)
    elif change.purpose is Purpose.OPEN_TRACKING:
        person.open_tracking = change.new
        if change.new.is_no:
            person.apple_seen_on = None
            opens.silence(session, person.id)
        session.flush()
    elif change.new.is_no:
        suppressions.add(
            session,
            person.address_hash,
            person.address_key_id,
            SuppressionReason.UNSUBSCRIBED,
            door.source,
            now=act.at,
            delivery_id=door.delivery_id or None,
        )
    else:
        suppressions.lift(session, person.address_hash, SuppressionReason.UNSUBSCRIBED)


def _word(change: Change) -> str:
    """Give what the journal calls a no."""
    if change.topic_id is not None:
        return journal.of_topic(change.topic_id)
    is_tracking = change.purpose is Purpose.OPEN_TRACKING
    return journal.TRACKING if is_tracking else journal.PROMOTIONAL


def _note(session: Session, held: Held, changes: Sequence[Change], door: Door, act: _Act) -> None:
    """Audit a choice that somebody recorded on the person's behalf."""
    if door.actor is None:
        return
    listed = [[one.purpose.value, one.topic_id, str(one.new)] for one in changes]
    subject = ("recipient", held.person.id)
    details = {"changes": listed, "request_id": act.request_id}
    audit.record(session, door.actor, "choice.recorded", subject, now=act.at, details=details)
