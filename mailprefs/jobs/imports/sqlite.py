"""The statements of an import on SQLite, by the driver itself: a third of the time of the ORM's."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from sqlalchemy.orm import Session

from mailprefs.jobs.imports.deciding import Known, Standing
from mailprefs.jobs.imports.people import Person
from mailprefs.jobs.imports.writing import (
    KNOWN,
    RECIPIENT,
    SUBSCRIPTION,
    SUPPRESSION,
    Batch,
    recipient_row,
    suppression_row,
)
from mailprefs.policy import Source, SuppressionReason

# Every statement here is put together of our own constants; values are always bound.
_STANDING = (
    f"SELECT r.address_hash, {', '.join(f'r.{name}' for name in KNOWN)}, s.state,"  # noqa: S608 - see above
    " r.language_since IS NOT NULL"
    " FROM recipients r LEFT JOIN subscriptions s ON s.recipient_id = r.id AND s.topic_id = ?"
    " WHERE r.address_hash IN ({})"
)
_SUPPRESSED = "SELECT address_hash, reason FROM suppressions WHERE address_hash IN ({})"
_UPDATE = f"UPDATE recipients SET {', '.join(f'{name} = ?' for name in KNOWN[1:])} WHERE id = ?"  # noqa: S608 - see above
_CHANGE = (
    "UPDATE subscriptions SET state = ?, source = ?, since = ?, policy_version_id = ?"
    " WHERE recipient_id = ? AND topic_id = ?"
)


class SqliteStore:
    """One writing transaction on SQLite, in which nobody else writes."""

    def __init__(self, session: Session) -> None:
        """Take the driver's own connection of the session's transaction."""
        driver: Any = session.connection().connection.driver_connection
        self._connection: Connection = driver

    def standing(self, hashes: Sequence[bytes], topic_id: int) -> Standing:
        """Give what the database holds of the people with these address hashes."""
        marks = ",".join("?" * len(hashes))
        found = self._connection.execute(_STANDING.format(marks), (topic_id, *hashes))
        known = {}
        for address_hash, number, *texts, attributes, state, has_chosen in found:
            origin, first_name, last_name, language, region, zone = texts
            known[address_hash] = Known(
                number,
                origin,
                first_name,
                last_name,
                language,
                region,
                zone,
                json.loads(attributes),
                state,
                bool(has_chosen),
            )
        suppressed: dict[bytes, frozenset[SuppressionReason]] = {}
        for address_hash, reason in self._connection.execute(_SUPPRESSED.format(marks), hashes):
            earlier = suppressed.get(address_hash, frozenset())
            suppressed[address_hash] = earlier | {SuppressionReason(reason)}
        return Standing(known, suppressed)

    def reserve(self, n: int) -> Sequence[int]:
        """Give the next *n* ids after the highest ever used, which AUTOINCREMENT keeps."""
        found = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'recipients'"
        ).fetchone()
        last = int(found[0]) if found else 0
        return range(last + 1, last + 1 + n)

    def add_recipients(self, ids: Sequence[int], people: Sequence[Person], batch: Batch) -> None:
        """Insert recipients; the highest id becomes AUTOINCREMENT's."""
        now = moment(batch.now)
        self._insert(
            "recipients",
            RECIPIENT,
            [
                recipient_row(number, person, batch.key_id, now)
                for number, person in zip(ids, people, strict=True)
            ],
        )

    def update_recipients(self, people: Sequence[Known]) -> None:
        """Write the values of people who are known."""
        rows = [(*person[1:7], json.dumps(person.attributes), person.id) for person in people]
        self._connection.executemany(_UPDATE, rows)

    def add_subscriptions(self, states: Sequence[tuple[int, str]], batch: Batch) -> None:
        """Insert subscriptions: recipient ids with states."""
        topic_id, policy, now = batch.topic_id, batch.policy_version_id, moment(batch.now)
        self._insert(
            "subscriptions",
            SUBSCRIPTION,
            [
                (number, topic_id, state, Source.IMPORT.value, now, policy)
                for number, state in states
            ],
        )

    def change_subscriptions(self, states: Sequence[tuple[int, str]], batch: Batch) -> None:
        """Set the states of subscriptions that exist."""
        shared = (Source.IMPORT.value, moment(batch.now), batch.policy_version_id)
        rows = [(state, *shared, number, batch.topic_id) for number, state in states]
        self._connection.executemany(_CHANGE, rows)

    def suppress(self, listed: Sequence[tuple[bytes, SuppressionReason]], batch: Batch) -> None:
        """Insert suppressions, none of which exists: nobody else writes meanwhile."""
        now = moment(batch.now)
        rows = [suppression_row(*one, batch.key_id, now) for one in listed]
        self._insert("suppressions", SUPPRESSION, rows)

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        marks = ",".join("?" * len(columns))
        self._connection.executemany(
            f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})",  # noqa: S608 - our own constants
            rows,
        )


def moment(now: datetime) -> str:
    """Write a time as ``UtcDateTime`` stores it on SQLite."""
    return now.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec="microseconds")
