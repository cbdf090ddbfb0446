"""What one entry of the consent ledger says, and how entries are chained. Pure: nothing is stored.

The binary forms, fixed for ever because old entries must verify:

* payload: canonical JSON in UTF-8: keys sorted, no spaces, nothing escaped but control characters,
  quotation marks and backslashes, fields that are None left out (a third of an import's bytes);
  times as ``YYYY-MM-DDTHH:MM:SS.ffffffZ``;
* commitment: SHA-256 of 16 random bytes of salt, then the payload;
* entry hash: SHA-256 of the previous entry's hash (32 zero bytes before the first), then seq as 8
  bytes and recorded_at as 8 bytes of microseconds since 1970 (both big-endian, signed), then the
  commitment.

The chain covers the commitment only. So erasing a person (salt, payload and recipient_id to NULL)
leaves a chain that still verifies and holds nothing readable; without the salt nobody can try
payloads out against the commitment.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Any, Final, NamedTuple

from mailprefs.policy import Source

SALT_BYTES: Final = 16
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
COLUMNS: Final = (
    "seq",
    "recorded_at",
    "commitment",
    "entry_hash",
    "salt",
    "payload",
    "recipient_id",
)
"""The columns of ``consent_entries``, in the order of a ``Row``."""

_PLACE = Struct(">qq")


class Head(NamedTuple):
    """Where the ledger ends: keep one outside the database, and a cut tail can be told."""

    seq: int
    entry_hash: bytes


GENESIS: Final = Head(0, bytes(32))
"""The head of a ledger without entries."""


class Shown(NamedTuple):
    """The words that a person saw when choosing: a row of ``wordings`` and its text's SHA-256."""

    id: int
    sha256: bytes


class Entry(NamedTuple):
    """One choice of one person about one purpose: what it was before, what it is now, and proof.

    ``old`` and ``new`` are a ``SubscriptionState`` where there is a *topic_id* (``old`` None: no
    row), else a ``Choice``. ``method`` says how it was expressed: "post_one_click", "button",
    "unticked_checkbox", "file", ... ``actor`` is "self", "staff:ID" or "system". All entries of one
    act share a ``request_id``. No IP address and no user agent, ever.

    The person stands in the payload as the recipient's number: it isn't the address, it is never
    given to anybody else, and erasure takes the payload away as a whole, so that a second, random
    name for the same person would protect nothing and cost a column and a look-up.
    """

    recipient_id: int
    purpose: str
    topic_id: int | None
    old: str | None
    new: str
    source: Source
    policy_version_id: int
    method: str
    occurred_at: datetime
    actor: str = "self"
    delivery_id: int | None = None
    source_ref: str | None = None
    wording: Shown | None = None
    language: str | None = None
    token_key_id: int | None = None
    request_id: str | None = None


class Row(NamedTuple):
    """One row of ``consent_entries``, ready for INSERT or COPY; the last three NULL once erased."""

    seq: int
    recorded_at: datetime
    commitment: bytes
    entry_hash: bytes
    salt: bytes | None
    payload: str | None
    recipient_id: int | None


def rows(entries: Sequence[Entry], head: Head, now: datetime) -> list[Row]:
    """Give the rows that append *entries* after *head*, recorded *now*; the last one's is the head.

    Nothing is written. Whoever inserts them holds the lock of the head row (``ledger.lock``) and
    sets it to the last row's ``seq`` and ``entry_hash`` in the same transaction.
    """
    seq, entry_hash = head
    recorded = _microseconds(now)
    salts = os.urandom(SALT_BYTES * len(entries))
    made = []
    for at, entry in enumerate(entries):
        seq += 1
        salt = salts[at * SALT_BYTES : (at + 1) * SALT_BYTES]
        before, after = _around_person(entry[1:])
        text = f"{before}{entry[0]}{after}"
        committed = sha256(salt + text.encode()).digest()
        entry_hash = sha256(entry_hash + _PLACE.pack(seq, recorded) + committed).digest()
        made.append(Row(seq, now, committed, entry_hash, salt, text, entry[0]))
    return made


def payload(entry: Entry) -> str:
    """Give the canonical JSON of one entry."""
    before, after = _around_person(entry[1:])
    return f"{before}{entry.recipient_id}{after}"


def read(payload: str) -> Entry:
    """Give the entry that a payload says."""
    said: dict[str, Any] = {"topic_id": None, "old": None} | json.loads(payload)
    if "wording_id" in said:
        digest = bytes.fromhex(said.pop("wording_sha256"))
        said["wording"] = Shown(said.pop("wording_id"), digest)
    said["source"] = Source(said["source"])
    said["occurred_at"] = datetime.fromisoformat(said["occurred_at"])
    return Entry(**said)


def names(payload: str, recipient_id: int) -> bool:
    """Tell whether a payload is about this person, at a tenth of the cost of reading it."""
    # The source always follows; quotation marks inside values are escaped.
    return f'"recipient_id":{recipient_id},"' in payload


def commitment(salt: bytes, payload: str) -> bytes:
    """Give what binds an entry to its payload without showing it."""
    return sha256(salt + payload.encode()).digest()


def chained(previous: bytes, seq: int, recorded_at: datetime, commitment: bytes) -> bytes:
    """Give an entry's hash."""
    return sha256(previous + _PLACE.pack(seq, _microseconds(recorded_at)) + commitment).digest()


@lru_cache(maxsize=256)
def _around_person(rest: tuple[Any, ...]) -> tuple[str, str]:
    """Give a payload's text before and after the person's number.

    An import writes a million entries that differ in nothing else; this makes them in 3 us each.
    """
    entry = Entry(0, *rest)
    said = {name: value for name, value in entry._asdict().items() if value is not None}
    if entry.wording is not None:
        del said["wording"]
        said["wording_id"] = entry.wording.id
        said["wording_sha256"] = entry.wording.sha256.hex()
    said["occurred_at"] = _text(entry.occurred_at)
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Quotation marks inside values are escaped, so that this key can't be found anywhere else.
    key = '"recipient_id":'
    before, after = text.split(f"{key}0")
    return before + key, after


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
