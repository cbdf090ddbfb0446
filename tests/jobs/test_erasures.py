"""What follows an erasure: the vendor is asked until it takes the order, the files are clean."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from mailprefs import privacy
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.jobs.erasures import LONGEST_FREEZE, Erasures
from mailprefs.policy import Source
from mailprefs.privacy import Asked, Proof
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.erasures import ErasureOrder
from mailprefs.vendor.erasing import NotTaken
from tests.factories import (
    HASHER,
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
)

ADA, BO = "ada@example.org", "bo@example.org"
ASKED = Asked(Source.STAFF, CONSOLE, HASHER)


class Vendor:
    """A vendor that refuses so often, and takes orders but for those with a bad address."""

    def __init__(self, failures: int = 0, bad: str = "") -> None:
        self.failures, self.bad = failures, bad
        self.erased: list[str] = []
        self.asked = 0

    def erase(self, addresses: Sequence[str]) -> None:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise NotTaken("The vendor answered 500 to the order to erase.")
        if self.bad in addresses:
            raise NotTaken("The vendor answered 400 to the order to erase.", is_refused=True)
        self.erased += addresses


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def erase(db: Database, clock: Clock, *addresses: str) -> list[int]:
    found = []
    for address in addresses:
        with db.transaction(Gate.TAKING) as session:
            make_recipient(session, address)
            done = privacy.erase_address(session, address, ASKED, now=clock.now)
            assert done is not None and done.id is not None
            found.append(done.id)
    return found


def job(db: Database, vendor: Vendor | None, clock: Clock) -> Erasures:
    return Erasures(db=db, vendor=vendor, hasher=HASHER, clock=clock)


def proof(db: Database, number: int) -> Proof:
    with db.reading() as session:
        return privacy.by_id(session, number)


def test_the_vendor_is_asked_once_for_all_and_the_addresses_go(db: Database, clock: Clock) -> None:
    numbers = erase(db, clock, ADA, BO)
    vendor = Vendor()
    clock.now += LONGEST_FREEZE
    job(db, vendor, clock).now()
    job(db, vendor, clock).now()
    assert (vendor.erased, vendor.asked) == ([ADA, BO], 1)
    for number in numbers:
        assert proof(db, number).is_whole
    with db.reading() as session:
        rows = session.query(ErasureOrder).all()
        assert [(one.sealed, one.number) for one in rows] == [(None, None)] * 2


def test_it_is_asked_again_at_growing_intervals_and_the_last_failure_is_shown(
    db: Database, clock: Clock
) -> None:
    (number,) = erase(db, clock, ADA)
    vendor = Vendor(failures=4)
    waits = []
    while not proof(db, number).vendor_took_at:
        asked = vendor.asked
        job(db, vendor, clock).now()
        found = proof(db, number)
        if vendor.asked > asked and found.vendor_took_at is None:
            assert found.failure == "The vendor answered 500 to the order to erase."
            waits.append(found.call_at - clock.now)
        clock.now += timedelta(seconds=30)
    assert waits == [timedelta(minutes=one) for one in (1, 2, 4, 8)]
    assert vendor.erased == [ADA]
    assert proof(db, number).failure is None


def test_one_bad_address_holds_nobody_else_up(db: Database, clock: Clock) -> None:
    numbers = erase(db, clock, ADA, BO, "cy@example.org")
    vendor = Vendor(bad=BO)
    job(db, vendor, clock).now()
    assert sorted(vendor.erased) == [ADA, "cy@example.org"]
    took = [proof(db, number).vendor_took_at is not None for number in numbers]
    assert took == [True, False, True]


def test_without_a_key_it_waits_and_says_so(db: Database, clock: Clock) -> None:
    (number,) = erase(db, clock, ADA)
    job(db, None, clock).now()
    assert "no key" in (proof(db, number).failure or "")


def test_while_it_waits_the_address_stands_nowhere_in_the_clear(db: Database, clock: Clock) -> None:
    erase(db, clock, ADA)
    with db.reading() as session:
        (order,) = session.query(ErasureOrder).all()
        assert order.sealed is not None
        assert b"ada" not in order.sealed


def test_whoever_was_frozen_at_the_moment_of_their_erasure_leaves_the_campaign(
    db: Database, clock: Clock
) -> None:
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session))
        person = make_recipient(session, ADA)
        recipient_id = person.id
    with db.transaction(Gate.TAKING) as session:
        done = privacy.erase(session, recipient_id, ASKED, now=clock.now)
        assert done is not None
    with db.transaction() as session:  # as the freeze of a slice that had read the person before
        campaign = session.merge(campaign)
        (delivery,) = make_sent(session, campaign, [person])
    clock.now += LONGEST_FREEZE
    job(db, Vendor(), clock).now()
    with db.reading() as session:
        assert session.get_one(Delivery, delivery).recipient_id is None


def test_a_reader_in_the_way_only_puts_the_cleaning_off(sqlite_url: str, clock: Clock) -> None:
    db = Database(sqlite_url)
    (number,) = erase(db, clock, ADA)
    with db.reading() as session:
        session.query(Delivery).all()
        job(db, Vendor(), clock).now()
        assert proof(db, number).cleaned_at is None
    job(db, Vendor(), clock).now()
    assert proof(db, number).is_whole
    db.close()
