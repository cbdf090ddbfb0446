"""Rows, rollups and totals are what a recount makes of the same story, in whatever order it goes.

The normal suite looks at a fixed choice of stories. ``MAILPREFS_TESTS_HISTORIES=2000`` looks at so
many others, which are new each time.
"""

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from mailprefs import events, opens
from mailprefs.db.database import Database, Gate
from mailprefs.opens import Calls, Fetch
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxFact
from mailprefs.schema.opens import Measured, MeasuredTotal, Open, OpenRollup, UndecidedOpen
from mailprefs.schema.people import Recipient
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from mailprefs.vendor.message import Event, VendorEvent
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic
from tests.opens.recount import Hit, Recount

HISTORIES = int(os.environ.get("MAILPREFS_TESTS_HISTORIES", "0"))
SENT = datetime(2026, 11, 22, 9, 58, tzinfo=UTC)
PEOPLE = 3
Script = list[tuple[Any, ...]]

_who = st.integers(0, PEOPLE - 1)
# Around the hand-over, the delivery, and the turn of an hour.
_when = st.sampled_from([-2, 0, 4.999, 5, 20, 40, 59, 60, 61, 119, 125, 1_900, 90_000])
_hit = st.tuples(
    _who,
    _when,
    st.sampled_from([0, 1, 1, 2, 2, 3, 4, 5]),
    st.sampled_from([2, 3]),
    st.sampled_from([None, "DE", "AT"]),
)
_step = st.one_of(
    st.tuples(st.just("hits"), st.lists(_hit, min_size=1, max_size=5)),
    st.tuples(st.just("hits"), st.lists(_hit, min_size=1, max_size=5)),
    st.tuples(st.just("delivered"), _who, st.sampled_from([1, 30, 60, 120])),
    st.tuples(st.just("refused"), _who),
)


def make_story(db: Database) -> list[int]:
    """Store a campaign of its own; give the ids of its deliveries."""
    with db.transaction() as session:
        if not session.query(Campaign).count():
            make_policy(session)
        topic = make_topic(session)
        campaign = make_campaign(
            session, topic, first_hand_over_at=SENT, report_zone="Asia/Kolkata"
        )
        people = [make_recipient(session) for _ in range(PEOPLE)]
        return make_sent(session, campaign, people, at=SENT)


def as_fetch(hit: Hit) -> Fetch:
    return Fetch(
        hit.delivery >> 32,
        hit.delivery,
        hit.at,
        OpenKind(hit.kind),
        Reason.NOT_TOLD,
        RULESET,
        Client(hit.client),
        hit.country,
    )


def play(db: Database, ids: list[int], script: Script, recount: Recount) -> None:
    """Let the same happen to the product and to the recount."""
    calls = Calls()
    for word, *rest in script:
        if word == "hits":
            hits = [
                Hit(ids[who], SENT + timedelta(seconds=after), kind, client, country)
                for who, after, kind, client, country in rest[0]
            ]
            with db.transaction(Gate.USING) as session:
                opens.record(session, map(as_fetch, hits), calls)
            recount.hits(hits)
        elif word == "delivered":
            at = SENT + timedelta(seconds=rest[1])
            deliver(db, ids[rest[0]], at)
            recount.tell(ids[rest[0]], at)
        else:
            with db.transaction(Gate.TAKING) as session:
                person = session.get_one(Delivery, ids[rest[0]]).recipient_id
                opens.silence(session, person or 0)
            recount.refuse(ids[rest[0]])


def deliver(db: Database, delivery_id: int, at: datetime) -> None:
    with db.transaction() as session:
        known = session.get(MailboxFact, (delivery_id, "delivered"))
        if known is None:
            fact = MailboxFact(delivery_id=delivery_id, event="delivered", occurred_at=at)
            session.add(fact)
            session.flush()
            opens.delivered(session, [delivery_id])
        else:
            known.occurred_at = min(known.occurred_at, at)


def assert_equal(session: Session, ids: list[int], recount: Recount) -> None:
    campaign_id = ids[0] >> 32
    rollup = session.query(OpenRollup).where(OpenRollup.campaign_id == campaign_id)
    cells = Counter({(row.dimension, row.value, row.kind): row.n for row in rollup})
    assert +cells == +recount.cells
    assert min(cells.values(), default=0) >= 0
    totals = session.query(MeasuredTotal).where(MeasuredTotal.campaign_id == campaign_id)
    assert +Counter({row.bits: row.n for row in totals}) == +recount.totals
    rows = session.query(Open).where(Open.delivery_id.in_(ids))
    assert {(row.delivery_id, row.kind) for row in rows} == {
        (one, kind) for one, person in recount.people.items() for kind in person.rows
    }
    measured = session.query(Measured).where(Measured.delivery_id.in_(ids))
    assert {row.delivery_id: row.bits for row in measured} == {
        one: person.bits for one, person in recount.people.items() if not person.refused
    }
    kept = session.query(UndecidedOpen).where(UndecidedOpen.delivery_id.in_(ids))
    assert {row.delivery_id for row in kept} == {
        one for one, person in recount.people.items() if person.kept
    }


def test_every_number_is_that_of_the_recount(db: Database) -> None:
    @settings(
        max_examples=HISTORIES or 12,
        derandomize=not HISTORIES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(_step, min_size=1, max_size=10))
    def check(script: Script) -> None:
        ids = make_story(db)
        recount = Recount(dict.fromkeys(ids, SENT))
        play(db, ids, script, recount)
        with db.reading() as session:
            assert_equal(session, ids, recount)

    check()


PAIRS = 30
EARLY, LATE = SENT + timedelta(seconds=20), SENT + timedelta(seconds=90)


def count_all(db: Database, ids: list[int], at: datetime) -> None:
    for start in range(0, len(ids), 5):
        part = [as_fetch(Hit(one, at, 1)) for one in ids[start : start + 5]]
        with db.transaction(Gate.USING) as session:
            opens.record(session, part)


def tell_all(db: Database, ids: list[int], hashes: dict[int, bytes]) -> None:
    for start in range(0, len(ids), 5):
        told = [event_of(one, hashes[one], EARLY) for one in ids[start : start + 5]]
        with db.transaction() as session:
            events.store_and_apply(session, told, now=LATE)


@pytest.mark.parametrize("first", [1, 2, None])
def test_pixel_and_vendor_at_once_never_disagree(db: Database, first: int | None) -> None:
    """Hits before and after the delivery, in two threads, while the webhook tells of it."""
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session), first_hand_over_at=SENT)
        people = [make_recipient(session) for _ in range(PAIRS)]
        ids = make_sent(session, campaign, people, at=SENT)
        hashes = {one: person.address_hash for one, person in zip(ids, people, strict=True)}
    works = [
        partial(count_all, db, ids, EARLY),
        partial(count_all, db, ids, LATE),
        partial(tell_all, db, ids, hashes),
    ]
    if first is not None:
        works[first]()
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result(timeout=60)
    with db.reading() as session:
        totals = {row.bits: row.n for row in session.query(MeasuredTotal) if row.n}
        assert totals == {opens.DELIVERED | opens.HUMAN | opens.FETCHED: PAIRS}
        kinds = Counter(row.kind for row in session.query(Open))
        assert kinds == {OpenKind.SCANNER: PAIRS, OpenKind.DIRECT: PAIRS}
        hours = session.query(OpenRollup).where(OpenRollup.dimension == "hour")
        assert sum(row.n for row in hours) == 2 * PAIRS
        assert session.query(UndecidedOpen).count() == 0


def event_of(delivery_id: int, address_hash: bytes, at: datetime) -> VendorEvent:
    return VendorEvent(
        kind=Event.DELIVERED,
        vendor_word="delivered",
        occurred_at=at + timedelta(seconds=20),
        natural_key=f"{delivery_id:032x}",
        event_id=f"event-{delivery_id}",
        delivery_id=delivery_id,
        campaign_id=delivery_id >> 32,
        attempt=None,
        address_hash=address_hash,
    )


def test_what_a_refusal_takes_stays_in_every_sum(db: Database) -> None:
    ids = make_story(db)
    with db.transaction(Gate.USING) as session:
        opens.record(session, [as_fetch(Hit(one, SENT + timedelta(hours=1), 1)) for one in ids])
    with db.reading() as session:
        before = sums(session)
    with db.transaction(Gate.TAKING) as session:
        for person in session.query(Recipient.id).all():
            opens.silence(session, person.id)
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(Measured).count() == 0
        assert sums(session) == before


def sums(session: Session) -> list[tuple[Any, ...]]:
    cells = session.query(
        OpenRollup.campaign_id,
        OpenRollup.dimension,
        OpenRollup.value,
        OpenRollup.kind,
        OpenRollup.n,
    )
    totals = session.query(MeasuredTotal.campaign_id, MeasuredTotal.bits, MeasuredTotal.n)
    return sorted(map(tuple, cells)) + sorted(map(tuple, totals))


@pytest.mark.parametrize("first", ["pixel", "vendor"])
def test_whoever_comes_second_waits_and_sees_what_the_first_wrote(db: Database, first: str) -> None:
    """The second reads while the first has written and not yet committed."""
    ids = make_story(db)[:1]
    started = threading.Event()

    def second() -> None:
        started.set()
        if first == "pixel":
            deliver(db, ids[0], EARLY + timedelta(seconds=20))
        else:
            count_all(db, ids, EARLY)

    with ThreadPoolExecutor(1) as pool:
        gate = Gate.USING if first == "pixel" else Gate.NONE
        with db.transaction(gate) as session:
            if first == "pixel":
                opens.record(session, [as_fetch(Hit(ids[0], EARLY, 1))])
            else:
                at = EARLY + timedelta(seconds=20)
                session.add(MailboxFact(delivery_id=ids[0], event="delivered", occurred_at=at))
                session.flush()
                opens.delivered(session, ids)
            done = pool.submit(second)
            assert started.wait(5)
            with pytest.raises(TimeoutError):
                done.result(timeout=0.3)
        done.result(timeout=20)
    with db.reading() as session:
        assert [row.kind for row in session.query(Open)] == [OpenKind.SCANNER]
        assert session.get_one(Measured, ids[0]).bits == opens.DELIVERED
        totals = {row.bits: row.n for row in session.query(MeasuredTotal) if row.n}
        assert totals == {0: PEOPLE - 1, opens.DELIVERED: 1}
        assert session.query(UndecidedOpen).count() == 0
