"""A no to being measured, looked up without reading what others got."""

from typing import Any

from sqlalchemy.event import listen

from mailprefs import opens
from mailprefs.db.database import Database, Gate


def test_a_persons_messages_are_found_by_the_index_of_each_campaign(sqlite_url: str) -> None:
    """Claims and opt-outs wait meanwhile, and there may be millions of deliveries."""
    db = Database(sqlite_url)
    asked: list[tuple[str, Any]] = []
    listen(db.engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    with db.transaction(Gate.TAKING) as session:
        opens.silence(session, 7)
        query, values = asked[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    db.close()
    looked = [row[-1] for row in plan if "deliveries" in row[-1]]
    assert len(looked) == 1
    assert looked[0].startswith("SEARCH deliveries")
