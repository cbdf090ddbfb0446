"""Previews and tests: the very message of the send, with links that lead nowhere."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.audit import SYSTEM
from mailprefs.campaigns import drafts, states, testing
from mailprefs.campaigns.drafts import Draft
from mailprefs.errors import BadAddress, BadInput, Conflict, NotAllowed, NotFound
from mailprefs.jobs.dispatch import Office, Worker
from mailprefs.links import Links
from mailprefs.policy import MessageClass
from mailprefs.rendering.person import Person, Rendered, render
from mailprefs.schema.people import Attribute, Recipient, Sender, Topic
from mailprefs.settings import Environment, Settings
from mailprefs.vendor.message import Mailing, Outcome, Verdict
from mailprefs.vendor.sendgrid import SendGrid
from tests import factories, sending
from tests.campaigns.conftest import NEWSLETTER, NOTICE, House
from tests.fakes import RecordingVendor, answer
from tests.snapshots import snapshot

LINKS = Links([sha256(b"the token key of nobody").digest()])
NOW = sending.NOW
RICH = (
    'Hello {{ first_name | "there" }}, you have {{ plan | "no plan" }}.\n\n'
    "{% if city %}\nCome by in {{ city }}.\n{% else %}\nTell us where you live.\n{% endif %}\n"
)
# A path of ours, with its token.
PERSONAL = re.compile(r"https://mail\.example\.com/([oup])/[A-Za-z0-9_.~-]+")
PIXEL = re.compile(r'<img src="https://mail\.example\.com/o/[^"]*" width="1" height="1" alt="">')


@dataclass
class Sent:
    """What the vendor would have made for everybody, by address."""

    messages: dict[str, Rendered]


def send(house: House, settings: Settings, number: int) -> Sent:
    """Send a campaign by the real path, and fill its request in as the vendor does."""
    vendor = RecordingVendor()
    with house.db.transaction() as session:
        campaign = states.find(session, number)
        if campaign.message_class is MessageClass.ADMINISTRATIVE:
            states.approve(session, number, house.bob, now=NOW)
        states.send(session, number, house.ann, now=NOW, due_at=NOW)
        content = drafts.composed(drafts.content(session, campaign))
    office = Office(db=house.db, vendor=vendor, links=LINKS, settings=settings, clock=lambda: NOW)
    worker = Worker(office, "test")
    while worker.look_after():
        pass
    while worker.send_next() is not None:
        pass
    (request,) = vendor.accepted
    return Sent({one.address: render(content, one) for one in request.people})


def reader(session: Session, house: House, **columns: object) -> Recipient:
    (person,) = sending.make_people(session, session.get_one(Topic, house.news_id), 1, **columns)
    return person


def blank(message: Rendered) -> tuple[str, str, str, dict[str, str]]:
    """Give a message without what no two people share: the tokens of its links, and the pixel."""
    html = PIXEL.sub(" ", message.html)
    headers = {name: PERSONAL.sub(r"/\1/", value) for name, value in message.headers.items()}
    return (
        message.subject,
        PERSONAL.sub(r"/\1/", message.text),
        PERSONAL.sub(r"/\1/", html),
        headers,
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"first_name": "Ada", "attributes": {"plan": "gold <&>", "city": "Köln", "n": None}},
        {"first_name": None, "last_name": "", "attributes": {}},
        {"first_name": "Zoë & Søn", "attributes": {"plan": 7, "city": None}},
    ],
    ids=["everything", "nothing", "odd"],
)
@pytest.mark.parametrize("written", [NEWSLETTER, NOTICE], ids=["newsletter", "notice"])
def test_a_preview_is_byte_for_byte_the_message_of_the_send_but_for_links(
    house: House, settings: Settings, written: Draft, columns: dict[str, Any]
) -> None:
    with house.db.transaction() as session:
        for name in ("plan", "city"):
            factories.stored(session, Attribute(name=name, label=name, created_at=NOW))
        person = reader(session, house, **columns)
        address = person.address
    number = house.draft(written, body=RICH, subject='For {{ first_name | "you" }}')
    with house.db.reading() as session:
        known = testing.person_of(session, factories.HASHER, address)
        shown = testing.shown_to(session, LINKS, number, known)
    arrived = send(house, settings, number).messages[address]
    assert blank(shown) == blank(arrived)
    assert bool(PIXEL.search(arrived.html)) is (written is NEWSLETTER)
    assert "/o/" not in shown.html


@pytest.mark.parametrize("written", [NEWSLETTER, NOTICE], ids=["newsletter", "notice"])
def test_links_of_a_preview_and_of_a_test_belong_to_nobody(house: House, written: Draft) -> None:
    with house.db.transaction() as session:
        known = testing.person_of(session, factories.HASHER, reader(session, house).address)
    number = house.draft(written)
    with house.db.reading() as session:
        shown = testing.shown_to(session, LINKS, number, known)
    request = prepare(house, number, person=known)
    (personal,) = request.people
    assert personal.delivery_id == 0
    with house.db.reading() as session:
        content = drafts.composed(drafts.content(session, states.find(session, number)))
    for message in (shown, render(content, personal)):
        everything = message.text + message.html + str(message.headers)
        found = PERSONAL.findall(everything)
        assert "p" in found and "o" not in found
        assert ("u" in found) is (written is NEWSLETTER)
        for match in PERSONAL.finditer(everything):
            token = match[0].rpartition("/")[2]
            if match[1] == "u":
                link = LINKS.read_unsubscribe(token)
                assert (link.recipient_id, link.delivery_id) == (0, 0)
            else:
                opened = LINKS.read_preferences(token)
                assert (opened.recipient_id, opened.delivery_id) == (0, 0)


def prepare(
    house: House,
    number: int,
    address: str = "marta@example.com",
    *,
    person: Person = testing.EXAMPLE,
    settings: Settings | None = None,
) -> Mailing:
    with house.db.transaction() as session:
        return testing.prepare(
            session,
            LINKS,
            number,
            address,
            person=person,
            actor=house.carl,
            now=NOW,
            may_mail=settings.may_mail if settings else None,
        )


def test_a_test_has_somebody_elses_words_and_goes_to_the_address_given(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        known = testing.person_of(
            session, factories.HASHER, reader(session, house, first_name="Grace").address
        )
    request = prepare(house, number, "Marta@Example.com", person=known)
    (personal,) = request.people
    assert (personal.address, personal.name) == ("Marta@example.com", None)
    assert "Grace" in personal.substitutions.values()
    assert known.address not in str(request.people[0][:4])


def test_a_test_is_handed_over_and_counts_nowhere_but_in_the_audit(house: House) -> None:
    number = house.draft()
    before = snapshot(house.db)
    request = prepare(house, number)
    vendor = RecordingVendor()
    testing.hand_over(vendor, request)
    after = snapshot(house.db)
    assert {table for table in after if after[table] != before[table]} == {"audit_entries"}
    assert vendor.addresses == ["marta@example.com"]
    with house.db.reading() as session:
        note = audit.of(session, ("campaign", number))[-1]
    assert (note.action, note.staff_id, note.details) == (
        "campaign.tested",
        house.carl.staff_id,
        {"revision": 1},
    )


@pytest.mark.parametrize("message_class", list(MessageClass))
def test_the_request_of_a_test_is_one_that_the_vendor_takes(
    house: House, message_class: MessageClass
) -> None:
    is_news = message_class is MessageClass.PROMOTIONAL
    request = prepare(house, house.draft(NEWSLETTER if is_news else NOTICE))
    with house.db.reading() as session:
        topic = session.get_one(Topic, house.news_id if is_news else house.legal_id)
        sender = session.get_one(Sender, topic.sender_id)
    assert (request.message_class, request.from_address) == (message_class, sender.from_address)
    refused = SendGrid("SG.of-nobody", "http://127.0.0.1:9", connect_timeout=1, read_timeout=1)
    outcome = refused.hand_over(request)
    assert outcome.verdict is Verdict.NOT_CONNECTED


def test_a_test_that_the_vendor_refuses_says_why(house: House) -> None:
    request = prepare(house, house.draft())
    reason = "The from address does not match a verified sender identity."
    vendor = RecordingVendor([answer(Verdict.NOT_ALLOWED, reason=reason)])
    with pytest.raises(Conflict, match=reason):
        testing.hand_over(vendor, request)
    with pytest.raises(Conflict):
        testing.hand_over(RecordingVendor([Outcome(verdict=Verdict.UNCLEAR)]), request)


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("marta@example.com", True),
        ("Marta@EXAMPLE.com", True),
        ("anybody@example.org", True),
        ("ilse@example.com", False),
        ("marta@mail.example.org", False),
        ("marta@example.com.example.net", False),
    ],
)
def test_tests_obey_the_allow_list_of_staging(
    house: House, settings: Settings, address: str, *, passes: bool
) -> None:
    changes = {"environment": Environment.STAGING, "allow_list": "Marta@example.com, @example.org"}
    staging = settings.model_copy(update=changes)
    number = house.draft()
    if passes:
        assert prepare(house, number, address, settings=staging).people
    else:
        with pytest.raises(BadInput, match="MAILPREFS_ALLOW_LIST"):
            prepare(house, number, address, settings=staging)


def test_staging_without_a_list_mails_nobody_and_production_anybody(settings: Settings) -> None:
    staging = settings.model_copy(update={"environment": Environment.STAGING})
    assert staging.may_mail is not None
    assert not staging.may_mail("marta@example.com")
    assert settings.may_mail is None


def test_a_test_needs_the_role_an_address_and_a_campaign(house: House) -> None:
    number = house.draft()
    with pytest.raises(BadAddress):
        prepare(house, number, "marta")
    with pytest.raises(NotFound):
        prepare(house, number + 1)
    with house.db.transaction() as session, pytest.raises(NotAllowed):
        testing.prepare(
            session, LINKS, number, "marta@example.com", person=testing.EXAMPLE,
            actor=SYSTEM, now=NOW,
        )  # fmt: skip


def test_a_preview_is_of_somebody_known_or_of_an_example(house: House) -> None:
    with house.db.transaction() as session:
        assert testing.person_of(session, factories.HASHER, None) == testing.EXAMPLE
        nameless = reader(session, house, first_name="", last_name="Lovelace")
        assert testing.person_by_id(session, nameless.id).last_name == "Lovelace"
        with pytest.raises(NotFound, match="Nobody has that address"):
            testing.person_of(session, factories.HASHER, "nobody@example.com")
        with pytest.raises(NotFound):
            testing.person_by_id(session, nameless.id + 1)
