"""What an erasure removed and how far it is: no name, no address, no number of a person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailprefs.addresses import AddressHasher, normalise
from mailprefs.errors import NotFound
from mailprefs.schema.erasures import ErasureOrder


class Proof(NamedTuple):
    """One erasure: how many rows of which tables, and what the vendor and the disk say of it.

    *vendor_took_at*: when the vendor accepted the order to erase the address; *failure*: why not
    yet. *cleaned_at*: when the deleted rows were cleaned out of the database's files.
    """

    id: int
    erased_at: datetime
    removed: Mapping[str, int]
    vendor_took_at: datetime | None
    calls: int
    call_at: datetime
    failure: str | None
    cleaned_at: datetime | None

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is left to be done."""
        return self.vendor_took_at is not None and self.cleaned_at is not None

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        took, cleaned = self.vendor_took_at, self.cleaned_at
        return {
            "id": self.id,
            "erased_at": self.erased_at.isoformat(),
            "removed": dict(self.removed),
            "vendor": {
                "took_at": took.isoformat() if took else None,
                "calls": self.calls,
                "failure": self.failure,
            },
            "cleaned_at": cleaned.isoformat() if cleaned else None,
            "is_whole": self.is_whole,
        }


def by_id(session: Session, erasure_id: int) -> Proof:
    """Give the proof of one erasure.

    :raises NotFound: for a number that no erasure has.
    """
    found = session.get(ErasureOrder, erasure_id)
    if found is None:
        msg = f"There is no erasure {erasure_id}."
        raise NotFound(msg)
    return _proof(found)


def of(session: Session, hasher: AddressHasher, address: str) -> Proof | None:
    """Give the last erasure of an address; None if it never was erased.

    :raises BadAddress: for a text that is no address.
    """
    wanted = hasher.hash(normalise(address).key)
    found = session.scalar(
        select(ErasureOrder)
        .where(ErasureOrder.address_hash == wanted)
        .order_by(ErasureOrder.id.desc())
        .limit(1)
    )
    return None if found is None else _proof(found)


def newest(session: Session, *, limit: int) -> list[Proof]:
    """List the last erasures, newest first."""
    found = session.scalars(select(ErasureOrder).order_by(ErasureOrder.id.desc()).limit(limit))
    return [_proof(one) for one in found]


def waiting(session: Session) -> list[Proof]:
    """List the erasures that aren't whole yet, oldest first."""
    found = session.scalars(
        select(ErasureOrder)
        .where(or_(ErasureOrder.sealed.is_not(None), ErasureOrder.cleaned_at.is_(None)))
        .order_by(ErasureOrder.id)
    )
    return [_proof(one) for one in found]


def _proof(order: ErasureOrder) -> Proof:
    return Proof(
        order.id,
        order.erased_at,
        order.removed,
        order.vendor_took_at,
        order.calls,
        order.call_at,
        order.failure,
        order.cleaned_at,
    )
