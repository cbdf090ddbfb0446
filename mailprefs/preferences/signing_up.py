"""Signing up: what somebody asks for at an address, and the answer of the mailbox's owner.

Whoever knows an address may ask; only who opens the mail to it answers. Until then nothing changes
for somebody on file, and somebody new is an unconfirmed address whose topics are pending. The same
is done, and one mail a day at most goes out, whoever the address belongs to: known, unknown, gone
or erased.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailprefs import audit, consent, recipients, subscriptions, suppressions
from mailprefs.addresses import AddressHasher
from mailprefs.audit import SYSTEM
from mailprefs.consent import Shown
from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.deliveries import single
from mailprefs.links import Links
from mailprefs.policy import (
    AddressOrigin,
    MessageClass,
    Purpose,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences.choosing import NOBODY, Applied, Change, Door, apply
from mailprefs.preferences.holding import Held
from mailprefs.preferences.leaving import come_back
from mailprefs.schema.choices import Wording
from mailprefs.schema.people import Recipient, SignUp

CONFIRMATION: Final = "confirmation"
WELCOME: Final = "welcome"
LINK_HOLDS: Final = timedelta(hours=72)
"""How long the link in a confirmation mail is good, and a sign-up waits to be confirmed by it."""
BETWEEN_MAILS: Final = timedelta(days=1)
_TICKED: Final = "ticked_checkbox"


class House(NamedTuple):
    """What of an installation a confirmation mail is made with."""

    hasher: AddressHasher
    links: Links
    base_url: str


class Asked(NamedTuple):
    """Who wants what: the words that were shown, in which language, and by which form or key.

    *region* (ISO 3166-1 alpha-2) and *language* are noted for somebody new, and for nobody else.
    """

    address: str
    topic_ids: Collection[int]
    wording: Shown
    language: str
    source: Source
    source_ref: str | None = None
    region: str | None = None


def ask(session: Session, house: House, asked: Asked, *, now: datetime) -> None:
    """Let topics wait for the answer of an address's owner, who is asked by mail.

    :raises BadAddress: for a text that is no address.
    :raises Conflict: while there is no administrative topic or no privacy policy.
    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    consent.lock(session)  # lock order: gate, ledger head, rows
    person = recipients.find_or_add(
        session,
        house.hasher,
        asked.address,
        now=now,
        language=asked.language,
        region=asked.region,
    )
    promotional = {one.id for one in subscriptions.topics(session, MessageClass.PROMOTIONAL)}
    wanted = sorted(promotional.intersection(asked.topic_ids))
    _let_wait(session, person.id, wanted, asked, now)
    if person.address_origin is AddressOrigin.UNCONFIRMED:
        _make_pending(session, person.id, wanted, asked, now)
    until = int((now + LINK_HOLDS).timestamp())
    url = house.base_url + house.links.confirm_path(person.id, until)
    values = {"confirm_url": url}
    single.queue_unless_lately(session, CONFIRMATION, person.id, values, BETWEEN_MAILS, now=now)


def waiting(session: Session, recipient_id: int, now: datetime) -> Sequence[SignUp]:
    """List what a link of the person confirms now, in the order of the topics."""
    return session.scalars(
        select(SignUp)
        .where(SignUp.recipient_id == recipient_id, SignUp.asked_at >= now - LINK_HOLDS)
        .order_by(SignUp.topic_id)
    ).all()


def confirm(
    session: Session, recipient_id: int, topic_ids: Collection[int], door: Door, *, now: datetime
) -> Applied:
    """Subscribe the owner of a mailbox to what waited for them, as far as *topic_ids* say.

    Each yes is kept with the words under which it was asked for. The address is confirmed; a no to
    all promotional mail ends for these topics, as on the preference page, and so does what keeps an
    erased address out. What a mailbox or a complaint holds back stays with staff. They are welcomed
    once. A second time nothing waits, and nothing changes.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    consent.lock(session)
    person = recipients.by_id(session, recipient_id)
    if person is None:
        return NOBODY
    rows = waiting(session, recipient_id, now)
    taken = [one for one in rows if one.topic_id in topic_ids]
    if not taken:
        return Applied(is_known=True)
    _know(session, person, now)
    changes: list[Change] = []
    for wording_id in sorted({one.wording_id for one in taken}):
        some = [one for one in taken if one.wording_id == wording_id]
        applied = _subscribe(session, some, door, now)
        changes += applied.changes
    session.execute(delete(SignUp).where(SignUp.recipient_id == recipient_id))
    single.queue(session, WELCOME, recipient_id, {}, f"{recipient_id:020d}", now=now)
    return Applied(is_known=True, changes=tuple(changes))


def _let_wait(
    session: Session, recipient_id: int, wanted: Sequence[int], asked: Asked, now: datetime
) -> None:
    """Keep what was asked for last, once for each topic."""
    for topic_id in wanted:
        values = {
            "asked_at": now,
            "source": asked.source,
            "source_ref": asked.source_ref,
            "wording_id": asked.wording.id,
            "language": asked.language,
        }
        session.execute(
            dialects.insert(session, SignUp)
            .values(recipient_id=recipient_id, topic_id=topic_id, **values)
            .on_conflict_do_update(index_elements=["recipient_id", "topic_id"], set_=values)
        )


def _make_pending(
    session: Session, recipient_id: int, wanted: Sequence[int], asked: Asked, now: datetime
) -> None:
    """Let topics be pending that somebody unconfirmed was never asked about."""

    def decide(held: Held) -> Sequence[Change]:
        return [
            Change(Purpose.PROMOTIONAL_EMAIL, one, SubscriptionState.PENDING)
            for one in wanted
            if one not in held.topics
        ]

    door = Door(
        asked.source,
        _TICKED,
        source_ref=asked.source_ref,
        wording=asked.wording,
        language=asked.language,
    )
    apply(session, recipient_id, decide, door, now=now)


def _know(session: Session, person: Recipient, now: datetime) -> None:
    """Note that the address is its owner's, and let them back in who were erased."""
    person.address_origin = AddressOrigin.CONFIRMED
    if suppressions.lift(session, person.address_hash, SuppressionReason.ERASED):
        details = {"why": SuppressionReason.ERASED.value}
        subject = ("recipient", person.id)
        audit.record(
            session, SYSTEM, "suppression.lifted_by_owner", subject, now=now, details=details
        )
    session.flush()


def _subscribe(session: Session, some: Sequence[SignUp], door: Door, now: datetime) -> Applied:
    """Take up topics that were asked for under the same words."""
    first = some[0]
    digest = session.scalars(select(Wording.sha256).where(Wording.id == first.wording_id)).one()
    states = dict.fromkeys((one.topic_id for one in some), SubscriptionState.SUBSCRIBED)
    door = door._replace(
        source_ref=first.source_ref,
        wording=Shown(first.wording_id, bytes(digest)),
        language=first.language,
    )
    return apply(session, first.recipient_id, lambda held: come_back(held, states), door, now=now)
