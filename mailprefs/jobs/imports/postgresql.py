"""The statements of an import on PostgreSQL: COPY for what is new, arrays for the rest."""

import json
from collections.abc import Iterable, Sequence
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
    " FROM recipients r LEFT JOIN subscriptions s ON s.recipient_id = r.id AND s.topic_id = %s"
    " WHERE r.address_hash = ANY(%s::bytea[])"
)
_SUPPRESSED = "SELECT address_hash, reason FROM suppressions WHERE address_hash = ANY(%s::bytea[])"
# The sequence's name is looked up once, not for each of its numbers.
_RESERVE = (
    "SELECT nextval(kept.name) FROM generate_series(1, %s), (SELECT"
    " pg_get_serial_sequence('recipients', 'id')::regclass AS name OFFSET 0) AS kept"
)
_UPDATE = (
    f"UPDATE recipients r SET {', '.join(f'{name} = v.{name}' for name in KNOWN[1:])}"  # noqa: S608 - see above
    " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
    f" %s::text[], %s::jsonb[]) AS v({', '.join(KNOWN)}) WHERE r.id = v.id"
)
_CHANGE = (
    "UPDATE subscriptions s SET state = v.state, source = %s, since = %s, policy_version_id = %s"
    " FROM unnest(%s::bigint[], %s::text[]) AS v(recipient_id, state)"
    " WHERE s.recipient_id = v.recipient_id AND s.topic_id = %s"
)
_SUPPRESS = (
    f"INSERT INTO suppressions ({', '.join(SUPPRESSION)})"  # noqa: S608 - see above
    f" VALUES ({', '.join(['%s'] * len(SUPPRESSION))}) ON CONFLICT DO NOTHING"
)


class PostgresqlStore:
    """One transaction on PostgreSQL, which has passed the gate."""

    def __init__(self, session: Session) -> None:
        """Take the driver's own connection of the session's transaction."""
        # psycopg is an optional extra, so nothing here imports it.
        driver: Any = session.connection().connection.driver_connection
        self._connection = driver
        # The plans here are those of keys and triggers, a row at a time: making each anew, which
        # is right for the eligibility of a batch, takes 100 us a row.
        self._connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")

    def standing(self, hashes: Sequence[bytes], topic_id: int) -> Standing:
        """Give what the database holds of the people with these address hashes."""
        # As text: the driver's own way with an array of bytes takes ten times as long.
        wanted = "{" + ",".join([f'"\\\\x{one.hex()}"' for one in hashes]) + "}"
        known = {
            row[0]: Known(*row[1:])
            for row in self._connection.execute(_STANDING, (topic_id, wanted))
        }
        suppressed: dict[bytes, frozenset[SuppressionReason]] = {}
        for address_hash, reason in self._connection.execute(_SUPPRESSED, (wanted,)):
            earlier = suppressed.get(address_hash, frozenset())
            suppressed[address_hash] = earlier | {SuppressionReason(reason)}
        return Standing(known, suppressed)

    def reserve(self, n: int) -> Sequence[int]:
        """Give *n* ids of the sequence; those of a slice that fails are never used."""
        return [number for (number,) in self._connection.execute(_RESERVE, (n,))] if n else []

    def add_recipients(self, ids: Sequence[int], people: Sequence[Person], batch: Batch) -> None:
        """Insert recipients."""
        now = batch.now.isoformat()
        self._copy(
            "recipients",
            RECIPIENT,
            (
                recipient_row(number, person, batch.key_id, now)
                for number, person in zip(ids, people, strict=True)
            ),
        )

    def update_recipients(self, people: Sequence[Known]) -> None:
        """Write the values of people who are known, in one statement."""
        if not people:
            return
        rows = [(*person[:7], json.dumps(person.attributes)) for person in people]
        self._connection.execute(_UPDATE, [list(column) for column in zip(*rows, strict=True)])

    def add_subscriptions(self, states: Sequence[tuple[int, str]], batch: Batch) -> None:
        """Insert subscriptions: recipient ids with states."""
        topic_id, policy, now = batch.topic_id, batch.policy_version_id, batch.now.isoformat()
        self._copy(
            "subscriptions",
            SUBSCRIPTION,
            (
                (number, topic_id, state, Source.IMPORT.value, now, policy)
                for number, state in states
            ),
        )

    def change_subscriptions(self, states: Sequence[tuple[int, str]], batch: Batch) -> None:
        """Set the states of subscriptions that exist, in one statement."""
        ids, values = [list(column) for column in zip(*states, strict=True)]
        self._connection.execute(
            _CHANGE,
            (
                Source.IMPORT.value,
                batch.now,
                batch.policy_version_id,
                ids,
                values,
                batch.topic_id,
            ),
        )

    def suppress(self, listed: Sequence[tuple[bytes, SuppressionReason]], batch: Batch) -> None:
        """Insert suppressions; one that exists stays as it is."""
        now = batch.now.isoformat()
        with self._connection.cursor() as cursor:
            cursor.executemany(
                _SUPPRESS, [suppression_row(*one, batch.key_id, now) for one in listed]
            )

    def _copy(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        statement = f"COPY {table} ({','.join(columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
