"""P12: where the law asks for a person's data, it is kept and given, and that is on record."""

import json

from mailprefs import audit, privacy
from mailprefs.db.database import Gate
from mailprefs.jobs.retention import Retention
from mailprefs.policy import Source
from mailprefs.privacy import Asked, disclosing, disclosures, holds
from mailprefs.privacy.disclosing import Demand
from mailprefs.schema.legal import DisclosureBasis
from mailprefs.schema.people import Recipient
from tests.company import Company

ADA, BO = "ada@example.org", "bo@example.org"
BECAUSE = "Order 12 O 34/27 of the court"
TEN_YEARS = 3_650


def is_known(company: Company, address: str) -> bool:
    with company.db.reading() as session:
        wanted = company.parts.hasher.hash(address)
        return session.query(Recipient).filter_by(address_hash=wanted).count() == 1


def hold(company: Company, address: str) -> int:
    with company.db.transaction(Gate.TAKING) as session:
        number = company.person(address).id
        placed = holds.place(session, number, company.author, reason=BECAUSE, now=company.clock())
        return placed.id


def erase(company: Company, address: str, *, is_child: bool = False) -> None:
    asked = Asked(Source.PREFERENCES, company.author, company.parts.hasher, is_child)
    with company.db.transaction(Gate.TAKING) as session:
        privacy.erase_address(session, address, asked, now=company.clock())


def lift(company: Company, number: int) -> None:
    asked = Asked(Source.STAFF, company.author, company.parts.hasher)
    with company.db.transaction(Gate.TAKING) as session:
        privacy.lift(session, number, asked, because="The case is closed.", now=company.clock())


def demand(company: Company) -> Demand:
    return Demand("Court of Exampletown", BECAUSE, company.author, company.clock(), "UTC")


def test_a_held_person_outlasts_erasure_and_every_rule_and_gets_no_mail(company: Company) -> None:
    company.bring(ADA, BO)
    first = company.send()
    number = hold(company, ADA)
    erase(company, ADA)
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("legal")) == [BO]
    company.bring(ADA)
    assert company.readers(company.send()) == [BO], "no import brings them back meanwhile"

    company.clock.pass_by(days=TEN_YEARS)
    Retention(db=company.db, zone="UTC", clock=company.clock).now()
    with company.db.transaction() as session:
        given = disclosing.of_one(session, company.person(ADA).id, demand(company))
    told = json.loads(given.content)["data"]["data"]
    assert [one["address"] for one in told["person"]] == [ADA]
    assert len(told["choices"]) >= 1
    lift(company, number)
    assert not is_known(company, ADA)
    assert company.readers(first) == [ADA, BO]


def test_a_child_is_erased_also_under_a_hold_and_one_sealed_copy_is_all_there_is(
    company: Company,
) -> None:
    company.bring(ADA, BO)
    number = hold(company, ADA)
    erase(company, ADA, is_child=True)
    assert not is_known(company, ADA)
    with company.db.transaction() as session:
        hasher = company.parts.hasher
        given = disclosing.of_held_child(session, hasher, number, demand(company))
    assert ADA.encode() in given.content
    lift(company, number)
    with company.db.reading() as session:
        assert holds.by_id(session, number).sealed is None


def test_what_is_given_is_on_record_with_its_ground_and_its_reason(company: Company) -> None:
    company.bring(ADA)
    with company.db.transaction() as session:
        given = disclosing.of_one(session, company.person(ADA).id, demand(company))
    with company.db.reading() as session:
        (line,) = disclosures.register(session)
        (noted,) = audit.of(session, ("disclosure", given.number))
    assert (line.basis, line.n, line.reason) == (DisclosureBasis.LAW, 1, BECAUSE)
    assert (noted.reason, noted.staff_id) == (BECAUSE, company.author.staff_id)
