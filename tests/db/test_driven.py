"""Statements that are sent ahead: in their order, and told of when the server is gone."""

import pytest
from sqlalchemy import text

from mailprefs.db import driven
from mailprefs.db.database import Database
from mailprefs.errors import StoreUnavailable
from mailprefs.schema.opens import SilencedDelivery

INSERT = "INSERT INTO silenced_deliveries (delivery_id) VALUES (1)"
COUNT = "SELECT count(*) FROM silenced_deliveries"


def there(db: Database) -> int:
    with db.reading() as session:
        return session.query(SilencedDelivery).count()


def test_what_is_sent_is_done_in_its_order_and_committed_together(db: Database) -> None:
    with db.transaction() as session:
        with driven.pipelined(session):
            before = driven.send(session, COUNT, ())
            driven.send(session, INSERT, ())
            after = driven.send(session, COUNT, ())
            assert (before.rows()[0][0], after.rows()[0][0]) == (0, 1)
        assert session.execute(text(COUNT)).scalar_one() == 1
    assert there(db) == 1


def test_a_statement_that_fails_takes_all_of_the_transaction_with_it(db: Database) -> None:
    refused = pytest.raises(Exception, match=r"(?i)unique")
    # On PostgreSQL it is told at the end of the pipeline, on SQLite at once.
    with refused, db.transaction() as session, driven.pipelined(session):
        driven.send(session, INSERT, ())
        driven.send(session, INSERT, ())
    assert there(db) == 0


@pytest.mark.postgresql
def test_a_server_that_goes_away_meanwhile_is_told_in_a_sentence_and_left_behind(
    postgresql_url: str,
) -> None:
    db = Database(postgresql_url)
    gone = pytest.raises(StoreUnavailable)
    with gone, db.transaction() as session, driven.pipelined(session):
        driven.send(session, INSERT, ())
        driven.send(session, "SELECT pg_terminate_backend(pg_backend_pid())", ()).rows()
    assert there(db) == 0
    with db.transaction() as session:
        driven.send(session, INSERT, ())
    assert there(db) == 1
    db.close()
