"""Anybody can say that an address is a child's: a person looks at it, and nothing else happens."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from mailprefs import inbound, privacy, recipients
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.inbound import Wish
from mailprefs.policy import Role, Source
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.erasures import ErasureOrder
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.staff import AuditEntry
from mailprefs.web.child_reports import MOST, PATH
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed
from tests.web.staff.browsing import Browser


@pytest.fixture
def browser(app: Flask, parts: Parts) -> Browser:
    made = Browser(app, parts)
    made.sign_in_as(Role.PRIVACY)
    return made


def reports(db: Database) -> list[InboundRow]:
    with db.reading() as session:
        found = session.scalars(select(InboundRow).order_by(InboundRow.id)).all()
        session.expunge_all()
        return list(found)


def is_known(db: Database, reader: Reader) -> bool:
    with db.reading() as session:
        return recipients.by_id(session, reader.id) is not None


def test_a_report_changes_nothing_for_the_person_and_mails_them_nothing(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    client.post(PATH, data={"address": " Jane.Doe@EXAMPLE.com "})
    (report,) = reports(db)
    assert (report.wish, report.recipient_id) == (Wish.CHILD, reader.id)
    assert subscribed(db, reader) == {"newsletter", "events"}
    with db.reading() as session:
        mailed = select(func.count()).where(Delivery.recipient_id == reader.id)
        assert session.scalar(mailed) == 1, "the message of the campaign, and no other"


def test_the_contact_is_told_that_there_is_a_report_and_not_whose(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    client.post(PATH, data={"address": reader.address})
    (report,) = reports(db)
    with db.reading() as session:
        told = session.get_one(SingleValues, report.forward_id).values
    assert "child" in told["title"]
    assert "jane" not in str(told).lower()


def test_the_answer_is_the_same_for_known_unknown_and_reported_addresses(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    addresses = (reader.address, "nobody@example.com", reader.address)
    answers = [client.post(PATH, data={"address": one}) for one in addresses]
    assert {(one.status_code, one.text) for one in answers} == {(200, answers[0].text)}
    assert len(reports(db)) == 2, "a second report of the same address adds nothing"


def test_a_report_that_was_closed_can_be_made_again(
    client: FlaskClient, db: Database, reader: Reader, clock: Clock
) -> None:
    client.post(PATH, data={"address": reader.address})
    with db.transaction() as session:
        inbound.handle(session, 1, CONSOLE, now=clock.now)
    client.post(PATH, data={"address": reader.address})
    closed, new = reports(db)
    assert (closed.body, new.body) == (None, reader.address)


def test_asking_for_the_form_stores_nothing(client: FlaskClient, db: Database) -> None:
    before = snapshot(db)
    assert 'type="email"' in client.get(PATH).text
    assert snapshot(db) == before


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c", "<script>@example.com", "x" * 10_000])
def test_what_is_no_address_is_said_so_and_kept_nowhere(
    client: FlaskClient, db: Database, address: str
) -> None:
    response = client.post(PATH, data={"address": address})
    assert response.status_code == 400
    assert "Please check the address" in response.text
    assert "<script" not in response.text
    assert reports(db) == []


def test_a_visitor_reports_a_few_addresses_an_hour(client: FlaskClient, reader: Reader) -> None:
    for _ in range(MOST):
        assert client.post(PATH, data={"address": reader.address}).status_code == 200
    assert client.post(PATH, data={"address": reader.address}).status_code == 429


def test_staff_see_on_every_page_that_something_waits_and_only_the_opened_one_names_it(
    client: FlaskClient, browser: Browser, reader: Reader
) -> None:
    assert "waiting" not in browser.get("/staff/people").text
    client.post(PATH, data={"address": reader.address})
    assert '1<span class="visually-hidden"> waiting</span>' in browser.get("/staff/people").text
    listed = browser.get("/staff/inbound").text
    assert "A child’s address, says somebody" in listed
    assert reader.address not in listed
    assert reader.address in browser.follow(browser.post("/staff/inbound/1"))


def test_the_button_erases_whoever_it_is_and_nothing_says_afterwards_why(
    client: FlaskClient, browser: Browser, db: Database, reader: Reader
) -> None:
    client.post(PATH, data={"address": reader.address})
    assert browser.post("/staff/inbound/1/erase", typed="erase").status_code == 404, "not opened"
    browser.post("/staff/inbound/1")
    assert browser.post("/staff/inbound/1/erase", typed="yes").status_code == 400
    assert is_known(db, reader)
    assert browser.post("/staff/inbound/1/erase", typed="erase").status_code == 303
    assert not is_known(db, reader)
    assert reports(db) == []
    with db.reading() as session:
        erased = session.scalars(select(ErasureOrder)).one()
        noted = session.scalars(select(AuditEntry)).all()
        texts = [str(one.details) for one in noted] + [one.action for one in noted]
        texts += [str(erased.removed), str(session.scalars(select(SingleValues.values)).all())]
    assert not [one for one in texts if "child" in one.lower() or "report" in one.lower()]


def test_an_address_that_nobody_has_is_kept_out_by_the_same_button(
    client: FlaskClient, browser: Browser, parts: Parts
) -> None:
    client.post(PATH, data={"address": "kim@example.com"})
    browser.post("/staff/inbound/1")
    browser.post("/staff/inbound/1/erase", typed="erase")
    assert reports(parts.db) == []
    with parts.db.reading() as session:
        assert privacy.of(session, parts.hasher, "kim@example.com") is not None


def test_erasing_by_any_other_door_closes_the_report(
    client: FlaskClient, parts: Parts, reader: Reader, clock: Clock
) -> None:
    client.post(PATH, data={"address": reader.address})
    asked = privacy.Asked(Source.STAFF, CONSOLE, parts.hasher)
    with parts.db.transaction(Gate.TAKING) as session:
        privacy.erase_address(session, reader.address, asked, now=clock.now)
    assert reports(parts.db) == []


def test_a_report_is_no_mail_and_a_mail_is_no_report(
    client: FlaskClient, browser: Browser, db: Database
) -> None:
    client.post(PATH, data={"address": "kim@example.com"})
    with db.transaction() as session:
        session.get_one(InboundRow, 1).wish = Wish.OTHER.value
    browser.post("/staff/inbound/1")
    assert browser.post("/staff/inbound/1/erase", typed="erase").status_code == 404
    assert len(reports(db)) == 1


def test_every_recipient_page_leads_to_the_form(
    client: FlaskClient, unsubscribe_path: str, preferences_path: str
) -> None:
    for path in (unsubscribe_path, preferences_path, "/", "/u/damaged", "/no-such-page"):
        assert f'href="{PATH}"' in client.get(path).text
