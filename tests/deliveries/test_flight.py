"""Who is in a request that may be about to begin: asked by everybody who leaves."""

from typing import Any

from sqlalchemy import update

from mailprefs.db.database import Database
from mailprefs.db.dialects import database_time
from mailprefs.deliveries import flight
from mailprefs.schema.deliveries import HandOver
from tests.factories import make_policy, make_topic
from tests.sending import freeze_all, make_due, make_people, take_one


def test_whoever_leaves_is_looked_for_in_the_batches_under_way_and_nowhere_else(
    sqlite_url: str,
) -> None:
    """Ten million deliveries make no difference to the answer to an opt-out."""
    db = Database(sqlite_url)
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        who = make_people(session, topic, 3)[0].id
        make_due(session, topic)
    freeze_all(db)
    take_one(db)
    with db.transaction() as session:
        session.execute(update(HandOver).values(claimed_at=database_time(session)))
    asked: list[str] = []
    with db.reading() as session:
        driver: Any = session.connection().connection.driver_connection
        driver.set_trace_callback(asked.append)
        assert flight.holding(session, [who, who + 100]) == [True, False]
        assert len(flight.carrying(session, who)) == 1
        driver.set_trace_callback(None)
        plans = [
            row[-1]
            for query in [one for one in asked if "FROM deliveries" in one]
            for row in driver.execute(f"EXPLAIN QUERY PLAN {query}")
        ]
    db.close()
    looked = {step for step in plans if "deliveries" in step}
    assert looked == {"SEARCH deliveries USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"}
