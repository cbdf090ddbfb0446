"""Walks over every route: who may call it is stated, asking changes nothing, links lead on."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
from flask import Flask
from pydantic import SecretStr
from werkzeug.routing import Rule

from mailprefs.app import build, create_app
from mailprefs.db.database import Database
from mailprefs.policy import DataRequest
from mailprefs.settings import Settings
from mailprefs.web import access
from mailprefs.web.parts import Parts
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
    subscribe,
)
from tests.snapshots import snapshot
from tests.web.conftest import ADDRESS_KEY, TOKEN_KEY, NoVendor

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
ASKING_METHODS = {*SAFE_METHODS, "POST"}


@pytest.fixture
def parts(tmp_path: Path, database_url: str) -> Iterator[Parts]:
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        token_keys=SecretStr(TOKEN_KEY),
        address_key=SecretStr(ADDRESS_KEY),
    )
    made = build(settings, vendor=NoVendor())
    with made.db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        person = make_recipient(session, hasher=made.hasher)
        subscribe(session, person, topic)
        make_sent(session, make_campaign(session, topic), [person])
    yield made
    made.spool.close()
    made.db.close()


@pytest.fixture
def app(parts: Parts) -> Flask:
    return create_app(parts)


def filled(rule: Rule, parts: Parts) -> str:
    """Give an address of *rule*, with a good token where it takes one and 1 elsewhere."""
    tokens = {
        "pixel": parts.links.open_path(1 << 32 | 1),
        "unsubscribe": parts.links.unsubscribe_path(1, 1, 1 << 32 | 1),
        "preferences": parts.links.preferences_path(1, 1 << 32 | 1),
        "erasure": parts.links.request_path(DataRequest.ERASE, bytes(16)),
        "exports": parts.links.request_path(DataRequest.EXPORT, bytes(16)),
        "confirmations": parts.links.confirm_path(1, 2**32 - 1),
    }
    good = tokens.get(rule.endpoint.partition(".")[0], "/x/x")[3:]
    values = {name: good if name == "token" else "1" for name in rule.arguments}
    values |= rule.defaults or {}
    if rule.endpoint == "static":
        values = {"filename": "mailprefs.css"}
    return rule.map.bind("localhost").build(
        rule.endpoint, values, method=next(iter(rule.methods or {"GET"}))
    )


def test_every_route_is_public_by_name_or_says_who_may_call_it(app: Flask) -> None:
    unruled = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in access.PUBLIC
        and not access.has_rule(app.view_functions[rule.endpoint])
    }
    assert unruled == set()


def test_the_public_list_names_only_routes_that_exist(app: Flask) -> None:
    assert set(app.view_functions) >= access.PUBLIC


def test_public_routes_lie_apart_from_staff_pages_and_api(app: Flask) -> None:
    """The doors of the staff pages themselves are the only exception."""
    behind = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint in access.PUBLIC and rule.rule.startswith(("/staff", "/api"))
    ]
    assert {rule.rule for rule in behind} <= {"/staff/sign-in", "/staff/sign-in/<path:token>"}


def test_no_route_takes_a_method_that_nobody_expects(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        assert (rule.methods or set()) <= ASKING_METHODS, rule.rule


@pytest.mark.parametrize("method", SAFE_METHODS)
def test_asking_changes_nothing(app: Flask, parts: Parts, method: str) -> None:
    """GET, HEAD and OPTIONS of every route, with links that are good, by whoever."""
    before = snapshot(parts.db)
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        with client.open(filled(rule, parts), method=method) as response:
            assert response.status_code < 500, rule.rule
    assert snapshot(parts.db) == before


def test_the_switch_of_languages_leads_on_from_every_page(app: Flask, parts: Parts) -> None:
    """Also from the answer to a form, good or bad, that was sent to where only forms go."""
    client, seen = app.test_client(), 0
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            path = filled(rule, parts)
            for address in (path, path.replace(".", ".x", 1)):
                form = {"page": "1"} if method == "POST" else None
                with client.open(f"{address}?form=footer", method=method, data=form) as answer:
                    page = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
                for link in re.findall(r'<a href="([^"]+)" lang="ar"', page):
                    seen += 1
                    with client.get(urljoin(f"http://localhost{address}", unescape(link))) as said:
                        if said.status_code == 303 and rule.rule.startswith("/staff"):
                            continue  # to the door of the staff pages
                        assert said.status_code in {200, 404}, (method, rule.rule, link)
                        assert '<html lang="ar" dir="rtl">' in said.get_data(as_text=True), link
    assert seen > 40


def test_what_a_page_was_asked_for_stays_so_in_another_language(app: Flask) -> None:
    page = app.test_client().get("/subscribe?topic=news&lang=de&topic=a%26b").text
    assert '<a href="?topic=news&amp;topic=a%26b&amp;lang=ar" lang="ar"' in page
    long = app.test_client().get("/subscribe", query_string={"topic": "x" * 501}).text
    assert '<a href="?lang=ar" lang="ar"' in long


def test_every_link_that_we_make_leads_to_its_page(app: Flask, parts: Parts) -> None:
    links = parts.links
    made = {
        links.open_path(2**63 - 1): "pixel.show",
        links.loads_path(7): "pixel.show",
        links.unsubscribe_path(1, 1, 1): "unsubscribe.show",
        links.unsubscribe_path(2**63 - 1, 2**63 - 1, 2**63 - 1): "unsubscribe.show",
        links.preferences_path(1, 1): "preferences.show",
        links.preferences_path(2**63 - 1): "preferences.show",
        links.confirm_path(2**63 - 1, 2**32 - 1): "confirmations.show",
        links.request_path(DataRequest.ERASE, bytes(16)): "erasure.show",
        links.request_path(DataRequest.EXPORT, bytes(16)): "exports.show",
        links.sign_in_path(b"n" * 16): "staff.sign_in.link",
    }
    adapter = app.url_map.bind("localhost")
    for path, endpoint in made.items():
        assert adapter.match(path, method="GET")[0] == endpoint
        assert len("https://mail.example.com" + path) < 120
    one_click = adapter.match(links.unsubscribe_path(1, 1, 1), method="POST")
    assert one_click[0] == "unsubscribe.leave"


def test_without_a_database_every_route_answers_and_none_says_yes(parts: Parts) -> None:
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    app = create_app(lost)
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            path = filled(rule, parts)
            with client.open(path, method=method) as response:
                status = response.status_code
            if rule.endpoint in {"pixel.show", "static", "health.robots"}:
                assert status == 200
            else:
                assert status in {302, 303, 400, 401, 403, 404, 503} or method == "GET", rule.rule
