"""Recipients: finding one by address or number."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.addresses import AddressHasher, normalise
from mailprefs.db import dialects
from mailprefs.policy import AddressOrigin, Choice
from mailprefs.schema.people import Recipient


def find(session: Session, hasher: AddressHasher, address: str) -> Recipient | None:
    """Give who has *address*, however it is written; None for nobody we know.

    :raises BadAddress: for a text that is no address.
    """
    wanted = hasher.hash(normalise(address).key)
    return session.scalar(select(Recipient).where(Recipient.address_hash == wanted))


def by_id(session: Session, recipient_id: int) -> Recipient | None:
    """Give the person with this number; None once erased, as the number is never used again."""
    return session.get(Recipient, recipient_id)


def by_ids(session: Session, recipient_ids: Sequence[int]) -> dict[int, Recipient]:
    """Give the people with these numbers, by number; without those who are erased."""
    if len(recipient_ids) == 1:
        # The session may know them already.
        person = by_id(session, recipient_ids[0])
        return {person.id: person} if person else {}
    found = select(Recipient).where(dialects.among(session, Recipient.id, recipient_ids))
    return {person.id: person for person in session.scalars(found)}


def any_to_tell(session: Session) -> bool:
    """Tell whether there is anybody whom a notice could reach: not only unconfirmed addresses."""
    known = Recipient.address_origin != AddressOrigin.UNCONFIRMED
    return session.scalar(select(Recipient.id).where(known).limit(1)) is not None


def of_operator(session: Session, hasher: AddressHasher, address: str, *, now: datetime) -> int:
    """Give the number of who has *address*, which the operator has set, to mail them themselves.

    One who isn't known is added as unconfirmed, and gets nothing but what is for the operator.

    :raises BadAddress: for a text that is no address.
    """
    return find_or_add(session, hasher, address, now=now).id


def find_or_add(  # noqa: PLR0913 - who, and what is known of somebody new
    session: Session,
    hasher: AddressHasher,
    address: str,
    *,
    now: datetime,
    language: str | None = None,
    region: str | None = None,
) -> Recipient:
    """Give who has *address*; one who isn't known is added as unconfirmed, with the rest.

    :raises BadAddress: for a text that is no address.
    """
    known = find(session, hasher, address)
    if known is not None:
        return known
    normal = normalise(address)
    added = dialects.insert(session, Recipient).values(
        address=normal.address,
        address_hash=hasher.hash(normal.key),
        address_key_id=hasher.key_id,
        address_origin=AddressOrigin.UNCONFIRMED,
        attributes={},
        language=language,
        region=region,
        open_tracking=Choice.UNKNOWN,
        created_at=now,
    )
    session.execute(added.on_conflict_do_nothing())
    found = find(session, hasher, address)
    if found is None:
        msg = "the row of an address vanished"
        raise RuntimeError(msg)
    return found
