"""The one function behind every choice: ledger, rows and what follows from them, or nothing.

What a person holds is this, and a choice changes some of it:

* a state for each topic (``subscriptions``);
* an answer to promotional mail as a whole: a no is the suppression "unsubscribed";
* an answer to being measured (``recipients.open_tracking``): a no silences all earlier messages;
* three wishes: a pause, a frequency, a language (``wishes``);
* nothing else. Complaints, bounces and erasure aren't choices, and no choice lifts them.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs import audit, consent, journal, opens, recipients, subscriptions, suppressions
from mailprefs.audit import CONSOLE, Actor
from mailprefs.consent import Entry, Shown
from mailprefs.db.database import refused, require_taking
from mailprefs.journal import Refusal
from mailprefs.policy import (
    Choice,
    Purpose,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences import counting, wishes
from mailprefs.preferences.holding import NOES, PERSON, Held, held_each, own_noes
from mailprefs.subscriptions import Standing
from mailprefs.suppressions import Cause


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


class Applied(NamedTuple):
    """What came of a choice. A person who is unknown or erased is neutral: nothing, no error."""

    is_known: bool
    changes: tuple[Change, ...] = ()
    request_id: str | None = None

    @property
    def has_changed(self) -> bool:
        """Tell whether anything is different now."""
        return bool(self.changes)


class Wanted(NamedTuple):
    """What one person wants, as *decide* has it of what they hold, and how it came in."""

    recipient_id: int
    decide: Callable[[Held], Sequence[Change]]
    door: Door


class _Act(NamedTuple):
    """What all changes of one act share."""

    policy_version_id: int
    request_id: str
    at: datetime


class _Plan(NamedTuple):
    """One person's choice before it is written; without an act nothing is."""

    number: int
    before: Held
    door: Door
    changes: tuple[Change, ...]
    noted: tuple[Change, ...]
    act: _Act | None

    @property
    def is_counted(self) -> bool:
        """Tell whether the message whose link was used made this person leave."""
        return self.door.is_counted and any(change.is_leaving for change in self.changes)


class _Rows(NamedTuple):
    """Rows that nearly every choice writes, of several people."""

    states: list[tuple[int, int, Standing]]
    causes: list[Cause]


NOBODY: Final = Applied(is_known=False)


def apply(
    session: Session,
    recipient_id: int,
    decide: Callable[[Held], Sequence[Change]],
    door: Door,
    *,
    now: datetime,
) -> Applied:
    """Make the changes that *decide* asks for, given what one person holds; see ``apply_each``."""
    return apply_each(session, [Wanted(recipient_id, decide, door)], now=now)[0]


def apply_each(session: Session, wanted: Sequence[Wanted], *, now: datetime) -> list[Applied]:
    """Make the changes that each of *wanted* asks for; what is so stays so.

    Ledger entries, rows, suppression, silenced messages, the count of the message that made the
    person leave, and, for a choice on somebody's behalf, the audit: all in this transaction. A
    second time nothing is left to change, and nothing is written, with one exception: a no that
    somebody records over the person's own click is noted beside it (old = new), so that whoever
    takes the click back doesn't take back what was said since.

    :raises Conflict: before a privacy policy is in force.
    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    applied: list[Applied] = [NOBODY] * len(wanted)
    left = list(enumerate(wanted))
    while left:
        # What somebody wants a second time is asked of what they hold then.
        first: dict[int, tuple[int, Wanted]] = {}
        for number, one in left:
            first.setdefault(one.recipient_id, (number, one))
        for number, what in _apply_once(session, list(first.values()), now):
            applied[number] = what
        left = [(number, one) for number, one in left if first[one.recipient_id][0] != number]
    return applied


def _apply_once(
    session: Session, wanted: Sequence[tuple[int, Wanted]], now: datetime
) -> Iterator[tuple[int, Applied]]:
    """Make the changes of different people; give what came of each, by its number."""
    people = recipients.by_ids(session, [one.recipient_id for _, one in wanted])
    if not people:
        return
    consent.lock(session)  # lock order: gate, ledger head, rows
    session.flush()  # what follows is asked of the driver, past what waits to be written
    before = held_each(session, list(people.values()))
    policy = cache(partial(consent.policy_in_force, session, now))

    def act() -> _Act:
        return _Act(policy(), secrets.token_hex(8), now)

    plans = [
        _plan(number, before[one.recipient_id], one, act)
        for number, one in wanted
        if one.recipient_id in before
    ]
    entries = [_entry(plan, change) for plan in plans for change in plan.noted]
    consent.append(session, entries, now=now)
    _carry_out(session, plans, now)
    for plan in plans:
        act_id = plan.act.request_id if plan.act else None
        yield plan.number, Applied(is_known=True, changes=plan.changes, request_id=act_id)


def _plan(number: int, before: Held, one: Wanted, act: Callable[[], _Act]) -> _Plan:
    """Decide what one person's choice changes, and what is noted of it."""
    asked = one.decide(before)
    changes = tuple(new for new in asked if before.of(new.purpose, new.topic_id) != new.new)
    noted = (*changes, *_repeated(before, asked, one.door))
    return _Plan(number, before, one.door, changes, noted, act() if noted else None)


def _carry_out(session: Session, plans: Sequence[_Plan], now: datetime) -> None:
    """Write what the ledger already says; of what is frequent, everybody's rows at once."""
    rows = _Rows([], [])
    for plan in plans:
        if plan.act is None:
            continue
        for change in plan.noted:
            _write(session, plan, plan.act, change, rows)
        _note(session, plan.before, plan.noted, plan.door, plan.act)
    subscriptions.set_states(session, rows.states)
    suppressions.add_each(session, rows.causes)
    left = (plan.door.delivery_id for plan in plans if plan.is_counted)
    if deliveries := [one for one in left if one]:
        counting.count(session, deliveries, now)


def _repeated(before: Held, asked: Sequence[Change], door: Door) -> Sequence[Change]:
    """Give the noes that somebody else says once more while the person's own click holds them."""
    if door.is_the_person:
        return ()
    same = [
        one for one in asked if one.is_leaving and before.of(one.purpose, one.topic_id) == one.new
    ]
    if not same:
        return ()
    own = own_noes(before.history)
    return [one for one in same if one.topic_id in own]


def _entry(plan: _Plan, change: Change) -> Entry:
    held, door, act = plan.before, plan.door, plan.act
    assert act is not None  # noqa: S101 - whatever is noted is noted of an act
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


def _write(session: Session, plan: _Plan, act: _Act, change: Change, rows: _Rows) -> None:
    """Make one row say what was chosen, with what follows from it; or add it to *rows*."""
    person, door = plan.before.person, plan.door
    if change.new in NOES:
        refused(session, Refusal(person.address_hash, _word(change), act.at))
    if isinstance(change.new, SubscriptionState):
        if change.topic_id is None:
            msg = "A subscription state without a topic says nothing."
            raise TypeError(msg)
        standing = Standing(change.new, door.source, act.at, act.policy_version_id)
        rows.states.append((person.id, change.topic_id, standing))
    elif not isinstance(change.new, Choice):
        wishes.put(session, person, change.purpose, change.new, at=act.at)
    elif change.purpose is Purpose.OPEN_TRACKING:
        person.open_tracking = change.new
        if change.new.is_no:
            person.apple_seen_on = None
            opens.silence(session, person.id)
        session.flush()
    elif change.new.is_no:
        reason, delivery = SuppressionReason.UNSUBSCRIBED, door.delivery_id or None
        rows.causes.append(
            Cause(person.address_hash, person.address_key_id, reason, door.source, act.at, delivery)
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
