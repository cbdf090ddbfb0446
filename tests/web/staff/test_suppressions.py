"""The page of what is held back: numbers, what the vendor tells, what was lifted."""

from datetime import date, timedelta

import pytest

from mailprefs import events, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.policy import Role, Source, SuppressionReason
from mailprefs.schema.events import Reconciliation
from mailprefs.vendor.message import Event, MalformedOne
from mailprefs.web.parts import Parts
from tests.events.reported import event
from tests.factories import BEGINNING, HASHER
from tests.web.staff.browsing import Browser

BECAUSE = "The mailbox is back, says its owner."


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.sign_in_as(Role.SEND)
    return browser


def test_an_installation_that_heard_nothing_yet_says_so(browser: Browser) -> None:
    page = browser.get("/staff/suppressions").text
    assert "Nothing stands against any address." in page
    assert "none yet" in page
    assert "mailprefs reconcile" in page


def test_it_shows_numbers_lifts_and_what_the_vendor_tells(browser: Browser, parts: Parts) -> None:
    with parts.db.transaction() as session:
        for number, reason in enumerate(SuppressionReason):
            for copy in range(number + 1):
                hashed = HASHER.hash(f"p{copy}@example.org")
                suppressions.add(session, hashed, 1, reason, Source.VENDOR, now=BEGINNING)
        suppressions.lift_by_staff(
            session,
            HASHER.hash("p0@example.org"),
            SuppressionReason.HARD_BOUNCE,
            CONSOLE,
            because=BECAUSE,
            now=BEGINNING + timedelta(days=1),
        )
        events.set_aside(session, [MalformedOne("It isn't an object.", "1" * 32)], now=BEGINNING)
        events.store_and_apply(session, [event(None, Event.OPENED)], now=BEGINNING)
        session.add(
            Reconciliation(
                night=date(2026, 1, 5),
                since=BEGINNING,
                started_at=BEGINNING,
                ended_at=BEGINNING,
                found={
                    "lists": {"bounces": {"listed": 12, "new": 3}},
                    "still_listed": [{"recipient": 41, "list": "bounces"}],
                    "missing_there": {"complained": 2},
                },
            )
        )
    page = browser.get("/staff/suppressions").text
    for told in ("The mailbox refuses mail", "Marked a message as spam", BECAUSE):
        assert told in page
    assert "It isn&#39;t an object." in page
    assert "It tracks" in page
    assert "12, 3 of them new here" in page
    assert "recipient 41" in page
    assert "on no list of its: 2" in page


def test_a_comparison_that_failed_says_why(browser: Browser, parts: Parts) -> None:
    with parts.db.transaction() as session:
        session.add(
            Reconciliation(
                night=date(2026, 1, 5),
                since=BEGINNING,
                started_at=BEGINNING,
                ended_at=BEGINNING,
                found={},
                failure="The vendor's suppression lists are closed to our key (403).",
            )
        )
    assert "closed to our key (403)" in browser.get("/staff/suppressions").text
