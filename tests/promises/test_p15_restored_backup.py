"""P15: a restored backup mails nobody twice, and nobody who left or was erased after it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from mailprefs import consent, instance, preferences, privacy, suppressions
from mailprefs.app.joining import adoption
from mailprefs.audit import CONSOLE
from mailprefs.db.counters import AHEAD
from mailprefs.db.database import Database, Gate
from mailprefs.errors import Conflict
from mailprefs.instance import Guard
from mailprefs.jobs.adoption import Adopted
from mailprefs.jobs.dispatch import Office, Worker
from mailprefs.policy import Source
from mailprefs.preferences import Door
from mailprefs.privacy import Asked
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver
from mailprefs.schema.instance import InstanceRow
from tests import restoring
from tests.company import Company

pytestmark = pytest.mark.faults

READERS = [f"reader{number}@example.org" for number in range(220)]
LEFT, ERASED, REFUSED = READERS[:100], READERS[100], READERS[101]
DRAFT, CAMPAIGN = 1, 2
DOOR = Door(Source.PREFERENCES, "button")


def guarded(company: Company) -> Worker:
    """Give a worker as the service has it, which asks whether this is the live installation."""
    place = instance.place(company.parts.settings)
    office = Office(
        db=company.db,
        vendor=company.vendor,
        links=company.parts.links,
        settings=company.parts.settings,
        clock=company.clock,
        guard=Guard(company.db, place, company.clock),
    )
    return Worker(office, "test")


def work(company: Company) -> None:
    """Do all the work that a guarded worker does."""
    worker = guarded(company)
    busy = True
    while busy:
        wait = None if (busy := worker.look_after()) else worker.send_next()
        busy = busy or (wait is not None and wait.seconds == 0.0)
    worker.look_after()


def leave(company: Company) -> None:
    """Let a hundred people leave, one refuse to be measured, and one be erased."""
    for address in LEFT:
        with company.db.transaction(Gate.TAKING) as session:
            number = company.person(address).id
            preferences.opt_out_all(session, number, DOOR, now=company.clock())
    with company.db.transaction(Gate.TAKING) as session:
        number = company.person(REFUSED).id
        preferences.set_tracking(session, number, DOOR, granted=False, now=company.clock())
        asked = Asked(Source.STAFF, CONSOLE, company.parts.hasher)
        privacy.erase_address(session, ERASED, asked, now=company.clock())


@pytest.fixture
def restored(company: Company, tmp_path: Path) -> Iterator[Company]:
    """Give a company whose backup was restored after half a campaign, and all that was said."""
    company.bring(*READERS)
    assert company.write(subject="Not sent before the backup") == DRAFT
    assert company.write() == CAMPAIGN
    work(company)
    worker = company.begin(CAMPAIGN, batch_size=20)
    restore = restoring.back_up(company.db, tmp_path)
    for _ in range(6):
        worker.send_next()
    leave(company)
    company.db.close()
    url = restore()
    settings = company.parts.settings.model_copy(update={"database_url": url})
    journal = company.db.journal
    company.parts = replace(company.parts, settings=settings, db=Database(url, journal))
    yield company
    company.db.close()


def adopt(company: Company) -> Adopted:
    adopting = adoption(company.parts, CONSOLE, with_lists=False)
    try:
        return adopting.run()
    finally:
        adopting.db.close()


def test_nobody_is_mailed_before_somebody_adopts_it(restored: Company) -> None:
    before = len(restored.arrived())
    work(restored)
    assert len(restored.arrived()) == before == 120
    why = guarded(restored).send_next()
    assert why is not None
    assert "older than the journal" in (why.reason or "")


def test_after_adopting_nobody_gets_it_twice_and_nobody_who_left_gets_anything(
    restored: Company,
) -> None:
    done = adopt(restored)
    assert done.refusals["promotional"] == 100
    assert (done.refusals["erased"], done.refusals["tracking"]) == (1, 1)
    assert done.unknown == 220
    work(restored)
    assert len(restored.arrived()) == 120
    assert restored.counts(CAMPAIGN).unknown == 220
    again = restored.write(subject="The second frost")
    restored.start(again)
    work(restored)
    assert restored.readers(again) == sorted(set(READERS) - {*LEFT, ERASED})
    assert restored.message(again, REFUSED).pixel is None
    with restored.db.reading() as session:
        hashed = restored.parts.hasher.hash(ERASED)
        assert [one.reason.value for one in suppressions.of(session, hashed)] == ["erased"]
        assert consent.verify(session) > 0


def test_no_number_in_anybodys_link_is_used_again(restored: Company) -> None:
    done = adopt(restored)
    restored.bring("new@example.org")
    assert restored.person("new@example.org").id > AHEAD
    assert done.drafts[DRAFT] > AHEAD
    with restored.db.reading() as session:
        assert session.get_one(Campaign, DRAFT).state is CampaignState.CANCELLED
        assert session.get_one(Campaign, done.drafts[DRAFT]).state is CampaignState.DRAFT
        assert (session.scalar(select(func.max(HandOver.id))) or 0) > AHEAD


def test_a_scheduled_campaign_becomes_a_draft_that_a_person_looks_at(company: Company) -> None:
    company.bring(*READERS[:5])
    number = company.write()
    company.start(number)
    work(company)
    with company.db.transaction() as session:
        # As if the file of the name were another's: a copy, with whatever was planned.
        session.execute(update(InstanceRow).values(name="of-the-other"))
    later = company.write(subject="Planned")
    company.start(later)
    done = adopt(company)
    assert list(done.drafts) == [later]
    work(company)
    assert len(company.arrived()) == 5
    with company.db.transaction() as session:
        assert session.get_one(Campaign, done.drafts[later]).state is CampaignState.DRAFT
    company.start(done.drafts[later])
    work(company)
    assert len(company.arrived()) == 10


def test_a_live_installation_has_nothing_to_adopt(company: Company) -> None:
    company.bring(*READERS[:2])
    number = company.write()
    company.start(number)
    work(company)
    leaver = company.person(READERS[0])
    with company.db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, leaver.id, DOOR, now=company.clock())
    with pytest.raises(Conflict, match="live installation already"):
        adopt(company)
    assert company.readers(number) == sorted(READERS[:2])
