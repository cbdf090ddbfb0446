"""The staff page of admins, the topics and the audit."""

import html
import re

import pytest
from flask import Flask

from mailprefs import audit, staff
from mailprefs.audit import CONSOLE, Actor
from mailprefs.policy import Role
from mailprefs.web.parts import Parts
from mailprefs.web.staff.lists import PAGE
from tests.factories import make_campaign, make_policy, make_recipient, make_topic, subscribe
from tests.web.staff.browsing import BASE, Browser

LINK = re.compile(r"https://mail\.example\.com(/staff/sign-in/[\w.-]+)")


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.sign_in_as(Role.ADMIN)
    return browser


def roles_of(parts: Parts, staff_id: int) -> frozenset[Role]:
    with parts.db.reading() as session:
        return staff.roles_of(session, staff_id)


def somebody(parts: Parts, *roles: Role) -> int:
    with parts.db.transaction() as session:
        now = parts.clock()
        return staff.add(session, "ben@example.com", "Ben", roles, CONSOLE, now=now).id


def test_whoever_is_added_gets_a_link_that_is_shown_once(
    browser: Browser, app: Flask, parts: Parts
) -> None:
    added = browser.post(
        "/staff/team", name="Ben", email="ben@example.com", role=["draft", "analyse"]
    )
    found = LINK.search(added.text)
    assert found
    assert not LINK.search(browser.get("/staff/team").text)
    ben = Browser(app, parts)
    assert ben.post(found[1]).status_code == 303
    assert ben.get("/staff/campaigns/new").status_code == 200
    assert ben.get("/staff/team").status_code == 403


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"name": "X", "email": "no address"}, "address"),
        ({"name": "X", "email": "ben@example.com"}, "already"),
        ({"name": "X", "email": "new@example.com", "role": "emperor"}, "isn’t a role"),
    ],
)
def test_what_is_wrong_with_a_new_member_is_told(
    browser: Browser, parts: Parts, form: dict[str, str], told: str
) -> None:
    somebody(parts)
    response = browser.post("/staff/team", **form)
    assert response.status_code == 400
    assert told in response.text
    assert not LINK.search(response.text)


def test_exactly_the_ticked_roles_are_held_afterwards(browser: Browser, parts: Parts) -> None:
    ben = somebody(parts, Role.DRAFT, Role.SEND)
    browser.post(f"/staff/team/{ben}/roles", role=["send", "privacy"])
    assert roles_of(parts, ben) == {Role.SEND, Role.PRIVACY}
    browser.post(f"/staff/team/{ben}/roles")
    assert roles_of(parts, ben) == frozenset()


def test_the_last_admin_stays_one(browser: Browser, parts: Parts) -> None:
    response = browser.post(f"/staff/team/{browser.staff_id}/roles", role=["draft"])
    assert response.status_code == 409
    assert "last admin" in response.text
    assert roles_of(parts, browser.staff_id) == {Role.ADMIN}


def test_a_closed_account_ends_sessions_and_opens_again(
    browser: Browser, app: Flask, parts: Parts
) -> None:
    other = Browser(app, parts)
    ben = other.sign_in_as(Role.DRAFT)
    assert other.get("/staff/topics").status_code == 200
    browser.post(f"/staff/team/{ben}/close")
    assert other.get("/staff/topics").status_code == 303
    assert "Open it again" in browser.get("/staff/team").text
    browser.post(f"/staff/team/{ben}/open")
    link = LINK.search(browser.post(f"/staff/team/{ben}/link").text)
    assert link
    assert other.post(link[1]).status_code == 303


def test_topics_show_class_sender_and_how_many_subscribed(browser: Browser, parts: Parts) -> None:
    with parts.db.transaction() as session:
        make_policy(session)
        topic = make_topic(session, "newsletter")
        for _ in range(3):
            subscribe(session, make_recipient(session, hasher=parts.hasher), topic)
    page = browser.get("/staff/topics").text
    assert "<strong>3</strong> subscribed" in page
    assert "Promotional" in page


def test_the_audit_goes_back_page_by_page_and_ends(browser: Browser, parts: Parts) -> None:
    ben = somebody(parts)
    with parts.db.transaction() as session:
        for _ in range(PAGE):
            staff.activate(session, ben, CONSOLE, now=parts.clock())
    first = browser.get("/staff/audit").text
    assert first.count("Staff: activated") == PAGE
    older = re.search(r'href="(/staff/audit\?before=\d+)"', first)
    assert older
    last = browser.get(older[1]).text
    assert "Staff: added" in last
    assert "before=" not in last


def test_the_audit_is_told_in_words_with_times_names_and_nothing_empty(
    browser: Browser, parts: Parts
) -> None:
    ben = somebody(parts, Role.SEND)
    due, request_id = "2026-12-01T08:30:00+00:00", "9f3c1e"
    now = parts.clock()
    with parts.db.transaction() as session:
        topic = make_topic(session, "newsletter", name="Garden post")
        letter = make_campaign(session, topic, name="The first frost")
        for action, subject, details in (
            ("campaign.sent", ("campaign", letter.id), {"due_at": due}),
            ("choice.recorded", ("recipient", 7), {
                "changes": [["promotional_email", topic.id, "unsubscribed"]],
                "request_id": request_id,
            }),
            ("import.finished", ("import", 3), {"added": 1200, "updated": 0, "kept_out": {}}),
            ("sending.started", ("vendor", "pace"), {}),
        ):  # fmt: skip
            audit.record(session, Actor(ben, "page"), action, subject, now=now, details=details)
    page = html.unescape(re.sub(r"<[^>]+>", "", browser.get("/staff/audit").text))
    page = re.sub(r"\s+", " ", page)
    for text in (
        "Ben Campaign: sent“The first frost” (campaign",
        "due at: 1 Dec 2026, 08:30 UTC",
        "Ben Choice: recordedrecipient 7 Garden post: unsubscribed",
        "import 3 added: 1,200 ",
        "Sending: startedall sending",
    ):
        assert text in page, page
    for raw in (due, request_id, "{}", "updated", "kept out", "None"):
        assert raw not in page


def test_markup_in_a_name_stays_text(browser: Browser) -> None:
    browser.post("/staff/team", name="<b>Ben</b>", email="ben@example.com")
    assert "<b>Ben</b>" not in browser.get("/staff/team").text


def test_a_page_that_does_not_exist_says_so(browser: Browser) -> None:
    assert browser.client.get("/staff/nonesuch", base_url=BASE).status_code == 404
