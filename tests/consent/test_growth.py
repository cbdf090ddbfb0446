"""What one choice costs must not grow with the ledger behind it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mailprefs.consent.entries import Entry
from mailprefs.consent.ledger import SLICE, append
from mailprefs.db.database import Database
from mailprefs.policy import Purpose, Source
from tests.factories import make_policy

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def entries(n: int, policy_version_id: int) -> list[Entry]:
    return [
        Entry(
            recipient_id=number,
            purpose=Purpose.PROMOTIONAL_EMAIL,
            topic_id=1,
            old=None,
            new="subscribed",
            source=Source.IMPORT,
            policy_version_id=policy_version_id,
            method="file",
            occurred_at=NOW,
        )
        for number in range(1, n + 1)
    ]


def rows_scanned(session: Session) -> int:
    """Give what this connection read row after row; what it read before may be among it."""
    found = session.execute(
        text("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'consent_entries'")
    )
    return int(found.scalar_one())


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_appending_reads_the_ends_of_the_ledger_only(db: Database) -> None:
    with db.transaction() as session:
        policy = make_policy(session)
    for _ in range(3):
        with db.transaction() as session:
            append(session, entries(SLICE, policy), now=NOW)
    with db.transaction() as session:
        session.execute(text("ANALYZE consent_entries"))

    with db.transaction() as session:
        before = rows_scanned(session)
        append(session, entries(1, policy), now=NOW)
        append(session, entries(30, policy), now=NOW)

        assert rows_scanned(session) == before
