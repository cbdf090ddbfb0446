"""Recipients: finding one by address or number."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.addresses import AddressHasher, normalise
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
