"""P8, for imports: where an address came from is kept, with the words and the policy version."""

import hashlib
from pathlib import Path

import pytest

from mailprefs import consent
from mailprefs.audit import CONSOLE
from mailprefs.consent import Recorded
from mailprefs.db.database import Database
from mailprefs.errors import BadInput, Conflict
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import run
from mailprefs.policy import AddressOrigin, Source, SubscriptionState
from mailprefs.schema.choices import PolicyVersion, Wording
from mailprefs.schema.imports import Import
from mailprefs.schema.people import Subscription
from tests import factories
from tests.company import ONE_CLICK, Company

ADA, BO = "ada@example.org", "bo@example.org"
BOX = "“Yes, send me the newsletter” on the order form, not ticked beforehand, since 2024"


def said(company: Company, address: str) -> list[Recorded]:
    with company.db.reading() as session:
        return consent.history(session, company.person(address).id)


def test_every_imported_yes_has_its_proof_in_the_ledger(company: Company) -> None:
    before = company.clock()
    company.bring(ADA, BO, source=BOX)
    for address in (ADA, BO):
        (one,) = said(company, address)
        entry = one.entry
        assert (entry.old, entry.new) == (None, "subscribed")
        assert (entry.source, entry.method) == (Source.IMPORT, "file")
        assert entry.actor == f"staff:{company.author.staff_id}"
        assert before <= entry.occurred_at <= company.clock()
        assert entry.wording is not None
        with company.db.reading() as session:
            words = session.get_one(Wording, entry.wording.id)
            policy = session.get_one(PolicyVersion, entry.policy_version_id)
        assert words.text == BOX
        assert bytes(words.sha256) == entry.wording.sha256 == hashlib.sha256(BOX.encode()).digest()
        assert policy.version == "first"


def test_the_proof_leads_to_the_import_that_brought_it(company: Company) -> None:
    company.bring(ADA, source=BOX)
    (one,) = said(company, ADA)
    assert one.entry.source_ref is not None
    kind, number = one.entry.source_ref.split(":")
    with company.db.reading() as session:
        brought = session.get_one(Import, int(number))
    assert kind == "import"
    assert (brought.source, brought.staff_id) == (BOX, company.author.staff_id)
    assert brought.policy_version_id == one.entry.policy_version_id
    assert brought.finished_at is not None


def test_what_is_on_file_says_the_same(company: Company) -> None:
    company.bring(ADA, source=BOX)
    person = company.person(ADA)
    with company.db.reading() as session:
        row = session.query(Subscription).filter_by(recipient_id=person.id).one()
    (one,) = said(company, ADA)
    assert (row.state, row.source) == (SubscriptionState.SUBSCRIBED, Source.IMPORT)
    assert row.policy_version_id == one.entry.policy_version_id
    assert person.address_origin is AddressOrigin.IMPORTED


def test_the_ledger_as_a_whole_can_be_proved(company: Company) -> None:
    company.bring(ADA, BO)
    with company.db.reading() as session:
        assert consent.verify(session) == 2


def test_a_second_import_of_the_same_adds_no_proof_and_no_yes(company: Company) -> None:
    company.bring(ADA)
    message = company.message(company.send(), ADA)
    company.client.post(message.one_click, data=ONE_CLICK)
    history = said(company, ADA)
    company.bring(ADA, source="The same file, a week later")
    assert said(company, ADA) == history
    assert history[-1].entry.new in {"withdrawn", "unsubscribed"}


@pytest.mark.parametrize("source", ["", "   ", "x" * 2_001])
def test_nobody_is_imported_without_words_of_where_they_agreed(
    company: Company, source: str
) -> None:
    with pytest.raises(BadInput, match="--source"):
        company.bring(ADA, source=source)


def test_nobody_is_imported_before_there_is_a_policy(database_url: str, tmp_path: Path) -> None:
    db = Database(database_url)
    with db.transaction() as session:
        factories.make_topic(session, "newsletter")
    file = tmp_path / "people.csv"
    file.write_text(f"email\n{ADA}\n", encoding="utf-8")
    order = ImportOrder(topic="newsletter", source=BOX)
    with pytest.raises(Conflict, match="policy publish"):
        run(
            db,
            file,
            order,
            hasher=factories.HASHER,
            actor=CONSOLE,
            clock=lambda: factories.BEGINNING,
        )
    db.close()
