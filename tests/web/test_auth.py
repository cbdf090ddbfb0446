"""Signing in: who gets in, who doesn't, and when a session ends."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask

from mailprefs import staff
from mailprefs.app import create_app
from mailprefs.audit import CONSOLE, SYSTEM
from mailprefs.policy import Role
from mailprefs.web.auth import SESSION_LASTS
from mailprefs.web.parts import Parts
from mailprefs.web.staff.sign_in import TRIES_OF_ONE, WINDOW
from tests.web.conftest import Clock
from tests.web.staff.browsing import BASE, Browser

PASSWORD = "a kettle, a pot and a cup"
Adding = Callable[..., int]


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with little memory: that real hashes are dear is tested with mailprefs.staff."""
    monkeypatch.setattr(staff, "_passwords", PasswordHasher(time_cost=1, memory_cost=64))
    staff._nobodys_hash.cache_clear()  # noqa: SLF001 - made with the other parameters


@pytest.fixture
def browser(app: Flask, parts: Parts) -> Browser:
    return Browser(app, parts)


@pytest.fixture
def add(parts: Parts) -> Adding:
    """Give a function that adds a member of staff with a password and gives their id."""

    def added(email: str = "ada@example.com", password: str | None = PASSWORD) -> int:
        now = parts.clock()
        with parts.db.transaction() as session:
            person = staff.add(session, email, "Ada", [Role.DRAFT], CONSOLE, now=now)
            if password is not None:
                staff.set_password(session, person.id, password, SYSTEM, now=now)
            return person.id

    return added


def link_for(parts: Parts, staff_id: int) -> str:
    with parts.db.transaction() as session:
        return staff.sign_in_link(session, parts.links, staff_id, now=parts.clock())


def is_in(browser: Browser) -> bool:
    return browser.get("/staff/campaigns").status_code == 200


def enter(browser: Browser, email: str = "ada@example.com", password: str = PASSWORD) -> int:
    return browser.post("/staff/sign-in", email=email, password=password).status_code


def test_a_right_password_opens_the_staff_pages(browser: Browser, add: Adding) -> None:
    add()
    assert not is_in(browser)
    assert enter(browser, "ADA@example.com") == 303
    assert is_in(browser)


def test_no_answer_tells_whether_somebody_is_on_the_staff(browser: Browser, add: Adding) -> None:
    add()
    answers = []
    for email in ("ada@example.com", "nobody@example.com", "no address at all", ""):
        response = browser.post("/staff/sign-in", email=email, password="wrong " * 3)
        # The address that was typed stands in the form again; all the rest is the same.
        token = browser.token()
        answers.append((response.status_code, "don’t match" in response.text, bool(token)))
    assert set(answers) == {(401, True, True)}


def test_whoever_has_no_password_yet_cannot_sign_in_with_one(browser: Browser, add: Adding) -> None:
    add(password=None)
    for password in ("", "None", PASSWORD):
        assert enter(browser, password=password) == 401


def test_somebody_who_is_closed_out_is_out_at_once(
    browser: Browser, add: Adding, parts: Parts
) -> None:
    staff_id = add()
    enter(browser)
    assert is_in(browser)
    with parts.db.transaction() as session:
        staff.deactivate(session, staff_id, CONSOLE, now=parts.clock())
    assert not is_in(browser)
    assert enter(browser) == 401


def test_a_new_password_ends_every_other_session(
    app: Flask, parts: Parts, browser: Browser, add: Adding
) -> None:
    add()
    elsewhere = Browser(app, parts)
    for one in (browser, elsewhere):
        enter(one)
    new = "two spoons of Assam"
    changed = browser.post("/staff/account/password", current=PASSWORD, new=new)
    assert "is set" in browser.follow(changed)
    assert is_in(browser)
    assert not is_in(elsewhere)
    assert enter(elsewhere) == 401
    assert enter(elsewhere, password=new) == 303


@pytest.mark.parametrize(
    ("current", "new", "told"),
    [("wrong", "two spoons of Assam", "isn’t right"), (PASSWORD, "short", "at least 12")],
)
def test_a_password_is_changed_only_with_the_old_one_and_a_good_new_one(
    browser: Browser, add: Adding, current: str, new: str, told: str
) -> None:
    add()
    enter(browser)
    response = browser.post("/staff/account/password", current=current, new=new)
    assert response.status_code == 400
    assert told in response.text
    browser.post("/staff/sign-out")
    assert enter(browser) == 303


def test_signing_out_ends_the_session_of_this_browser(browser: Browser, add: Adding) -> None:
    add()
    enter(browser)
    assert "signed out" in browser.follow(browser.post("/staff/sign-out"))
    assert not is_in(browser)


def test_a_one_time_link_signs_in_once_and_only_when_the_button_is_pressed(
    app: Flask, parts: Parts, browser: Browser, add: Adding
) -> None:
    path = link_for(parts, add(password=None))
    for _ in range(3):  # mail scanners open links
        assert browser.get(path).status_code == 200
    assert not is_in(browser)
    assert "Choose a password" in browser.follow(browser.post(path))
    assert is_in(browser)
    other = Browser(app, parts)
    assert other.post(path).status_code == 403
    assert "used already" in other.get(path).text
    assert not is_in(other)


def test_after_a_link_a_password_can_be_chosen_without_an_old_one(
    parts: Parts, browser: Browser, add: Adding
) -> None:
    browser.post(link_for(parts, add(password=None)))
    assert browser.post("/staff/account/password", new=PASSWORD).status_code == 303
    browser.post("/staff/sign-out")
    assert enter(browser) == 303


def test_a_link_dies_after_a_day(parts: Parts, clock: Clock, browser: Browser, add: Adding) -> None:
    path = link_for(parts, add())
    clock.now += timedelta(hours=24, seconds=1)
    assert browser.post(path).status_code == 403
    assert not is_in(browser)


@pytest.mark.parametrize("text", ["x", "A" * 40, "%00", "é", "a" * 3000])
def test_a_damaged_link_gets_a_page_that_says_so(browser: Browser, text: str) -> None:
    for response in (browser.get(f"/staff/sign-in/{text}"), browser.post(f"/staff/sign-in/{text}")):
        assert response.status_code == 404
        assert "damaged" in response.text


def test_after_many_wrong_passwords_even_the_right_one_waits(
    browser: Browser, add: Adding, clock: Clock
) -> None:
    add()
    for _ in range(TRIES_OF_ONE):
        assert enter(browser, password="wrong wrong wrong") == 401
    assert enter(browser) == 429
    clock.now += WINDOW
    assert enter(browser) == 303


def test_a_stranger_who_guesses_does_not_keep_the_owner_out(
    app: Flask, parts: Parts, browser: Browser, add: Adding
) -> None:
    add()
    stranger = Browser(app, parts)
    stranger.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    for _ in range(TRIES_OF_ONE + 1):
        last = enter(stranger, password="wrong wrong wrong")
    assert last == 429
    assert enter(browser) == 303


def test_a_form_without_our_token_changes_nothing(browser: Browser, add: Adding) -> None:
    add()
    form = {"email": "ada@example.com", "password": PASSWORD}
    for extra in ({}, {"csrf_token": ""}, {"csrf_token": "x.y.z"}):
        response = browser.client.post("/staff/sign-in", base_url=BASE, data=form | extra)
        assert response.status_code == 403
        assert "out of date" in response.text
    assert not is_in(browser)


def test_a_token_of_another_browser_is_worth_nothing(
    app: Flask, parts: Parts, browser: Browser
) -> None:
    browser.sign_in_as(Role.DRAFT)
    theirs = Browser(app, parts).token()
    response = browser.client.post("/staff/sign-out", base_url=BASE, data={"csrf_token": theirs})
    assert response.status_code == 403
    assert is_in(browser)


def test_a_session_ends_twelve_hours_after_the_last_request(browser: Browser, add: Adding) -> None:
    add()
    with time_machine.travel("2026-11-22T09:30:00Z", tick=False) as travel:
        enter(browser)
        travel.shift(SESSION_LASTS - timedelta(minutes=1))
        assert is_in(browser)
        travel.shift(SESSION_LASTS - timedelta(minutes=1))
        assert is_in(browser)
        travel.shift(SESSION_LASTS + timedelta(minutes=1))
        assert not is_in(browser)


def test_the_cookie_is_for_this_host_over_https_and_out_of_reach_of_scripts(
    browser: Browser, add: Adding
) -> None:
    add()
    response = browser.post("/staff/sign-in", email="ada@example.com", password=PASSWORD)
    (cookie,) = response.headers.getlist("Set-Cookie")
    name, *attributes = [part.strip() for part in cookie.split(";")]
    assert name.startswith("__Host-mailprefs=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
    assert not any(part.startswith("Domain") for part in attributes)


def test_the_cookie_tells_nothing_of_the_persons_machine(browser: Browser, add: Adding) -> None:
    add()
    enter(browser)
    with browser.client.session_transaction(base_url=BASE) as session:
        assert set(session) <= {"_user_id", "_fresh", "_permanent", "csrf_token", "fs_cc", "fs_paa"}


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/staff/topics", "/staff/topics"),
        ("https://evil.example/staff/", "/staff/campaigns"),
        ("//evil.example/staff/", "/staff/campaigns"),
        ("/\\evil.example", "/staff/campaigns"),
        ("/u/whatever", "/staff/campaigns"),
        ("", "/staff/campaigns"),
    ],
)
def test_signing_in_leads_to_a_staff_page_and_nowhere_else(
    browser: Browser, add: Adding, wanted: str, reached: str
) -> None:
    add()
    response = browser.post(
        "/staff/sign-in", email="ada@example.com", password=PASSWORD, next=wanted
    )
    assert response.headers["Location"] == reached


def test_whoever_is_not_signed_in_is_asked_to_and_then_goes_on(browser: Browser) -> None:
    response = browser.get("/staff/topics")
    assert response.status_code == 303
    assert response.headers["Location"] == "/staff/sign-in?next=/staff/topics"


def test_recipients_pages_neither_set_nor_read_a_cookie(browser: Browser) -> None:
    browser.sign_in_as(Role.ADMIN)
    for path in ("/policy", "/healthz", "/static/mailprefs.css", "/u/x", "/p/x"):
        with browser.get(path) as response:
            assert "Set-Cookie" not in response.headers, path
            assert "Cookie" not in response.headers.get("Vary", ""), path


def test_no_header_and_no_query_stands_in_for_a_session(browser: Browser, add: Adding) -> None:
    add()
    for headers, query in [({"Authentication-Token": "x"}, ""), ({}, "?auth_token=x")]:
        response = browser.client.get(f"/staff/campaigns{query}", base_url=BASE, headers=headers)
        assert response.status_code == 303


def test_while_the_store_is_down_nobody_is_let_in(parts: Parts, browser: Browser) -> None:
    from mailprefs.db.database import Database  # noqa: PLC0415 - one test's own broken store

    browser.sign_in_as(Role.ADMIN)
    cookie = browser.client.get_cookie("__Host-mailprefs", domain="mail.example.com")
    assert cookie is not None
    lost = Browser(create_app(replace(parts, db=Database("postgresql://x@127.0.0.1:1/x"))), parts)
    lost.client.set_cookie("__Host-mailprefs", cookie.value, domain="mail.example.com", secure=True)
    assert lost.get("/staff/campaigns").status_code == 503
