"""What goes along in a transfer: people with every choice, the policies and the words behind it.

A line of JSON each, made in slices on one view of the database, so that a file says how things
stood at one moment and needs little memory. Each line and each choice names the policy version that
governs it: the one in force when it was collected. Whoever is erased, or waits to be, is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from mailprefs import consent
from mailprefs.consent.ledger import Recorded
from mailprefs.db import dialects
from mailprefs.policy import SuppressionReason
from mailprefs.schema.choices import PolicyVersion, Suppression, Wording
from mailprefs.schema.erasures import ErasureOrder
from mailprefs.schema.people import Recipient, Subscription, Topic

SLICE: Final = 500
"""People read at once."""
FORM: Final = """\
A transfer of people's data, with what governs it
=================================================

Every file holds one JSON object a line, in UTF-8; times are ISO 8601 in UTC. How things stood at
"made_at" in manifest.json, which also gives the number of lines and the SHA-256 of each file.

"policy" is the version of the privacy policy that was in force when the data was collected. That
version goes on governing it: its text is in policies.jsonl.

policies.jsonl    every version: policy, text, sha256, in_force_from (null: never), is_material
wordings.jsonl    the exact words people saw when choosing: wording, purpose, language, text
topics.jsonl      what one can be subscribed to: topic, name, description, message_class
people.jsonl      one person a line:
  number, address, address_origin (confirmed, imported, unconfirmed), first_name, last_name,
  attributes, region, language, zone, known_since, policy
  open_tracking   what they said about being measured: unknown, granted, refused, withdrawn or
                  objected
  paused_until, frequency   what they wished for less mail
  subscriptions   topic, state, source, since, policy
  choices         every choice there is proof of, oldest first: seq, recorded_at, occurred_at,
                  purpose, topic, was, is, source, method, actor, language, wording, policy
  held_back       why mail to the address is held back: reason, scope, source, since
refused_addresses.jsonl    addresses nobody here has and which must not be mailed: address_hash
  (keyed; only the key of this installation can match it), key, reason, scope, source, since

Nobody who was erased is in here, nor anybody who asked for it. Nor are opens or messages.
Whatever holds back mail to an address holds it back for whoever sends next: a no goes along with
the data.
"""
FIELDS: Final = (
    "address",
    "names",
    "attributes",
    "region",
    "language",
    "zone",
    "subscriptions",
    "choices with wordings and policy versions",
    "suppressions",
)
"""What of people goes along, for the register."""


class Mark(NamedTuple):
    """How far erasing had come at a moment: the last erasure, and the last address shut out."""

    erasure: int
    erased: int


def mark(session: Session) -> Mark:
    """Give how far erasing has come: while it stays the same, nobody was erased."""
    erased = Suppression.reason == SuppressionReason.ERASED
    last = session.scalar(select(func.max(ErasureOrder.id)))
    shut_out = session.scalar(select(func.max(Suppression.id)).where(erased))
    return Mark(last or 0, shut_out or 0)


def files(session: Session) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Give each file's name and its lines; all are read on the session's one view, in this order.

    Memory is that of ``SLICE`` people, however many there are.
    """
    names = _Names.of(session)
    yield "policies.jsonl", _policies(session)
    yield "wordings.jsonl", _wordings(session)
    yield "topics.jsonl", _topics(session)
    yield "people.jsonl", _people(session, names)
    yield "refused_addresses.jsonl", _refused(session)


class _Names(NamedTuple):
    """What numbers of policies and topics are called."""

    policies: Mapping[int, str]
    topics: Mapping[int, str]
    starts: Sequence[tuple[datetime, int]]

    @classmethod
    def of(cls, session: Session) -> "_Names":
        policies = session.execute(select(PolicyVersion.id, PolicyVersion.version))
        topics = session.execute(select(Topic.id, Topic.slug))
        return cls(dict(policies.all()), dict(topics.all()), consent.policy_starts(session))

    def policy_at(self, at: datetime) -> str | None:
        """Give the version in force at an instant; None before the first."""
        found = consent.policy_at(self.starts, at)
        return None if found is None else self.policies[found]


def _policies(session: Session) -> Iterator[dict[str, Any]]:
    starts = {number: at for at, number in consent.policy_starts(session)}
    for one in consent.versions(session):
        since = starts.get(one.id)
        yield {
            "policy": one.version,
            "text": one.text,
            "sha256": one.sha256.hex(),
            "in_force_from": None if since is None else since.isoformat(),
            "is_material": one.is_material,
        }


def _wordings(session: Session) -> Iterator[dict[str, Any]]:
    columns = (Wording.id.label("wording"), Wording.purpose, Wording.language, Wording.text)
    for row in session.execute(select(*columns).order_by(Wording.id)):
        yield dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def _topics(session: Session) -> Iterator[dict[str, Any]]:
    for one in session.scalars(select(Topic).order_by(Topic.id)):
        yield {
            "topic": one.slug,
            "name": one.name,
            "description": one.description,
            "message_class": one.message_class.value,
        }


def _people(session: Session, names: _Names) -> Iterator[dict[str, Any]]:
    last = 0
    shut_out = exists().where(
        Suppression.address_hash == Recipient.address_hash,
        Suppression.reason == SuppressionReason.ERASED,
    )
    while True:
        query = select(Recipient.__table__).where(Recipient.id > last).order_by(Recipient.id)
        rows = session.execute(query.where(~shut_out).limit(SLICE)).all()
        if not rows:
            return
        ids = [row.id for row in rows]
        standings = _by_person(session, ids, names)
        choices = consent.histories(session, ids)
        against = _held_back(session, [row.address_hash for row in rows])
        for row in rows:
            yield {
                **_person(row, names),
                "subscriptions": standings.get(row.id, []),
                "choices": [_choice(one, names) for one in choices.get(row.id, [])],
                "held_back": against.get(row.address_hash, []),
            }
        last = ids[-1]


def _person(row: Any, names: _Names) -> dict[str, Any]:  # noqa: ANN401 - a row of recipients
    return {
        "number": row.id,
        "address": row.address,
        "address_origin": row.address_origin.value,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "attributes": row.attributes,
        "region": row.region,
        "language": row.language,
        "zone": row.zone,
        "known_since": row.created_at.isoformat(),
        "policy": names.policy_at(row.created_at),
        "open_tracking": row.open_tracking.value,
        "paused_until": row.paused_until.isoformat() if row.paused_until else None,
        "frequency": row.frequency.value if row.frequency else None,
    }


def _by_person(
    session: Session, ids: Sequence[int], names: _Names
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    rows = session.execute(
        select(Subscription.__table__)
        .where(dialects.among(session, Subscription.recipient_id, ids))
        .order_by(Subscription.recipient_id, Subscription.topic_id)
    )
    for row in rows:
        found.setdefault(row.recipient_id, []).append(
            {
                "topic": names.topics[row.topic_id],
                "state": row.state.value,
                "source": row.source.value,
                "since": row.since.isoformat(),
                "policy": names.policies[row.policy_version_id],
            }
        )
    return found


def _choice(one: Recorded, names: _Names) -> dict[str, Any]:
    entry = one.entry
    topic = None if entry.topic_id is None else names.topics.get(entry.topic_id)
    return {
        "seq": one.seq,
        "recorded_at": one.recorded_at.isoformat(),
        "occurred_at": entry.occurred_at.isoformat(),
        "purpose": entry.purpose,
        "topic": topic,
        "was": entry.old,
        "is": entry.new,
        "source": entry.source.value,
        "method": entry.method,
        "actor": entry.actor,
        "language": entry.language,
        "wording": entry.wording.id if entry.wording else None,
        "policy": names.policies.get(entry.policy_version_id),
    }


def _held_back(session: Session, hashes: Sequence[bytes]) -> dict[bytes, list[dict[str, Any]]]:
    found: dict[bytes, list[dict[str, Any]]] = {}
    query = select(Suppression.__table__).where(Suppression.address_hash.in_(hashes))
    for row in session.execute(query.order_by(Suppression.id)):
        found.setdefault(row.address_hash, []).append(_against(row))
    return found


def _refused(session: Session) -> Iterator[dict[str, Any]]:
    known = exists().where(Recipient.address_hash == Suppression.address_hash)
    last = 0
    while True:
        rows = session.execute(
            select(Suppression.__table__)
            .where(Suppression.id > last, Suppression.reason != SuppressionReason.ERASED, ~known)
            .order_by(Suppression.id)
            .limit(SLICE)
        ).all()
        if not rows:
            return
        for row in rows:
            key = {"address_hash": row.address_hash.hex(), "key": row.address_key_id}
            yield key | _against(row)
        last = rows[-1].id


def _against(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of suppressions
    return {
        "reason": row.reason.value,
        "scope": row.scope.value,
        "source": row.source.value,
        "since": row.created_at.isoformat(),
    }
