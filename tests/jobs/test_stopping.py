"""A stop between the claim and its request: nothing new leaves the house, and nothing is lost."""

import time

from mailprefs.db.database import Database
from mailprefs.deliveries.claim import START_WITHIN
from mailprefs.jobs.dispatch import Office, Worker
from mailprefs.links import Links
from mailprefs.schema.deliveries import HandOver
from mailprefs.settings import Settings
from tests.fakes import RecordingVendor
from tests.sending import check_measured, count, make_frozen


def test_what_was_claimed_as_the_stop_came_is_given_back(db: Database) -> None:
    campaign_id = make_frozen(db, 3)
    vendor = RecordingVendor()
    office = Office(db=db, vendor=vendor, links=Links([b"k" * 32]), settings=Settings())
    office.stopping.set()
    Worker(office, "worker").send_next()
    assert vendor.accepted == []
    assert count(db, campaign_id).pending == 3
    check_measured(db)
    with db.reading() as session:
        assert session.query(HandOver).one().outcome == "given_back"
    office.stopping.clear()
    Worker(office, "another").send_next()
    assert len(vendor.accepted) == 1
    assert count(db, campaign_id).sent == 3


def test_the_vendor_is_told_until_when_a_request_may_begin(db: Database) -> None:
    """Counted from before the claim's commit: to connect may take seconds, and people may leave."""
    make_frozen(db, 3)
    vendor = RecordingVendor()
    before = time.monotonic()
    office = Office(db=db, vendor=vendor, links=Links([b"k" * 32]), settings=Settings())
    Worker(office, "worker").send_next()
    (mailing,) = vendor.accepted
    assert before < mailing.begin_by - START_WITHIN < time.monotonic()
