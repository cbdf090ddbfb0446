"""P11: who is erased is gone everywhere, and nothing brings them back."""

import csv
import logging
from collections.abc import Callable, Sequence

import pytest

from mailprefs import events, privacy, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.campaigns import states
from mailprefs.db.database import Gate
from mailprefs.deliveries import single
from mailprefs.jobs.erasures import LONGEST_FREEZE, Erasures
from mailprefs.jobs.imports import run as imports
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import ImportResult, Progress
from mailprefs.policy import Source, SuppressionReason
from mailprefs.privacy import Asked
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import MeasuredTotal, OpenRollup
from mailprefs.schema.people import Recipient
from mailprefs.vendor.message import Event, VendorEvent
from tests import searching
from tests.company import Arrived, Company
from tests.events.reported import event
from tests.sending import NOW

NAME, PLAN = "Adalovelacia", "platinumplanned"
ROWS = 1_200


class Vendor:
    """The vendor's erasure, which takes every order."""

    def __init__(self) -> None:
        self.erased: list[str] = []

    def erase(self, addresses: Sequence[str]) -> None:
        self.erased += addresses


def of_the_last_slice(company: Company) -> str:
    """Give an address whose row comes last in an import, by the order of their hashes."""
    many = (f"ada.of.{number}.lovelace@example.org" for number in range(50_000))
    return max(many, key=company.parts.hasher.hash)


def bring(
    company: Company, people: Sequence[str], ada: str, during: Callable[[], None] = lambda: None
) -> ImportResult:
    """Import people with a name and a plan; let something happen after the first slice."""
    file = company.folder / "customers.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["email", "first_name", "plan"])
        for address in people:
            lines.writerow([address, *((NAME, PLAN) if address == ada else ("Bo", "basic"))])
    happened: list[bool] = []

    def step(now: Progress) -> None:
        if now.rows < len(people) and not happened:
            happened.append(True)
            during()

    order = ImportOrder(
        topic="newsletter", source="Box on the order form", mapping={"plan": "plan"}
    )
    done = imports.run(
        company.db,
        file,
        order,
        hasher=company.parts.hasher,
        actor=company.author,
        clock=company.clock,
        progress=step,
    )
    file.unlink()
    return done


def sums(company: Company) -> list[tuple[object, ...]]:
    """Give all sums that a person was counted in."""
    with company.db.reading() as session:
        return [
            *sorted((one.campaign_id, one.event, one.n) for one in session.query(MailboxTotal)),
            *sorted((one.campaign_id, one.bits, one.n) for one in session.query(MeasuredTotal)),
            *sorted((one.dimension, one.value, one.n) for one in session.query(OpenRollup)),
        ]


def report(company: Company, *told: VendorEvent) -> None:
    """Take events as the webhook does."""
    for part in events.slices(told):
        with company.db.transaction(Gate.TAKING if part.takes else Gate.NONE) as session:
            events.store_and_apply(session, part.events, now=company.clock())


def is_known(company: Company, address: str) -> bool:
    with company.db.reading() as session:
        wanted = company.parts.hasher.hash(address)
        return session.query(Recipient).filter_by(address_hash=wanted).count() == 1


def send_half(company: Company, ada: str) -> tuple[int, Arrived]:
    """Send her a campaign that she opens, pause the next one half way, queue her a message.

    Gives the number of the paused one, and what arrived of the other.
    """
    earlier = company.send(subject='For you, {{ first_name | "friend" }}')
    message = company.message(earlier, ada)
    report(company, delivered(company, message))
    company.load(message)
    later = company.write(subject="The second frost")
    company.begin(later, batch_size=10).send_next()
    number, now = company.person(ada).id, company.clock()
    with company.db.transaction(Gate.TAKING) as session:
        states.pause(session, later, company.author, now=now)
        values = {"note": f"Dear {NAME}"}
        single.queue(session, "fresh_link", number, values, f"again {ada}"[:64], now=now)
    return later, message


def delivered(company: Company, message: Arrived) -> VendorEvent:
    """Give the vendor's word that a message arrived."""
    hashed = company.parts.hasher.hash(message.address)
    at = (company.clock() - NOW).total_seconds() // 86_400 * 86_400
    return event(message.delivery_id, seconds=at, address_hash=hashed)


def erase(company: Company, address: str) -> int:
    asked = Asked(Source.STAFF, CONSOLE, company.parts.hasher)
    with company.db.transaction(Gate.TAKING) as session:
        done = privacy.erase_address(session, address, asked, now=company.clock())
    assert done is not None and done.id is not None
    return done.id


def carry_on(company: Company) -> list[str]:
    """Have the job do what follows; give whom the vendor erased."""
    vendor = Vendor()
    company.clock.pass_by(seconds=LONGEST_FREEZE.total_seconds() + 1)
    job = Erasures(db=company.db, vendor=vendor, hasher=company.parts.hasher, clock=company.clock)
    job.now()
    return vendor.erased


def come_late(company: Company, message: Arrived, ada: str, readers: Sequence[str]) -> None:
    """Let all come that could bring her back: events old and new, a fetch, the same file."""
    report(company, delivered(company, message))
    bounced = event(message.delivery_id, Event.BOUNCED, days=1, type="bounce")
    report(company, bounced)
    company.load(message)
    assert bring(company, [*readers[:40], ada], ada).counts.kept_out == {"erased": 1}


def test_nothing_but_the_keyed_hash_is_left_anywhere(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="mailprefs")
    ada, proofs = of_the_last_slice(company), []
    secrets = (ada, ada.partition("@")[0], NAME, PLAN)
    readers = [f"reader{number}@example.org" for number in range(ROWS)]
    bring(company, [*readers[:40], ada], ada)
    assert searching.found(searching.on_disk(company.db), secrets)
    later, message = send_half(company, ada)

    # She is erased while an import holds her row.
    again = bring(company, [*readers, ada], ada, lambda: proofs.append(erase(company, ada)))
    assert len(proofs) == 1
    assert again.counts.kept_out == {"erased": 1}
    assert carry_on(company) == [ada]
    come_late(company, message, ada, readers)
    with company.db.transaction() as session:
        states.resume(session, later, company.author, now=company.clock())
    company.work()
    assert company.readers(later).count(ada) <= 1
    assert not is_known(company, ada)
    places = [*searching.on_disk(company.db), *searching.files(company.parts.settings.data_dir)]
    assert searching.found([*places, ("the log", caplog.text.encode())], secrets) == []
    with company.db.reading() as session:
        (kept,) = suppressions.of(session, company.parts.hasher.hash(ada))
        assert kept.reason is SuppressionReason.ERASED
        assert privacy.by_id(session, proofs[0]).is_whole


def test_sums_stay_as_they_were_also_when_the_vendor_repeats_itself(company: Company) -> None:
    ada = of_the_last_slice(company)
    bring(company, [ada, *(f"reader{number}@example.org" for number in range(20))], ada)
    _, message = send_half(company, ada)
    before = sums(company)
    assert len(before) >= 3
    erase(company, ada)
    report(company, delivered(company, message))
    company.load(message)
    assert sums(company) == before


def test_whoever_waits_in_a_paused_campaign_is_skipped_as_erased(company: Company) -> None:
    ada = "ada@example.org"
    company.bring(ada, "bo@example.org")
    number = company.write()
    worker = company.begin(number, batch_size=10)
    erase(company, ada)
    worker.send_next()
    assert company.readers(number) == ["bo@example.org"]
    assert company.counts(number).skipped == {"erased": 1}
