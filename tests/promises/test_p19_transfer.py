"""P19: in a merger data goes on under the policy of its collection; each disclosure is known."""

import json
from typing import Any
from zipfile import ZipFile

from mailprefs import consent
from mailprefs.jobs.transfer import Transfer
from mailprefs.privacy import disclosures
from mailprefs.privacy.disclosures import Told
from mailprefs.schema.legal import DisclosureBasis
from tests.company import ONE_CLICK, Company

ADA, BO = "ada@example.org", "bo@example.org"
WHY = "The company is sold on the first of April."


def transferred(company: Company) -> dict[str, list[dict[str, Any]]]:
    """Give the lines of each file of a transfer."""
    file = company.folder / "transfer.zip"
    job = Transfer(
        db=company.db,
        actor=company.author,
        clock=company.clock,
        to_whom="Example Holding",
        reason=WHY,
    )
    job.write(file)
    with ZipFile(file) as archive:
        return {
            name: [json.loads(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }


def test_everybody_goes_along_with_every_choice_and_the_policy_it_was_made_under(
    company: Company,
) -> None:
    company.bring(ADA)
    company.clock.pass_by(days=1)
    with company.db.transaction() as session:
        consent.publish_policy(session, "second", "Another one.", now=company.clock())
    company.clock.pass_by(hours=1)
    company.bring(BO)
    company.client.post(company.message(company.send(), ADA).one_click, data=ONE_CLICK)
    found = transferred(company)
    ada, bo = found["people.jsonl"]
    assert (ada["policy"], bo["policy"]) == ("first", "second")
    assert {(one["is"], one["policy"]) for one in ada["choices"] if one["topic"]} == {
        ("subscribed", "first"),
        ("unsubscribed", "second"),
    }
    assert [one["reason"] for one in ada["held_back"]] == ["unsubscribed"]
    assert [(one["is"], one["policy"]) for one in bo["choices"]] == [("subscribed", "second")]
    texts = {one["policy"]: one["text"] for one in found["policies.jsonl"]}
    assert texts["second"] == "Another one."


def test_the_register_knows_every_disclosure_by_its_ground(company: Company) -> None:
    company.bring(ADA, BO)
    company.send()
    transferred(company)
    with company.db.transaction() as session:
        for basis in (DisclosureBasis.AFFILIATE, DisclosureBasis.CONSENT):
            told = Told(basis, "Example Shop", ["address"], 1, "They share the shop.")
            disclosures.record(session, told, company.author, now=company.clock())
    with company.db.reading() as session:
        lines = disclosures.register(session)
    assert [(one.basis.value, one.n) for one in lines] == [
        ("consent", 1),
        ("affiliate", 1),
        ("transfer", 2),
        ("vendor", 2),
    ]
    assert "address" in lines[-1].fields
