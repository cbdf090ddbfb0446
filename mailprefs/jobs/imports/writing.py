"""What an import writes of one slice, on either database: gate, ledger head, rows.

``sqlite`` and ``postgresql`` each give a ``Store``: the few statements that an import needs, in the
form in which their driver is fastest.
"""

from collections.abc import Sequence
from datetime import datetime
from json.encoder import encode_basestring as _quoted
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy.orm import Session

from mailprefs import journal
from mailprefs.consent.entries import Entry, Shown
from mailprefs.consent.ledger import append
from mailprefs.db.database import refused
from mailprefs.jobs.imports.deciding import Changes, Known, Standing
from mailprefs.jobs.imports.people import Person
from mailprefs.journal import Refusal
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    Purpose,
    Source,
    SubscriptionState,
    SuppressionReason,
)

RECIPIENT: Final = (
    "id",
    "address",
    "address_hash",
    "address_key_id",
    "address_origin",
    "first_name",
    "last_name",
    "attributes",
    "region",
    "language",
    "zone",
    "open_tracking",
    "created_at",
)
KNOWN: Final = (
    "id",
    "address_origin",
    "first_name",
    "last_name",
    "language",
    "region",
    "zone",
    "attributes",
)
"""The columns of ``recipients`` in ``deciding.Known``; all but the id may change."""
SUBSCRIPTION: Final = ("recipient_id", "topic_id", "state", "source", "since", "policy_version_id")
METHOD: Final = "file"
"""How the ledger says that an imported choice was expressed."""
SUPPRESSION: Final = ("address_hash", "address_key_id", "scope", "reason", "source", "created_at")


class Batch(NamedTuple):
    """What all rows of one slice share: about which topic, under which policy, when."""

    topic_id: int
    policy_version_id: int
    key_id: int
    now: datetime


class Proof(NamedTuple):
    """What every ledger entry of one import says besides whose choice it is."""

    source_ref: str
    wording: Shown
    actor: str
    occurred_at: datetime


class Store(Protocol):
    """One open transaction, with the statements of an import."""

    def standing(self, hashes: Sequence[bytes], topic_id: int) -> Standing:
        """Give what the database holds of the people with these address hashes."""
        ...

    def reserve(self, n: int) -> Sequence[int]:
        """Give *n* recipient ids that nobody has had and nobody else will get."""
        ...

    def add_recipients(self, ids: Sequence[int], people: Sequence[Person], batch: Batch) -> None:
        """Insert recipients."""
        ...

    def update_recipients(self, people: Sequence[Known]) -> None:
        """Write the values of people who are known."""
        ...

    def add_subscriptions(self, states: Sequence[tuple[int, str]], batch: Batch) -> None:
        """Insert subscriptions: recipient ids with states."""
        ...

    def change_subscriptions(self, states: Sequence[tuple[int, str]], batch: Batch) -> None:
        """Set the states of subscriptions that exist."""
        ...

    def suppress(self, listed: Sequence[tuple[bytes, SuppressionReason]], batch: Batch) -> None:
        """Insert suppressions; one that exists stays as it is."""
        ...


def write(session: Session, store: Store, changes: Changes, batch: Batch, proof: Proof) -> None:
    """Write what a slice changes, with its ledger entries, in the transaction of *session*."""
    ids = store.reserve(len(changes.added))
    new = {one.address_hash: number for number, one in zip(ids, changes.added, strict=True)}
    chosen = [
        (choice.recipient_id or new[choice.address_hash], choice.old, choice.new)
        for choice in changes.choices
    ]
    left = [(one.recipient_id or new[one.address_hash], one.said) for one in changes.left]
    append(session, _entries(chosen, left, batch, proof), now=batch.now)
    store.add_recipients(ids, changes.added, batch)
    store.update_recipients(changes.updated)
    if added := [(number, state.value) for number, old, state in chosen if old is None]:
        store.add_subscriptions(added, batch)
    if changed := [(number, state.value) for number, old, state in chosen if old is not None]:
        store.change_subscriptions(changed, batch)
    for one in changes.left:
        refused(session, Refusal(one.address_hash, journal.PROMOTIONAL, batch.now))
    for address_hash, reason in changes.suppressed:
        if reason is SuppressionReason.COMPLAINED:
            refused(session, Refusal(address_hash, journal.COMPLAINED, batch.now))
    if changes.suppressed:
        store.suppress(changes.suppressed, batch)


def recipient_row(number: int, person: Person, key_id: int, created_at: str) -> tuple[Any, ...]:
    """Give one new recipient as the columns of ``RECIPIENT``."""
    return (
        number,
        person.address,
        person.address_hash,
        key_id,
        AddressOrigin.IMPORTED.value,
        person.first_name,
        person.last_name,
        _document(person.attributes),
        person.region,
        person.language,
        person.zone,
        Choice.UNKNOWN.value,
        created_at,
    )


def suppression_row(
    address_hash: bytes, reason: SuppressionReason, key_id: int, created_at: str
) -> tuple[Any, ...]:
    """Give one suppression as the columns of ``SUPPRESSION``."""
    source = Source.IMPORT.value
    return (address_hash, key_id, reason.scope.value, reason.value, source, created_at)


def _document(attributes: tuple[tuple[str, str], ...]) -> str:
    """Give attributes as JSON, in a fifth of the time of ``json.dumps``: their names are plain."""
    return "{" + ", ".join([f'"{name}": {_quoted(value)}' for name, value in attributes]) + "}"


def _entries(
    chosen: Sequence[tuple[int, SubscriptionState | None, SubscriptionState]],
    left: Sequence[tuple[int, str | None]],
    batch: Batch,
    proof: Proof,
) -> list[Entry]:
    """Give the ledger entries of a slice: of each topic's choice, and of ending all promotions."""
    said = {
        (old, state): _said(batch.topic_id, old, state, batch, proof) for _, old, state in chosen
    }
    entries = [Entry(number, *said[old, state]) for number, old, state in chosen]
    ended = {old: _said(None, old, old or Choice.WITHDRAWN, batch, proof) for _, old in left}
    entries += [Entry(number, *ended[old]) for number, old in left]
    return entries


def _said(
    topic_id: int | None, old: str | None, new: str, batch: Batch, proof: Proof
) -> tuple[Any, ...]:
    """Give what a ledger entry says besides whose choice it is: a slice has few different ones."""
    entry = Entry(
        recipient_id=0,
        purpose=Purpose.PROMOTIONAL_EMAIL,
        topic_id=topic_id,
        old=old,
        new=new,
        source=Source.IMPORT,
        policy_version_id=batch.policy_version_id,
        method=METHOD,
        occurred_at=proof.occurred_at,
        actor=proof.actor,
        source_ref=proof.source_ref,
        wording=proof.wording,
    )
    return entry[1:]
