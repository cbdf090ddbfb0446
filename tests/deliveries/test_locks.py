"""Nobody waits in a circle: claims, answers, proofs and lost workers beside each other.

One side is held up after each statement that locks, in turn, while the other goes as far as it
gets. So two sides that take two rows in opposite orders always meet, and PostgreSQL would end one
of them.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, insert, update
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.deliveries import outcome, proof, settle
from mailprefs.deliveries.claim import Claim
from mailprefs.jobs.office import utc_now
from mailprefs.policy import MessageClass
from mailprefs.rates import Limits, Rate
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver, VendorPace
from mailprefs.schema.sending import CallPace, SendCount
from mailprefs.vendor.message import Outcome, Verdict
from tests.sending import (
    NOW,
    TERMS,
    answer,
    make_frozen,
    take,
    take_one,
)

pytestmark = [pytest.mark.postgresql, pytest.mark.faults]
LONG_AGO = NOW - timedelta(days=365)
TWO_A_SECOND = Limits(
    everything=Rate(second=0.0, hour=100_000, day=0),
    classes={MessageClass.PROMOTIONAL: Rate(second=2.0)},
)
LIMITED = replace(TERMS, limits=TWO_A_SECOND)
"""Batches of three are split by it, so that a claim refers to its campaign once more."""
LOCKING = re.compile("INSERT|UPDATE|DELETE")
MOST_STATEMENTS = 40
BLOCKED_AFTER = 0.06
SAID = [
    ("paced", Verdict.ACCEPTED),
    ("paced", Verdict.LATER),
    ("paced", Verdict.REFUSED_ADDRESS),
    ("probing", Verdict.UNCLEAR),
    ("probing", Verdict.NOT_ALLOWED),
    ("probing", Verdict.TOO_LARGE),
]
Work = Callable[[], object]


@pytest.fixture
def db(postgresql_url: str) -> Iterator[Database]:
    """Give a frozen newsletter to 300 people, in a hundred batches."""
    db = Database(postgresql_url)
    make_frozen(db, 300)
    event.listen(db.engine, "after_cursor_execute", stand)
    yield db
    db.close()


def let_go(db: Database, *, unclear: int, paced: bool) -> None:
    """Let the next claim be made at once, with the pace or the breaker in its way."""
    now = utc_now()
    with db.transaction() as session:
        session.execute(
            update(Campaign).values(state=CampaignState.SENDING, first_hand_over_at=None)
        )
        session.execute(
            update(VendorPace).values(
                wait_until=None,
                waits=1,
                stopped_at=None,
                unclear=unclear,
                opened_at=None,
                probe_at=None,
                probing_id=None,
                next_turn_at=now - timedelta(seconds=1),
            )
        )
        session.execute(update(SendCount).values(turn_at=LONG_AGO))
        session.execute(delete(CallPace))
        if paced:
            row = {"id": 1, "refused_at": now, "rate": 50.0, "ceiling": None}
            session.execute(insert(CallPace).values(row))


class HeldUp(threading.Thread):
    """A piece of work in a thread of its own, held up once after its lock number *after*."""

    def __init__(self, work: Work, after: int = 0) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.has_more = False
        self._work, self._after, self._seen = work, after, 0
        self._is_there, self._go_on = threading.Event(), threading.Event()

    def begin(self) -> None:
        self.start()
        if self._after:
            assert self._is_there.wait(10)

    def end(self) -> None:
        self._go_on.set()
        self.join(20)
        assert self.error is None, f"{self.error} {self.error.__cause__}"

    def stand(self) -> None:
        self._seen += 1
        if self._seen == self._after:
            self.has_more = True
            self._is_there.set()
            assert self._go_on.wait(10)

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - told in the test's own thread
            self.error = error
        self._is_there.set()


def stand(_connection: object, _cursor: object, statement: str, *_: object) -> None:
    """Let a piece of work stand, where it is to."""
    thread = threading.current_thread()
    if isinstance(thread, HeldUp) and LOCKING.search(statement):
        thread.stand()


def beside(ready: Callable[[], tuple[Work, Work]]) -> None:
    """Try two works beside each other, the first held up after each of its statements."""
    for number in range(1, MOST_STATEMENTS):
        one, other = ready()
        first, second = HeldUp(one, number), HeldUp(other)
        first.begin()
        second.begin()
        second.join(BLOCKED_AFTER)
        first.end()
        second.end()
        if not first.has_more:
            return
    pytest.fail("a work of so many statements")


def written(db: Database, work: Callable[[Session], object]) -> Work:
    """Give a work that is done in one transaction."""

    def done() -> None:
        with db.transaction() as session:
            work(session)

    return done


def recorded(db: Database, taken: Claim, verdict: Verdict) -> Work:
    result = Outcome(verdict=verdict, refused=(0,), reason="The vendor said so.")
    return written(db, lambda session: outcome.record(session, taken, result))


@pytest.mark.parametrize(("how", "verdict"), SAID)
def test_a_claim_beside_an_answer(db: Database, how: str, verdict: Verdict) -> None:
    def ready() -> tuple[Work, Work]:
        let_go(db, unclear=0, paced=False)
        taken = take_one(db, LIMITED)
        let_go(db, unclear=int(how == "probing"), paced=how == "paced")
        return lambda: take(db, LIMITED), recorded(db, taken, verdict)

    beside(ready)


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.LATER])
def test_answers_beside_an_answer(db: Database, verdict: Verdict) -> None:
    def ready() -> tuple[Work, Work]:
        let_go(db, unclear=0, paced=False)
        one = take_one(db, TERMS)
        let_go(db, unclear=0, paced=True)
        other = take_one(db, TERMS)
        return recorded(db, one, Verdict.ACCEPTED), recorded(db, other, verdict)

    beside(ready)


def a_second_call(db: Database) -> Claim:
    """Give a call to people of whom an earlier one is unclear, and who are sent it again."""
    let_go(db, unclear=0, paced=False)
    first = take_one(db, TERMS)
    answer(db, first, Outcome(verdict=Verdict.UNCLEAR, reason="No answer came."))
    let_go(db, unclear=0, paced=False)
    with db.transaction() as session:
        session.execute(update(Batch).values(priority=5))
        session.execute(
            update(Batch)
            .where(Batch.id == first.held.batch_id)
            .values(state=BatchState.PENDING, after_id=first.held.hand_over_id, priority=1)
        )
    second = take_one(db, TERMS)
    assert second.picked.after_id == first.held.hand_over_id
    return second


@pytest.mark.parametrize("verdict", [Verdict.LATER, Verdict.UNCLEAR])
@pytest.mark.parametrize("answer_first", [True, False])
def test_an_answer_beside_the_proof_of_an_earlier_call_is_not_the_last_word(
    db: Database, verdict: Verdict, *, answer_first: bool
) -> None:
    """Whichever comes first: who has the message is not written to again, nor called unknown."""
    tried: list[Claim] = []

    def ready() -> tuple[Work, Work]:
        second = a_second_call(db)
        tried.append(second)
        first_id = second.picked.after_id
        assert first_id is not None
        proved = written(db, lambda session: settle.proved(session, [first_id], now=NOW))
        said = recorded(db, second, verdict)
        return (said, proved) if answer_first else (proved, said)

    beside(ready)
    with db.reading() as session:
        for taken in tried:
            found = session.get_one(Batch, taken.held.batch_id)
            assert found.state is BatchState.SENT
            assert proof.earlier(session, found.hand_over_id).accepted == taken.picked.after_id


def test_lost_workers_beside_a_late_answer(db: Database) -> None:
    def ready() -> tuple[Work, Work]:
        let_go(db, unclear=0, paced=False)
        taken = [take_one(db, TERMS) for _ in range(2)]
        with db.transaction() as session:
            mine = Batch.hand_over_id.in_([one.held.hand_over_id for one in taken])
            session.execute(update(Batch).where(mine).values(lease_until=LONG_AGO))
        return written(db, settle.sweep), recorded(db, taken[1], Verdict.LATER)

    beside(ready)
    with db.reading() as session:
        assert session.query(HandOver).filter(HandOver.outcome.is_(None)).count() == 0
