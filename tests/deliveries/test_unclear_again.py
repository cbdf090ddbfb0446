"""An unclear answer counts once, however often it is written down, and says more than a silence."""

from datetime import timedelta

from sqlalchemy import update

from mailprefs.db.database import Database
from mailprefs.deliveries import breaker, settle
from mailprefs.schema.deliveries import LOST, Batch, HandOver
from mailprefs.vendor.message import Outcome, Verdict
from tests.sending import NOW, answer, count, make_frozen, take_one

FIRST = Outcome(verdict=Verdict.UNCLEAR, status=503, reason="The vendor failed (503).")
SECOND = Outcome(verdict=Verdict.UNCLEAR, status=504, reason="The vendor failed (504).")


def known(db: Database) -> tuple[str | None, int | None, int]:
    """Give the reason and status that are kept, and how many unclear answers the breaker counts."""
    with db.reading() as session:
        kept = session.query(HandOver).one()
        return kept.reason, kept.status, breaker.show(session).unclear


def test_the_same_call_unclear_twice_counts_once(db: Database) -> None:
    campaign_id = make_frozen(db, 3)
    taken = take_one(db)
    for said in (FIRST, SECOND, FIRST):
        answer(db, taken, said)
        assert known(db) == ("The vendor failed (503).", 503, 1)
    assert count(db, campaign_id).unknown == 3


def test_an_unclear_answer_after_the_worker_was_thought_lost_says_more_than_that(
    db: Database,
) -> None:
    campaign_id = make_frozen(db, 3)
    taken = take_one(db)
    with db.transaction() as session:
        session.execute(update(Batch).values(lease_until=NOW - timedelta(days=365)))
    with db.transaction() as session:
        settle.sweep(session)
    assert known(db) == (LOST, None, 0)
    for said in (FIRST, SECOND):
        answer(db, taken, said)
        assert known(db) == ("The vendor failed (503).", 503, 1)
    assert count(db, campaign_id).unknown == 3
