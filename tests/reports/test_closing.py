"""Closing counts, too: whoever takes opens back meanwhile would do it from sums that are folded."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from mailprefs.db.database import Database, Gate
from mailprefs.opens import RECORDED_FOR, turn
from mailprefs.reports import closing
from mailprefs.reports.cells import Rule
from tests.factories import make_campaign, make_policy, make_topic

SENT: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATE: Final = SENT + RECORDED_FOR + timedelta(hours=1)


def mark(session: Session, _: int) -> None:
    closing.mark(session, now=LATE, limit=1)


def finish(session: Session, number: int) -> None:
    closing.finish(session, number, now=LATE, rule=Rule())


@pytest.fixture
def db(postgresql_url: str) -> Iterator[Database]:
    """Give a database with several writers at once; on SQLite each is alone anyway."""
    database = Database(postgresql_url)
    yield database
    database.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("step", [mark, finish])
def test_nobody_takes_opens_back_while_a_campaign_is_closed(
    db: Database, step: Callable[[Session, int], None]
) -> None:
    with db.transaction() as session:
        make_policy(session)
        number = make_campaign(session, make_topic(session), first_hand_over_at=SENT).id
    with db.transaction(Gate.TAKING) as session:
        step(session, number)
        with db.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                turn.take(other)
            other.rollback()
