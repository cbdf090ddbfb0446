"""Where people stand, made anew from the consent ledger, or compared with it.

Subscriptions, the suppression "unsubscribed", the answer to being measured, pause, frequency and a
chosen language are a projection of the ledger: what its last entry about each thing says. One
exception: a no to all promotions that an import, the vendor's list or another program brought names
an address, which may be nobody's yet; it stands in ``suppressions`` alone.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailprefs import opens, subscriptions, suppressions
from mailprefs.consent import Recorded
from mailprefs.consent.entries import read
from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.policy import Choice, Purpose, Source, SubscriptionState, SuppressionReason
from mailprefs.preferences import wishes
from mailprefs.preferences.holding import last_said
from mailprefs.schema.choices import ConsentEntry, Suppression
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.subscriptions import Standing

# Noes that name an address, which may have been nobody's when they came.
_OF_ADDRESSES: Final = frozenset({Source.IMPORT, Source.API, Source.VENDOR})
_SLICE: Final = 500
_ALL_PROMOTIONS: Final = (Purpose.PROMOTIONAL_EMAIL.value, None)
_TRACKING: Final = (Purpose.OPEN_TRACKING.value, None)


class Difference(NamedTuple):
    """A thing on which rows and ledger disagree: a topic, or, without one, a purpose."""

    recipient_id: int
    purpose: Purpose
    topic_id: int | None


class _Rows(NamedTuple):
    """What the rows say of one person."""

    topics: dict[int, Standing]
    refusal: Suppression | None
    tracking: Choice


def differences(session: Session, among: Sequence[int] | None = None) -> Iterator[Difference]:
    """Give everything on which the rows disagree with the ledger; memory stays flat.

    *among* are recipients' numbers; without them everybody is compared.
    """
    for person, said in _people(session, among):
        rows = _rows(session, person)
        topics = _topics(said)
        for topic_id in sorted(rows.topics.keys() | topics.keys()):
            if rows.topics.get(topic_id) != topics.get(topic_id):
                yield Difference(person.id, Purpose.PROMOTIONAL_EMAIL, topic_id)
        if not _is_refusal_right(said, rows.refusal):
            yield Difference(person.id, Purpose.PROMOTIONAL_EMAIL, None)
        if rows.tracking is not _answer(said, _TRACKING):
            yield Difference(person.id, Purpose.OPEN_TRACKING, None)
        for purpose in wishes.WISHES:
            if wishes.of(person, purpose) != _wish(said, purpose):
                yield Difference(person.id, purpose, None)


def rebuild(session: Session, among: Sequence[int] | None = None) -> int:
    """Make the rows say what the ledger says; give how many things were different.

    The edge opens the transaction with ``Gate.TAKING``, for a few people at a time (*among*), as
    others' choices wait for it.
    """
    require_taking(session)
    found = list(differences(session, among))
    said_by = dict[int, dict[tuple[str, int | None], Recorded]]()
    for one in found:
        person = session.get_one(Recipient, one.recipient_id)
        if one.recipient_id not in said_by:
            said_by[one.recipient_id] = _said(session, [one.recipient_id])[one.recipient_id]
        said = said_by[one.recipient_id]
        if one.topic_id is not None:
            _put_topic(session, person, one.topic_id, _topics(said).get(one.topic_id))
        elif one.purpose in wishes.WISHES:
            _put_wish(session, person, one.purpose, said)
        elif one.purpose is Purpose.OPEN_TRACKING:
            _put_tracking(session, person, _answer(said, _TRACKING))
        else:
            _put_refusal(session, person, said.get(_ALL_PROMOTIONS))
    session.flush()
    return len(found)


def _people(
    session: Session, among: Sequence[int] | None
) -> Iterator[tuple[Recipient, dict[tuple[str, int | None], Recorded]]]:
    """Give everybody with the last entry about each thing, a slice in memory at a time."""
    after = 0
    whom = select(Recipient).order_by(Recipient.id).limit(_SLICE)
    if among is not None:
        whom = whom.where(dialects.among(session, Recipient.id, among))
    while True:
        people = session.scalars(whom.where(Recipient.id > after)).all()
        if not people:
            return
        said = _said(session, [person.id for person in people])
        for person in people:
            yield person, said[person.id]
        after = people[-1].id


def _said(
    session: Session, ids: Sequence[int]
) -> dict[int, dict[tuple[str, int | None], Recorded]]:
    found: dict[int, list[Recorded]] = {one: [] for one in ids}
    entries = session.execute(
        select(ConsentEntry.seq, ConsentEntry.recorded_at, ConsentEntry.payload)
        .where(
            ConsentEntry.recipient_id.in_(ids),
            ConsentEntry.payload.is_not(None),
        )
        .order_by(ConsentEntry.seq)
    )
    for row in entries:
        recorded = Recorded(row.seq, row.recorded_at, read(row.payload))
        found[recorded.entry.recipient_id].append(recorded)
    return {one: last_said(history) for one, history in found.items()}


def _rows(session: Session, person: Recipient) -> _Rows:
    refusal = session.scalar(
        select(Suppression).where(
            Suppression.address_hash == person.address_hash,
            Suppression.reason == SuppressionReason.UNSUBSCRIBED,
        )
    )
    return _Rows(subscriptions.standings(session, person.id), refusal, person.open_tracking)


def _topics(said: dict[tuple[str, int | None], Recorded]) -> dict[int, Standing]:
    """Give where the ledger says that a person stands with each topic."""
    return {
        topic_id: Standing(
            SubscriptionState(one.entry.new),
            one.entry.source,
            one.recorded_at,
            one.entry.policy_version_id,
        )
        for (_, topic_id), one in said.items()
        if topic_id is not None
    }


def _answer(said: dict[tuple[str, int | None], Recorded], thing: tuple[str, None]) -> Choice:
    return Choice(said[thing].entry.new) if thing in said else Choice.UNKNOWN


def _wish(said: dict[tuple[str, int | None], Recorded], purpose: Purpose) -> str | None:
    last = said.get((purpose.value, None))
    return last.entry.new if last else wishes.unsaid(purpose)


def _is_refusal_right(
    said: dict[tuple[str, int | None], Recorded], refusal: Suppression | None
) -> bool:
    if _answer(said, _ALL_PROMOTIONS).is_no:
        return refusal is not None
    return refusal is None or refusal.source in _OF_ADDRESSES


def _put_topic(
    session: Session, person: Recipient, topic_id: int, standing: Standing | None
) -> None:
    if standing is not None:
        subscriptions.set_state(session, person.id, topic_id, standing)
        return
    session.execute(
        delete(Subscription).where(
            Subscription.recipient_id == person.id, Subscription.topic_id == topic_id
        )
    )


def _put_tracking(session: Session, person: Recipient, answer: Choice) -> None:
    person.open_tracking = answer
    if answer.is_no:
        person.apple_seen_on = None
        opens.silence(session, person.id)


def _put_refusal(session: Session, person: Recipient, last: Recorded | None) -> None:
    if last is None or not Choice(last.entry.new).is_no:
        suppressions.lift(session, person.address_hash, SuppressionReason.UNSUBSCRIBED)
        return
    suppressions.add(
        session,
        person.address_hash,
        person.address_key_id,
        SuppressionReason.UNSUBSCRIBED,
        last.entry.source,
        now=last.recorded_at,
        delivery_id=last.entry.delivery_id,
    )


def _put_wish(
    session: Session,
    person: Recipient,
    purpose: Purpose,
    said: dict[tuple[str, int | None], Recorded],
) -> None:
    last = said.get((purpose.value, None))
    at = last.recorded_at if last else person.created_at
    wishes.put(session, person, purpose, _wish(said, purpose), at=at)
