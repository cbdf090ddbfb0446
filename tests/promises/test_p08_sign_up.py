"""P8, for people who sign up: nothing before the mailbox's owner says yes, and proof of that."""

import re

from mailprefs import consent, privacy, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Gate
from mailprefs.jobs.retention import Retention
from mailprefs.policy import AddressOrigin, Source
from mailprefs.privacy import Asked
from mailprefs.schema.choices import PolicyVersion, Wording
from mailprefs.schema.people import Recipient, SignUp
from mailprefs.web.sign_up import WORDS
from tests.company import BASE, ONE_CLICK, Arrived, Company

ADA, BO = "ada@example.org", "bo@example.org"
_LINK = re.compile(rf"{BASE}(/c/\S+)")


def sign_up(company: Company, address: str, *topics: str) -> None:
    data = {"address": address, "topic": list(topics) or ["newsletter"]}
    assert company.client.post("/subscribe", data=data).status_code == 200
    company.work()


def confirmations(company: Company, address: str) -> list[str]:
    """Give the paths of the links in the confirmation mails of one mailbox, in order."""
    found = [_LINK.search(one.text) for one in mails(company, address)]
    return [one[1] for one in found if one]


def mails(company: Company, address: str) -> list[Arrived]:
    return [one for one in company.arrived() if one.address == address]


def say_yes(company: Company, address: str, *topics: str) -> None:
    path = confirmations(company, address)[-1]
    company.client.post(path, data={"topic": list(topics) or ["newsletter"]})
    company.work()


def test_nothing_but_one_mail_comes_before_the_owner_says_yes(company: Company) -> None:
    sign_up(company, ADA)
    sign_up(company, ADA)
    (mail,) = mails(company, ADA)
    assert mail.message_class == "administrative"
    assert mail.pixel is None
    company.bring(BO)
    assert company.readers(company.send()) == [BO]


def test_programs_that_open_every_link_confirm_nothing(company: Company) -> None:
    sign_up(company, ADA)
    (mail,) = mails(company, ADA)
    for path in re.findall(rf"{BASE}(/[^\s\"<>)]*)", mail.text + mail.html):
        company.client.get(path)
        company.client.head(path)
    assert company.person(ADA).address_origin is AddressOrigin.UNCONFIRMED
    company.bring(BO)
    assert company.readers(company.send()) == [BO]


def test_after_the_yes_comes_a_welcome_once_and_then_what_was_picked(company: Company) -> None:
    sign_up(company, ADA)
    say_yes(company, ADA)
    say_yes(company, ADA)
    assert len(mails(company, ADA)) == 2
    company.bring(BO, topic="offers")
    assert company.readers(company.send()) == [ADA]
    assert company.readers(company.send("offers")) == [BO]


def test_the_proof_has_the_words_the_policy_and_both_acts(company: Company) -> None:
    before = company.clock()
    sign_up(company, ADA)
    after = company.clock()
    company.clock.pass_by(hours=1)
    say_yes(company, ADA)
    with company.db.reading() as session:
        history = consent.history(session, company.person(ADA).id)
        first, second = (one.entry for one in history)
        for entry in (first, second):
            assert entry.source is Source.SIGN_UP
            assert entry.actor == "self"
            assert entry.wording is not None
            assert session.get_one(Wording, entry.wording.id).text == WORDS
            assert session.get_one(PolicyVersion, entry.policy_version_id).version == "first"
        assert consent.verify(session) == 2
    assert (first.new, first.method) == ("pending", "ticked_checkbox")
    assert before <= first.occurred_at <= after < second.occurred_at
    assert (second.new, second.method) == ("subscribed", "confirmation_link")


def test_a_stranger_brings_nobody_back_and_the_owner_does(company: Company) -> None:
    company.bring(ADA, BO)
    company.client.post(company.message(company.send(), ADA).one_click, data=ONE_CLICK)
    sign_up(company, ADA)
    assert company.readers(company.send()) == [BO]
    say_yes(company, ADA)
    assert company.readers(company.send()) == [ADA, BO]


def test_who_was_erased_comes_back_by_their_own_yes_and_by_no_import(company: Company) -> None:
    company.bring(ADA, BO)
    number = company.person(ADA).id
    asked = Asked(Source.STAFF, CONSOLE, company.parts.hasher)
    with company.db.transaction(Gate.TAKING) as session:
        privacy.erase(session, number, asked, now=company.clock())
    sign_up(company, ADA)
    assert company.person(ADA).id != number
    company.bring(ADA)
    with company.db.reading() as session:
        assert suppressions.of(session, company.parts.hasher.hash(ADA))
    assert company.readers(company.send()) == [BO]
    say_yes(company, ADA)
    assert company.readers(company.send()) == [ADA, BO]


def test_who_never_confirms_is_gone_after_a_month(company: Company) -> None:
    sign_up(company, ADA)
    company.clock.pass_by(days=29)
    sign_up(company, BO)
    clean(company)
    assert people(company) == [ADA, BO]
    company.clock.pass_by(days=2)
    clean(company)
    assert people(company) == [BO]


def test_who_asks_again_within_the_month_can_still_say_yes(company: Company) -> None:
    sign_up(company, ADA)
    company.clock.pass_by(days=29)
    sign_up(company, ADA)
    company.clock.pass_by(days=2)
    clean(company)
    say_yes(company, ADA)
    assert company.readers(company.send()) == [ADA]


def test_nothing_of_a_sign_up_waits_once_it_is_answered(company: Company) -> None:
    sign_up(company, ADA, "newsletter", "offers")
    say_yes(company, ADA)
    with company.db.reading() as session:
        assert session.query(SignUp).count() == 0


def people(company: Company) -> list[str]:
    with company.db.reading() as session:
        return sorted(one.address for one in session.query(Recipient))


def clean(company: Company) -> None:
    """Apply the rules of retention."""
    Retention(db=company.db, zone="UTC", clock=company.clock).now()
