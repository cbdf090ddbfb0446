"""Two of everything at the same moment: what is begun twice happens once."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from mailprefs.audit import Actor
from mailprefs.campaigns import schedule, states
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import freeze
from mailprefs.errors import Conflict
from mailprefs.jobs.dispatch import Office, Worker
from mailprefs.links import Links
from mailprefs.policy import Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, Delivery
from mailprefs.settings import Settings
from tests.factories import make_policy, make_staff, make_topic
from tests.fakes import RecordingVendor
from tests.sending import NOW, count, make_due, make_people, state_of

PEOPLE, AT_ONCE = 40, 4


@pytest.fixture
def number(db: Database) -> int:
    """Give a newsletter that is due."""
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        make_people(session, topic, PEOPLE)
        return make_due(session, topic)


def at_once(work: Callable[[], object], times: int = AT_ONCE) -> list[object]:
    """Do something several times at the same moment; give what each came to, errors too."""
    gate, results = threading.Barrier(times), list[object]()

    def run() -> None:
        gate.wait()
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - what each came to is what is looked at
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_two_presses_of_send_are_one_send(db: Database, number: int) -> None:
    with db.transaction() as session:
        actor = Actor(make_staff(session, Role.SEND).id, "page")
        campaign = session.get_one(Campaign, number)
        campaign.state, campaign.due_at = CampaignState.DRAFT, None

    def press() -> None:
        with db.transaction() as session:
            states.send(session, number, actor, now=NOW, due_at=NOW + timedelta(seconds=60))

    results = at_once(press)
    assert results.count(None) == 1
    assert sum(isinstance(result, Conflict) for result in results) == AT_ONCE - 1


def test_two_presses_of_resume_and_of_cancel_are_one(db: Database, number: int) -> None:
    with db.transaction() as session:
        actor = Actor(make_staff(session, Role.SEND).id, "page")
        campaign = session.get_one(Campaign, number)
        campaign.state, campaign.paused_from = CampaignState.PAUSED, CampaignState.SCHEDULED

    def press(act: Callable[..., None]) -> Callable[[], None]:
        def pressed() -> None:
            with db.transaction(Gate.TAKING) as session:
                act(session, number, actor, now=NOW)

        return pressed

    for act in (states.resume, states.cancel):
        assert at_once(press(act)).count(None) == 1
    assert state_of(db, number) is CampaignState.CANCELLED


def test_what_is_due_is_begun_by_one_of_several_services(db: Database, number: int) -> None:
    def begin() -> list[int]:
        with db.transaction() as session:
            return freeze.begin_due(session, now=NOW)

    results = at_once(begin)
    assert results.count([number]) == 1
    assert results.count([]) == AT_ONCE - 1
    assert state_of(db, number) is CampaignState.FREEZING


def test_what_was_missed_is_held_by_one_of_several_services(db: Database, number: int) -> None:
    def hold() -> list[int]:
        with db.transaction() as session:
            return schedule.hold_missed(session, now=NOW + timedelta(days=1), grace=3_600)

    results = at_once(hold)
    assert results.count([number]) == 1
    assert results.count([]) == AT_ONCE - 1


def test_several_freezes_of_one_campaign_make_one_list(db: Database, number: int) -> None:
    with db.transaction() as session:
        freeze.begin_due(session, now=NOW)

    def steps() -> None:
        while state_of(db, number) is CampaignState.FREEZING:
            with db.transaction() as session:
                freeze.step(session, number, batch_size=3, now=NOW, slice_size=7)

    assert at_once(steps) == [None] * AT_ONCE
    with db.reading() as session:
        assert session.query(Delivery).count() == PEOPLE
        batches = session.query(Batch).order_by(Batch.first_id).all()
    assert sum(batch.n for batch in batches) == PEOPLE
    assert len({batch.first_id for batch in batches}) == len(batches)
    assert count(db, number).pending == PEOPLE


def test_several_services_that_do_everything_at_once_mail_everybody_once(
    db: Database, number: int
) -> None:
    vendor = RecordingVendor()

    def serve() -> None:
        settings = Settings(batch_size=3)
        office = Office(
            db=db, vendor=vendor, links=Links([bytes(range(64))]), settings=settings,
            clock=lambda: NOW,
        )  # fmt: skip
        worker = Worker(office, f"service-{threading.get_ident()}")
        while state_of(db, number) is not CampaignState.FINISHED:
            worker.look_after()
            worker.send_next()

    assert at_once(serve) == [None] * AT_ONCE
    assert len(vendor.addresses) == len(set(vendor.addresses)) == PEOPLE
    assert count(db, number).sent == PEOPLE
