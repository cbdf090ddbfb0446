"""What another installation on the same vendor account causes here: nothing."""

import logging
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from mailprefs import events
from mailprefs.db.database import Database
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.schema.events import MailboxFact, VendorEventRow
from mailprefs.vendor.message import Event, VendorEvent
from tests.events.conftest import Mailed
from tests.events.reported import apply, event, totals
from tests.factories import HASHER
from tests.sending import NOW

SOMEBODY_ELSE = HASHER.hash("somebody.else@example.net")
KINDS = (Event.DELIVERED, Event.BOUNCED, Event.COMPLAINED, Event.UNSUBSCRIBED)


def foreign(told: VendorEvent) -> VendorEvent:
    return replace(told, address_hash=SOMEBODY_ELSE)


def attempt_of(db: Database, which: int) -> str:
    with db.reading() as session:
        ids = session.scalars(select(HandOver.id).order_by(HandOver.id)).all()
    return f"{ids[which]:x}"


def make_unknown(db: Database) -> None:
    with db.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.UNKNOWN))
        session.execute(update(HandOver).values(outcome="unclear"))


def states(db: Database) -> list[BatchState]:
    with db.reading() as session:
        return list(session.scalars(select(Batch.state).order_by(Batch.first_id)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_that_names_somebody_else_is_stored_as_not_ours_and_applies_nothing(
    mailed: Mailed, kind: Event, caplog: pytest.LogCaptureFixture
) -> None:
    make_unknown(mailed.db)
    told = event(mailed.sent[0][0], kind, attempt=attempt_of(mailed.db, 0))
    with caplog.at_level(logging.WARNING):
        assert apply(mailed.db, foreign(told)) == 0
    with mailed.db.reading() as session:
        stored = session.query(VendorEventRow).one()
        assert session.query(MailboxFact).count() == 0
    assert (stored.delivery_id, stored.hand_over_id, stored.kind) == (None, None, kind.value)
    assert (mailed.reasons(), totals(mailed.db)) == (set(), {})
    assert set(states(mailed.db)) == {BatchState.UNKNOWN}
    assert "1 events name deliveries of ours and other people" in caplog.text


def test_our_own_event_counts_though_a_foreign_one_of_that_second_came_first(
    mailed: Mailed,
) -> None:
    told = event(mailed.sent[0][0])
    assert apply(mailed.db, foreign(told)) == 0
    assert apply(mailed.db, told) == 1
    assert apply(mailed.db, foreign(told), told) == 0


def test_an_event_that_names_nobody_is_not_tied_to_a_person(mailed: Mailed) -> None:
    told = event(mailed.sent[0][0], Event.DELIVERED)
    with mailed.db.transaction() as session:
        assert told.address_hash is None
        assert events.store_and_apply(session, [told], now=NOW).facts == 0


def test_an_event_proves_the_request_that_carried_its_delivery_and_no_other(
    mailed: Mailed,
) -> None:
    make_unknown(mailed.db)
    ours, other = attempt_of(mailed.db, 0), attempt_of(mailed.db, 1)
    apply(mailed.db, event(mailed.sent[0][0], attempt=other))
    apply(mailed.db, event(mailed.sent[0][1], attempt="7fffffff"))
    apply(mailed.db, event(999 << 32 | 1, attempt=ours))
    assert set(states(mailed.db)) == {BatchState.UNKNOWN}
    with mailed.db.reading() as session:
        assert set(session.scalars(select(VendorEventRow.hand_over_id))) == {None}
    apply(mailed.db, event(mailed.sent[0][2], attempt=ours))
    assert states(mailed.db) == [BatchState.SENT, *[BatchState.UNKNOWN] * 5]


def test_who_was_no_part_of_a_request_does_not_prove_it(mailed: Mailed) -> None:
    make_unknown(mailed.db)
    ours = attempt_of(mailed.db, 0)
    with mailed.db.transaction() as session:
        session.execute(update(HandOver).values(modes="-ii"))
    apply(mailed.db, event(mailed.sent[0][0], attempt=ours))
    assert set(states(mailed.db)) == {BatchState.UNKNOWN}
    apply(mailed.db, event(mailed.sent[0][1], attempt=ours))
    assert states(mailed.db)[0] is BatchState.SENT


def test_a_batch_that_was_cut_up_since_is_proved_by_all_whom_it_carried(mailed: Mailed) -> None:
    ours = attempt_of(mailed.db, 0)
    with mailed.db.transaction() as session:
        session.execute(update(HandOver).values(outcome="unclear"))
        batch = session.scalars(select(Batch).order_by(Batch.first_id)).first()
        assert batch is not None
        batch.last_id, batch.n = batch.first_id, 1
    apply(mailed.db, event(mailed.sent[0][2], attempt=ours))
    with mailed.db.reading() as session:
        heard = session.get(HandOver, int(ours, 16))
    assert heard is not None
    assert heard.outcome == "accepted"
