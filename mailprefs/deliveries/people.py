"""The people of one batch, asked about again: who still may get it, and how each is measured."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import compress
from typing import Any, Final, NamedTuple, Protocol, Self

from sqlalchemy import (
    ColumnElement,
    Date,
    String,
    bindparam,
    func,
    null,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from mailprefs import audience, consent
from mailprefs.audience import Audience
from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.deliveries import weekly
from mailprefs.deliveries.pick import Picked
from mailprefs.policy import (
    Choice,
    Skip,
    TrackingBasis,
    TrackingMode,
    tracking_basis,
    tracking_mode,
)
from mailprefs.rendering.content import Content
from mailprefs.rendering.person import Person, Persons, missing
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.people import Recipient, Subscription

APPLE_DAYS: Final = 60
"""Days for which a load by Apple's privacy proxy tells how a person's mail is read."""
_OF_EVERYBODY: Final = frozenset({"first_name", "last_name", "email"})
_MARKS: Final = {TrackingMode.INDIVIDUAL: "i", TrackingMode.AGGREGATE: "a", TrackingMode.OFF: "o"}
_NOT_IN_CALL: Final = "-"
_NOTHING: Final[Mapping[str, str]] = {}


class Rules(Protocol):
    """What of a claim's terms matters for its people."""

    @property
    def unknown_region_basis(self) -> TrackingBasis:
        """Give the ground for measuring people of an unknown region."""
        ...

    @property
    def may_mail(self) -> Callable[[str], bool] | None:
        """Give whether an address may be mailed from here; None: any."""
        ...


@dataclass(slots=True)
class Found:
    """Who of a batch is to be handed over, who is not any more and why, and who is measured.

    *modes* has one character a delivery of the batch, as ``hand_overs.modes`` says; *measured* has
    the deliveries with mode individual, *apple* those of them that Apple's proxy loads.
    """

    people: Persons = field(default_factory=lambda: Persons.of([]), repr=False)
    skipped: dict[int, Skip] = field(default_factory=dict)
    modes: str = ""
    measured: list[int] = field(default_factory=list)
    apple: list[int] = field(default_factory=list)
    fields: str = ""


class _Asked(NamedTuple):
    """What the last check says of a batch's people, column by column, in the order of deliveries.

    Columns, because a campaign has a million people, and what is done for a whole column at once
    takes half the time of what is done for one row after the other.
    """

    deliveries: Sequence[int]
    recipients: Sequence[int]
    addresses: Sequence[str]
    first_names: Sequence[str]
    last_names: Sequence[str]
    choices: Sequence[str]
    regions: Sequence[str | None]
    apples: Sequence[object]
    frequencies: Sequence[str | None]
    whys: Sequence[str | None]
    owns: Sequence[object]

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]]) -> Self:
        """Give *rows* as columns."""
        return cls(*(zip(*rows, strict=True) if rows else [()] * len(cls._fields)))

    def without(self, those: Collection[int]) -> Self:
        """Give the same without some deliveries."""
        return self.of([row for row in zip(*self, strict=True) if row[0] not in those])


def read(
    session: Session, picked: Picked, content: Content, rules: Rules, *, now: datetime
) -> Found:
    """Ask about everybody in the batch who has no state of their own."""
    whom = Audience(picked.topic_id, picked.message_class, picked.template)
    names = None if picked.template is not None else _names(content)
    asked = _ask(session, whom, picked, now, with_own=names != ())
    if picked.is_measurable and Choice.GRANTED in asked.choices:
        asked = _without_lapsed(session, asked, now)
    found, modes = Found(), _Modes(picked, content, rules)
    if any(asked.whys):
        whys = zip(asked.deliveries, asked.whys, strict=True)
        found.skipped = {delivery: Skip(why) for delivery, why in whys if why is not None}
        asked = asked.without(found.skipped)
    found.people = _people(asked, modes, names)
    if more := _not_now(found.people, content, rules):
        found.skipped |= more
        asked = asked.without(more)
        found.people = _people(asked, modes, names)
    if whom.needs_subscription and any(asked.frequencies):
        late = _too_late(session, picked, asked, now)
        found.skipped |= late
        asked = asked.without(late)
        found.people = _people(asked, modes, names)
    found.modes, measured = _marks(asked, modes, picked)
    apple = set(compress(asked.deliveries, asked.apples))
    found.apple = [one for one in measured if one in apple]
    found.measured = [one for one in measured if one not in apple] if apple else measured
    found.fields = _fields(found.people, content, names)
    return found


def _too_late(session: Session, picked: Picked, asked: _Asked, now: datetime) -> dict[int, Skip]:
    """Let the campaign reach who wants one message a week; give whom another just reached first."""
    weekly_ones = compress(zip(asked.recipients, asked.deliveries, strict=True), asked.frequencies)
    deliveries = dict(weekly_ones)
    late = weekly.take_turns(session, picked.campaign_id, deliveries, now=now)
    return {deliveries[one]: Skip.TOO_FREQUENT for one in late}


def _people(asked: _Asked, modes: "_Modes", names: tuple[str, ...] | None) -> Persons:
    """Give the people as a request is built of them; their language has chosen the content."""
    n = len(asked.deliveries)
    attributes: Sequence[Mapping[str, str]] = [_NOTHING] * n
    if any(asked.owns):
        attributes = [_attributes(own, names) if own else _NOTHING for own in asked.owns]
    return Persons(
        asked.recipients,
        asked.addresses,
        asked.first_names,
        asked.last_names,
        attributes,
        [""] * n,
        asked.deliveries,
        [mode for mode, _, _ in modes.of(asked)],
    )


def _marks(asked: _Asked, modes: "_Modes", picked: Picked) -> tuple[str, list[int]]:
    """Give ``Found.modes``, and the deliveries whose opens are told from others'."""
    marks, first_id, measured = [_NOT_IN_CALL] * picked.n, picked.first_id, []
    for delivery, (_, mark, is_measured) in zip(asked.deliveries, modes.of(asked), strict=True):
        marks[delivery - first_id] = mark
        if is_measured:
            measured.append(delivery)
    return "".join(marks), measured


def _fields(people: Sequence[Person], content: Content, names: tuple[str, ...] | None) -> str:
    """Give the names of what goes along; of a single message (None) its own values' names, too."""
    if names is None:
        given = {name for person in people for name in person.attributes}
        names = tuple(sorted(given & _asked(content)))
    return ",".join(["address", "first_name", "last_name", *names])


def _ask(
    session: Session, whom: Audience, picked: Picked, now: datetime, *, with_own: bool
) -> _Asked:
    """Run the last check.

    SQLite gives each column as one text: its driver lets other threads have the interpreter after
    each row, and each time may wait for it, with the gate held, for as long as those please to run.
    """
    since = (now - timedelta(days=APPLE_DAYS)).date()
    values = {
        "first": picked.first_id,
        "last": picked.last_id,
        "apple_since": since,
        **audience.asked(now, picked.campaign_id),
    }
    is_sqlite = dialects.is_sqlite(session)
    query = _query(whom, with_own, is_sqlite)
    if is_sqlite:
        return _Asked(*map(json.loads, query.rows(session, values)[0]))
    # The driver's own rows, as a campaign has one for each person.
    return _Asked.of(session.connection().execute(query.statement, values).cursor.fetchall())


def _without_lapsed(session: Session, asked: _Asked, now: datetime) -> _Asked:
    """Take for no answer what a policy version in force asks anew, before its lapse is done."""
    after = consent.lapsing_after(session, now)
    if after is None:
        return asked
    people = zip(asked.recipients, asked.choices, strict=True)
    lapsed = {Choice.GRANTED.value: Choice.UNKNOWN.value}
    return asked._replace(
        choices=[lapsed.get(said, said) if one > after else said for one, said in people]
    )


def _attributes(own: object, names: tuple[str, ...] | None) -> dict[str, str]:
    """Give the values of *names* (None: of all) as texts; SQLite keeps the document as one."""
    document: Mapping[str, Any] = json.loads(own) if isinstance(own, str) else own  # type: ignore[assignment]  # PostgreSQL's driver reads it
    wanted = document if names is None else names
    return {name: str(document[name]) for name in wanted if document.get(name) is not None}


def _not_now(people: Sequence[Person], content: Content, rules: Rules) -> dict[int, Skip]:
    """Give who may get the message by the rule of all audiences and still doesn't, and why."""
    reasons: dict[int, Skip] = {}
    if content.required:
        without = (one.delivery_id for one in people if missing(content, one))
        reasons |= dict.fromkeys(without, Skip.EMPTY_FIELD)
    if rules.may_mail is not None:
        unlisted = (one.delivery_id for one in people if not rules.may_mail(one.address))
        reasons |= dict.fromkeys(unlisted, Skip.NOT_ON_ALLOW_LIST)
    return reasons


def _names(content: Content) -> tuple[str, ...]:
    """List the fields that the content asks for, beyond those that everybody has."""
    links = {slot.name for slot in content.slots if slot.is_link}
    return tuple(sorted(_asked(content) - links - _OF_EVERYBODY))


def _asked(content: Content) -> set[str]:
    """Give the names of all that the content puts in of a person, links too."""
    return {slot.name for slot in content.slots} | {one.name for one in content.conditionals}


class _Modes(dict[tuple[str, str | None], tuple[TrackingMode, str, bool]]):
    """How far each person may be measured, by choice and region; worked out once.

    With each mode its mark, and whether the person's opens are told from others'.
    """

    def __init__(self, picked: Picked, content: Content, rules: Rules) -> None:
        super().__init__()
        self._measures = picked.is_measurable and bool(content.pixel_tag)
        self._picked = picked
        self._unknown = rules.unknown_region_basis

    def of(self, asked: _Asked) -> Iterator[tuple[TrackingMode, str, bool]]:
        """Give everybody's."""
        return map(self.__getitem__, zip(asked.choices, asked.regions, strict=True))

    def __missing__(self, key: tuple[str, str | None]) -> tuple[TrackingMode, str, bool]:
        mode = TrackingMode.OFF
        if self._measures:
            choice, region = key
            mode = tracking_mode(
                Choice(choice),
                tracking_basis(region, self._unknown),
                ceiling=self._picked.tracking,
                unasked=self._picked.unasked_tracking,
            )
        self[key] = known = (mode, _MARKS[mode], mode is TrackingMode.INDIVIDUAL)
        return known


@lru_cache(maxsize=64)
def _query(whom: Audience, with_own: bool, is_sqlite: bool) -> Kept:  # noqa: FBT001 - keys of the cache
    """Give the last check of one audience: its rule, over the deliveries of a batch."""
    columns: list[ColumnElement[Any]] = [
        Delivery.id.expression,
        Delivery.recipient_id.expression,
        Recipient.address.expression,
        func.coalesce(Recipient.first_name, ""),
        func.coalesce(Recipient.last_name, ""),
        type_coerce(Recipient.open_tracking, String),
        Recipient.region.expression,
        Recipient.apple_seen_on >= bindparam("apple_since", type_=Date),
        type_coerce(Recipient.frequency, String),
        audience.reason(whom).label("reason"),
        _own(whom) if with_own else null(),
    ]
    query = (
        # The deliveries' own order, as SQLite reads the left side of outer joins by its key.
        select(*(map(func.json_group_array, columns) if is_sqlite else columns))
        .select_from(Delivery)
        .outerjoin(Recipient, Recipient.id == Delivery.recipient_id)
        .where(Delivery.id.between(bindparam("first"), bindparam("last")))
        .where(Delivery.own_state.is_(None))
    )
    if whom.needs_subscription:
        query = query.outerjoin(Subscription, audience.subscribed_to(whom))
    if whom.template is not None:
        query = query.outerjoin(SingleValues, SingleValues.delivery_id == Delivery.id)
    return Kept(query if is_sqlite else query.order_by(Delivery.id))


def _own(whom: Audience) -> ColumnElement[Any]:
    """Give the column of a person's own values: those of a single message, or the attributes."""
    return (SingleValues.values if whom.template is not None else Recipient.attributes).expression
