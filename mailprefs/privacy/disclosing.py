"""All that is kept of one person, for whoever may demand it by law: on record before that."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs.addresses import AddressHasher
from mailprefs.audit import Actor
from mailprefs.errors import Conflict
from mailprefs.privacy import access, disclosures, holds
from mailprefs.privacy.disclosures import Told
from mailprefs.privacy.sealing import unseal_copy
from mailprefs.schema.legal import DisclosureBasis

_ALL: Final = "everything that is kept of one person"


class Demand(NamedTuple):
    """Who demands the data, why it may be given, who gives it, when, and in which zone's days."""

    to_whom: str
    reason: str
    actor: Actor
    now: datetime
    zone: str


class Disclosed(NamedTuple):
    """The number in the register, and what is given: JSON in UTF-8."""

    number: int
    content: bytes


def of_one(session: Session, recipient_id: int, demand: Demand) -> Disclosed:
    """Give all that is kept of one person, written down in the register and the audit.

    Also while an erasure waits for a legal hold: that is what the hold is for.

    :raises BadInput: without whom it goes to, or a reason in a sentence.
    :raises NotFound: for somebody who is gone.
    """
    found = access.collect(session, recipient_id, zone=demand.zone, now=demand.now)
    return _given(session, found.document(), demand, recipient_id)


def of_held_child(
    session: Session, hasher: AddressHasher, hold_id: int, demand: Demand
) -> Disclosed:
    """Give what is sealed of a child who was erased while a legal hold is in force; on record.

    :raises BadInput: without whom it goes to, or a reason in a sentence.
    :raises Conflict: where nothing is sealed, or the key is another one now.
    :raises NotFound: for a number that no hold has.
    """
    hold = holds.by_id(session, hold_id)
    if hold.sealed is None:
        msg = f"Nothing is sealed under legal hold {hold_id}."
        raise Conflict(msg)
    copy = unseal_copy(hasher, hold.sealed)
    if copy is None:
        msg = (
            "The copy was sealed under another MAILPREFS_ADDRESS_KEY; restore that key to read it."
        )
        raise Conflict(msg)
    return _given(session, json.loads(copy), demand, None)


def _given(
    session: Session, data: Mapping[str, object], demand: Demand, recipient_id: int | None
) -> Disclosed:
    document = {
        "made_at": demand.now.isoformat(),
        "for": demand.to_whom.strip(),
        "because": demand.reason.strip(),
        "data": data,
    }
    text = json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
    told = Told(
        DisclosureBasis.LAW,
        demand.to_whom,
        [_ALL],
        1,
        demand.reason,
        recipient_id,
        hashlib.sha256(text).digest(),
    )
    return Disclosed(disclosures.record(session, told, demand.actor, now=demand.now), text)
