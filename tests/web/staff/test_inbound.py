"""Inbound mail on the staff pages: for one role, opened one by one, deleted when it is done."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from mailprefs import audit, inbound
from mailprefs.db.database import Database
from mailprefs.jobs.retention import Retention
from mailprefs.policy import Role
from mailprefs.schema.deliveries import SingleValues
from mailprefs.schema.inbound import InboundRow
from mailprefs.settings import OneClickScope
from mailprefs.vendor.message import Attached, InboundMail
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader
from tests.web.staff.browsing import Browser

LETTER = InboundMail(
    sender="Jane <jane.doe@example.com>",
    address="jane.doe@example.com",
    subject="<b>A question</b>",
    text="Where is my order?\n<img src=https://example.net/x.gif>",
    identity="one",
    attachments=(Attached("<i>.html", "text/html"),),
)


@pytest.fixture
def browser(app: Flask, parts: Parts) -> Browser:
    made = Browser(app, parts)
    made.sign_in_as(Role.PRIVACY)
    return made


@pytest.fixture
def number(parts: Parts, reader: Reader, clock: Clock) -> int:
    desk = inbound.Desk(
        links=parts.links,
        hasher=parts.hasher,
        scope=OneClickScope.ALL,
        contact="hello@example.com",
        mailbox="unsubscribe@in.example.com",
        base_url="https://mail.example.com",
    )
    with parts.db.transaction() as session:
        inbound.take(session, desk, LETTER, None, now=clock.now)
        return session.scalars(select(InboundRow.id)).one()


def test_the_list_says_nothing_of_who_and_what(browser: Browser, number: int) -> None:
    page = browser.get("/staff/inbound").text
    assert "Something else" in page
    assert f"Mail {number}" in page
    for secret in ("jane", "question", "order"):
        assert secret not in page.lower()


def test_a_mail_is_opened_on_record_and_shown_as_plain_text(
    browser: Browser, db: Database, number: int
) -> None:
    assert browser.get(f"/staff/inbound/{number}").status_code == 303, "opened by its number alone"
    page = browser.follow(browser.post(f"/staff/inbound/{number}"))
    assert "&lt;b&gt;A question&lt;/b&gt;" in page
    assert "&lt;img src=" in page
    assert "&lt;i&gt;.html" in page
    assert "<img src=https" not in page
    with db.reading() as session:
        (noted,) = audit.of(session, ("inbound_mail", number))
    assert (noted.action, noted.staff_id) == ("inbound_mail.opened", browser.staff_id)


def test_what_is_done_is_deleted_and_stays_known(
    browser: Browser, db: Database, number: int
) -> None:
    browser.post(f"/staff/inbound/{number}")
    assert "Done" in browser.follow(browser.post(f"/staff/inbound/{number}/handled"))
    left = repr(snapshot(db)["inbound_mails"])
    assert "jane" not in left
    assert "order" not in left
    with db.reading() as session:
        assert session.query(SingleValues).count() == 0
        assert inbound.unforwarded(session) is None
    assert "was dealt with" in browser.get(f"/staff/inbound/{number}").text
    assert browser.post(f"/staff/inbound/{number}/handled").status_code == 303


def test_after_thirty_days_nothing_of_a_mail_is_left(
    browser: Browser, db: Database, number: int, clock: Clock
) -> None:
    retention = Retention(db=db, zone="UTC", clock=clock)
    clock.now += timedelta(days=29)
    assert retention.now()["inbound"] == 0
    clock.now += timedelta(days=2)
    assert retention.now()["inbound"] == 1
    with db.reading() as session:
        assert session.query(InboundRow).count() == session.query(SingleValues).count() == 0
    assert browser.post(f"/staff/inbound/{number}").status_code == 404
