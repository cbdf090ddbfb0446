"""One batch after the other: whatever the next one meets, the answer before it is on file."""

from contextlib import suppress

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from mailprefs.db.database import Database
from mailprefs.deliveries import people
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs.dispatch import Worker
from mailprefs.schema.deliveries import Batch, BatchState
from mailprefs.vendor.message import Mailing, Outcome
from tests.fakes import ACCEPTED, RecordingVendor
from tests.jobs.test_dispatch import make_office
from tests.sending import count, make_frozen


def for_ever() -> bool:
    return True


def states(db: Database) -> list[BatchState]:
    with db.reading() as session:
        return list(session.scalars(select(Batch.state).order_by(Batch.id)))


def test_a_worker_has_never_more_than_one_batch_whose_answer_is_not_on_file(db: Database) -> None:
    """Killed at any instant it leaves one batch unknown, and not the one before it, too."""
    campaign_id = make_frozen(db, 8)
    seen: list[list[BatchState]] = []

    def look(mailing: Mailing) -> Outcome:
        seen.append(states(db))
        return ACCEPTED

    worker = Worker(make_office(db, RecordingVendor([look] * 3)), "worker")
    while worker.send_next(for_ever):
        pass
    pending, sending, sent = BatchState.PENDING, BatchState.SENDING, BatchState.SENT
    assert seen == [[sending, pending, pending], [sent, sending, pending], [sent, sent, sending]]
    assert states(db) == [sent] * 3
    assert count(db, campaign_id).sent == 8


def test_the_last_answer_before_a_break_is_on_file(db: Database) -> None:
    campaign_id = make_frozen(db, 8)
    vendor = RecordingVendor()
    worker = Worker(make_office(db, vendor), "worker")
    worker.send_next(lambda: len(vendor.accepted) < 2)
    assert len(vendor.accepted) == (2 if db.is_sqlite else 1)
    assert count(db, campaign_id).sent == len(vendor.addresses)


@pytest.mark.parametrize("error", [OperationalError("SELECT", {}, Exception()), ArithmeticError()])
def test_an_answer_is_kept_when_the_next_batch_cannot_be_claimed(
    db: Database, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    campaign_id = make_frozen(db, 8)

    def fail(*_: object, **__: object) -> None:
        raise error

    def accept(mailing: Mailing) -> Outcome:
        monkeypatch.setattr(people, "read", fail)
        return ACCEPTED

    worker = Worker(make_office(db, RecordingVendor([accept])), "worker")
    with suppress(StoreUnavailable):
        worker.send_next(for_ever)
    found = count(db, campaign_id)
    assert (found.sent, found.pending, found.unknown) == (3, 5, 0)
