"""The people of one batch, asked about again: who still may get it, and how each is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Date, Select, String, bindparam, null, select, type_coerce
from sqlalchemy.orm import Session

from mailprefs import audience
from mailprefs.audience import Audience
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
from mailprefs.rendering.person import Person, missing
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.people import Recipient, Subscription

APPLE_DAYS: Final = 60
"""Days for which a load by Apple's privacy proxy tells how a person's mail is read."""
_OF_EVERYBODY: Final = frozenset({"first_name", "last_name", "email"})
_MARKS: Final = {TrackingMode.INDIVIDUAL: "i", TrackingMode.AGGREGATE: "a", TrackingMode.OFF: "o"}
_NOT_IN_CALL: Final = "-"


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

    people: list[Person] = field(default_factory=list, repr=False)
    skipped: dict[int, Skip] = field(default_factory=dict)
    modes: str = ""
    measured: list[int] = field(default_factory=list)
    apple: list[int] = field(default_factory=list)
    fields: str = ""


class _Read(NamedTuple):
    """One row of the last check; *reason* is None for whoever may still get the message."""

    delivery_id: int
    recipient_id: int
    address: str
    first_name: str | None
    last_name: str | None
    language: str | None
    open_tracking: str
    region: str | None
    is_apple: bool | None
    reason: str | None
    own: Mapping[str, Any] | None


def read(
    session: Session, picked: Picked, content: Content, rules: Rules, *, now: datetime
) -> Found:
    """Ask about everybody in the batch who has no state of their own."""
    names = _names(content)
    whom = Audience(picked.topic_id, picked.message_class, picked.template)
    is_single = picked.template is not None
    rows = session.connection().execute(
        _query(whom, is_single or bool(names)),
        {
            "first": picked.first_id,
            "last": picked.last_id,
            "apple_since": (now - timedelta(days=APPLE_DAYS)).date(),
        },
    )
    found = Found(fields=",".join(["address", "first_name", "last_name", *names]))
    modes = [_NOT_IN_CALL] * picked.n
    mode_of = _modes(picked, content, rules)
    for row in rows:
        one = _Read(*row)
        reason = one.reason
        mode = TrackingMode.OFF if reason else mode_of(one.open_tracking, one.region)
        person = _person(one, names, mode, is_single=is_single)
        why = Skip(reason) if reason else _why_not_now(person, content, rules)
        if why is not None:
            found.skipped[one.delivery_id] = why
            continue
        found.people.append(person)
        modes[one.delivery_id - picked.first_id] = _MARKS[mode]
        if mode is TrackingMode.INDIVIDUAL:
            (found.apple if one.is_apple else found.measured).append(one.delivery_id)
    found.modes = "".join(modes)
    return found


def _person(one: _Read, names: tuple[str, ...], mode: TrackingMode, *, is_single: bool) -> Person:
    own = one.own or {}
    wanted = own if is_single else names
    attributes = {name: str(own[name]) for name in wanted if own.get(name) is not None}
    return Person(
        one.recipient_id,
        one.address,
        one.first_name or "",
        one.last_name or "",
        attributes,
        one.language or "",
        one.delivery_id,
        mode,
    )


def _why_not_now(person: Person, content: Content, rules: Rules) -> Skip | None:
    """Give why a person who may get the message still doesn't."""
    if rules.may_mail is not None and not rules.may_mail(person.address):
        return Skip.NOT_ON_ALLOW_LIST
    if content.required and missing(content, person):
        return Skip.EMPTY_FIELD
    return None


def _names(content: Content) -> tuple[str, ...]:
    """List the fields that the content asks for, beyond those that everybody has."""
    names = {slot.name for slot in content.slots if not slot.is_link}
    names |= {one.name for one in content.conditionals}
    return tuple(sorted(names - _OF_EVERYBODY))


def _modes(
    picked: Picked, content: Content, rules: Rules
) -> Callable[[str, str | None], TrackingMode]:
    """Give how far each person may be measured, by choice and region."""
    known: dict[tuple[str, str | None], TrackingMode] = {}

    def mode_of(choice: str, region: str | None) -> TrackingMode:
        mode = known.get((choice, region))
        if mode is None:
            mode = known[choice, region] = tracking_mode(
                Choice(choice),
                tracking_basis(region, rules.unknown_region_basis),
                ceiling=picked.tracking,
                unasked=picked.unasked_tracking,
            )
        return mode

    def never(choice: str, region: str | None) -> TrackingMode:
        del choice, region
        return TrackingMode.OFF

    return mode_of if picked.is_measurable and content.pixel_tag else never


@lru_cache(maxsize=64)
def _query(whom: Audience, with_own: bool) -> Select[Any]:  # noqa: FBT001 - a key of the cache
    """Give the last check of one audience: its rule, over the deliveries of a batch."""
    query = (
        select(
            Delivery.id,
            Delivery.recipient_id,
            Recipient.address,
            Recipient.first_name,
            Recipient.last_name,
            Recipient.language,
            type_coerce(Recipient.open_tracking, String),
            Recipient.region,
            Recipient.apple_seen_on >= bindparam("apple_since", type_=Date),
            audience.reason(whom).label("reason"),
        )
        .select_from(Delivery)
        .outerjoin(Recipient, Recipient.id == Delivery.recipient_id)
        .where(Delivery.id.between(bindparam("first"), bindparam("last")))
        .where(Delivery.own_state.is_(None))
        .order_by(Delivery.id)
    )
    if whom.needs_subscription:
        query = query.outerjoin(Subscription, audience.subscribed_to(whom))
    if not with_own:
        return query.add_columns(null())
    if whom.template is not None:
        query = query.outerjoin(SingleValues, SingleValues.delivery_id == Delivery.id)
        return query.add_columns(SingleValues.values)
    return query.add_columns(Recipient.attributes)
