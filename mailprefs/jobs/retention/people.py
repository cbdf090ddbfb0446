"""People: who never confirmed, how mail is loaded, and the choices of those who are gone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from mailprefs import consent
from mailprefs.db import dialects
from mailprefs.jobs.retention.stepping import NOTHING, Found, Way
from mailprefs.policy import AddressOrigin, Choice, SubscriptionState
from mailprefs.privacy.holds import Held
from mailprefs.schema.base import Base, Erasure
from mailprefs.schema.choices import ConsentEntry
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.people import Recipient, SignUp, Subscription

_LOOKED_AT: Final = 5_000
"""People looked at in one step."""


def apple() -> Way:
    """Forget that Apple's proxy loads a person's mail."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a recipient
        return _among_all(session, Recipient.apple_seen_on < before.date(), last)

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        # Whom somebody else is just writing to comes the next night: nobody waits for this.
        free = session.scalars(
            select(Recipient.id)
            .where(dialects.among(session, Recipient.id, ids))
            .where(Recipient.apple_seen_on < before.date(), held.spares(session, Recipient))
            .order_by(Recipient.id)
            .with_for_update(skip_locked=True)
        ).all()
        listed = dialects.among(session, Recipient.id, free)
        return dialects.changed(session, update(Recipient).where(listed).values(apple_seen_on=None))

    return Way(find, change)


def unconfirmed() -> Way:
    """Delete people who never confirmed their address, with all that hangs on them.

    Nobody who said no to a topic or to being measured, or asked for less mail: that outlives the
    waiting. A no to all promotional mail stays by itself, as a suppression.
    """

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a recipient
        people, last = _among_all(session, _is_unconfirmed(before), last)
        if not people:
            return Found((), last)
        # By a scan of the deliveries with a key, as no index leads from a person to them.
        theirs = session.execute(
            select(Delivery.recipient_id, Delivery.id).where(
                Delivery.idempotency_key.is_not(None),
                Delivery.recipient_id.in_(people),
            )
        ).all()
        ids = {one: [row.id for row in theirs if row.recipient_id == one] for one in people}
        return Found(list(ids.items()), last)

    def change(session: Session, before: datetime, found: Sequence[Any], held: Held) -> int:
        listed = dialects.among(session, Recipient.id, [one for one, _ in found])
        is_free = held.spares(session, Recipient)
        query = select(Recipient.id).where(listed, _is_unconfirmed(before), is_free)
        query = query.with_for_update()
        still = set(session.scalars(query))
        _remove(session, still, [one for who, ids in found if who in still for one in ids])
        return len(still)

    return Way(find, change)


def gone() -> Way:
    """Make the ledger's entries of people who are gone unreadable, long after the last of them."""

    def find(session: Session, before: datetime, last: Any) -> Found:  # noqa: ANN401 - a recipient
        oldest = select(ConsentEntry.recorded_at).order_by(ConsentEntry.seq).limit(1)
        first = session.scalar(oldest)
        if first is None or first >= before:
            return NOTHING
        who = ConsentEntry.recipient_id
        rows = session.execute(
            select(who, func.max(ConsentEntry.recorded_at).label("newest"))
            .where(who > (last or 0))
            .group_by(who)
            .order_by(who)
            .limit(_LOOKED_AT)
        ).all()
        ids = [row.recipient_id for row in rows]
        among = select(Recipient.id).where(dialects.among(session, Recipient.id, ids))
        known = set(session.scalars(among))
        old = [row.recipient_id for row in rows if row.newest < before]
        keys = [one for one in old if one not in known]
        return Found(keys, ids[-1] if len(ids) == _LOOKED_AT else None)

    def change(session: Session, before: datetime, ids: Sequence[Any], held: Held) -> int:
        # Nothing is appended about somebody who is gone, nor is anybody gone whose data is held.
        del before, held
        rows = 0
        for one in ids:
            while more := consent.forget(session, one):
                rows += more
        return rows

    return Way(find, change)


def _among_all(session: Session, condition: ColumnElement[bool], last: Any) -> Found:  # noqa: ANN401 - a recipient
    """Look at the next people; give those of whom *condition* holds."""
    end = session.scalars(
        select(Recipient.id)
        .where(Recipient.id > (last or 0))
        .order_by(Recipient.id)
        .offset(_LOOKED_AT - 1)
        .limit(1)
    ).first()
    some = select(Recipient.id).where(Recipient.id > (last or 0), condition)
    if end is not None:
        some = some.where(Recipient.id <= end)
    return Found(session.scalars(some.order_by(Recipient.id)).all(), end)


def _is_unconfirmed(before: datetime) -> ColumnElement[bool]:
    said_more = select(Subscription.topic_id).where(
        Subscription.recipient_id == Recipient.id,
        or_(Subscription.state != SubscriptionState.PENDING, Subscription.since >= before),
    )
    asked_again = select(SignUp.topic_id).where(
        SignUp.recipient_id == Recipient.id, SignUp.asked_at >= before
    )
    return and_(
        Recipient.address_origin == AddressOrigin.UNCONFIRMED,
        Recipient.created_at < before,
        Recipient.open_tracking.not_in([one for one in Choice if one.is_no]),
        Recipient.paused_until.is_(None),
        Recipient.frequency.is_(None),
        ~asked_again.exists(),
        ~said_more.exists(),
    )


def _remove(session: Session, people: set[int], deliveries: Sequence[int]) -> None:
    """Remove people and, by the marks of its columns, what every table holds of them.

    But not their entries in the ledger: nobody can tell any more whose those are, and the rule of
    the ledger takes them later.
    """
    for table in reversed(Base.metadata.sorted_tables):
        for name, ids in (("delivery_id", deliveries), ("recipient_id", people)):
            link = table.columns.get(name)
            if link is not None and link.info["mark"].erasure is Erasure.ROW:
                session.execute(delete(table).where(dialects.among(session, link, ids)))
    cut = update(Delivery).where(dialects.among(session, Delivery.id, deliveries))
    session.execute(cut.values(recipient_id=None))
    session.execute(delete(Recipient).where(dialects.among(session, Recipient.id, people)))
