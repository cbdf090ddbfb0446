"""The API door: a key with the scope, a no and nothing else, stored before it is answered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from sqlalchemy import select
from werkzeug.test import TestResponse

from mailprefs import api_keys, consent, preferences
from mailprefs.app import create_app
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.policy import KeyScope, Role, Source
from mailprefs.preferences import rebuilding
from mailprefs.schema.choices import Suppression
from mailprefs.schema.staff import ApiKey, AuditEntry
from mailprefs.web.api.openapi import document
from mailprefs.web.parts import Parts
from tests.factories import make_recipient
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed
from tests.web.staff.browsing import Browser

PATH = "/api/choices"
Ask = Callable[..., TestResponse]


@pytest.fixture
def key(parts: Parts, clock: Clock) -> str:
    ends = clock.now + timedelta(days=30)
    with parts.db.transaction() as session:
        made = api_keys.add(session, "Shop", [KeyScope.CHOICES], ends, CONSOLE, now=clock.now)
    return made[1]


@pytest.fixture
def ask(client: FlaskClient, key: str) -> Ask:
    def send(body: object, *, text: str = key, to: FlaskClient = client) -> TestResponse:
        headers = {"Authorization": f"Bearer {text}"}
        return to.post(PATH, json=body, headers=headers)

    return send


def leave_all(reader: Reader) -> dict[str, str]:
    return {"address": reader.address.upper(), "leave": "all"}


def described(response: TestResponse) -> Any:  # noqa: ANN401 - whatever JSON came
    """Give an answer that is as the description says."""
    whole = document()
    told = whole["paths"][PATH]["post"]["responses"][str(response.status_code)]
    schema = told["content"]["application/json"]["schema"]
    validator = Draft202012Validator(schema | {"components": whole["components"]})
    validator.validate(response.json)
    return response.json


def test_a_no_is_in_force_when_it_is_answered_and_the_second_changes_nothing(
    ask: Ask, db: Database, reader: Reader
) -> None:
    assert described(ask(leave_all(reader))) == {"changed": True, "on_file": True}
    assert subscribed(db, reader) == set()
    with db.reading() as session:
        entries = [one.entry for one in consent.history(session, reader.id)]
    assert {(one.source, one.source_ref) for one in entries} == {(Source.API, "key 1")}
    before = snapshot(db)
    assert described(ask(leave_all(reader))) == {"changed": False, "on_file": True}
    assert snapshot(db) == before


def test_some_topics_can_be_left_and_measuring_refused(
    ask: Ask, db: Database, reader: Reader
) -> None:
    wish = {"address": reader.address, "leave": ["events"], "refuse": ["open_tracking"]}
    assert described(ask(wish)) == {"changed": True, "on_file": True}
    assert subscribed(db, reader) == {"newsletter"}
    with db.reading() as session:
        assert preferences.current(session, reader.id).tracking.is_no


def test_the_answer_waits_for_requests_that_may_begin(
    ask: Ask, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    where = "mailprefs.web.api.choices.wait_for_requests"
    monkeypatch.setattr(where, lambda _, whom: waited.append(whom))
    ask(leave_all(reader))
    assert waited == [reader.id]


def test_a_no_of_somebody_unknown_is_kept_and_outlives_a_rebuild(
    ask: Ask, parts: Parts, db: Database, reader: Reader
) -> None:
    wish = {"address": "new@example.net", "leave": "all"}
    assert described(ask(wish)) == {"changed": True, "on_file": False}
    assert described(ask(wish)) == {"changed": False, "on_file": False}
    with db.transaction() as session:
        make_recipient(session, "new@example.net", hasher=parts.hasher)
    with db.transaction(Gate.TAKING) as session:
        rebuilding.rebuild(session)
        assert [one.source for one in session.query(Suppression)] == [Source.API]
    assert "new@example.net" not in repr(snapshot(db)["audit_entries"])


BAD: list[object] = [
    {},
    [],
    "all",
    None,
    {"address": "jane.doe@example.com"},
    {"address": "jane.doe@example.com", "leave": []},
    {"address": "jane.doe@example.com", "leave": True},
    {"address": "jane.doe@example.com", "leave": "newsletter"},
    {"address": "jane.doe@example.com", "leave": [1]},
    {"address": "jane.doe@example.com", "leave": "all", "join": ["offers"]},
    {"address": "jane.doe@example.com", "refuse": ["promotional_email"]},
    {"address": "jane.doe@example.com", "refuse": "open_tracking"},
    {"address": "%_'\"<svg>", "leave": "all"},
    {"address": "x" * 10_000, "leave": "all"},
    {"address": 7, "leave": "all"},
    {"address": "jane.doe@example.com", "leave": ["offers"] * 101},
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_anything_but_a_no_is_refused_in_a_sentence_and_changes_nothing(
    ask: Ask, db: Database, reader: Reader, number: int
) -> None:
    before = snapshot(db)
    response = ask(BAD[number])
    assert response.status_code == 400
    assert described(response)["error"].endswith(".")
    assert snapshot(db) == before


def test_what_can_not_be_left_is_told_apart(ask: Ask, db: Database, reader: Reader) -> None:
    before = snapshot(db)
    statuses = {
        "nosuch": 404,
        "account": 409,
    }
    for slug, status in statuses.items():
        response = ask({"address": reader.address, "leave": ["events", slug]})
        assert response.status_code == status
        described(response)
    unknown = ask({"address": "new@example.net", "leave": ["events"]})
    assert unknown.status_code == 404
    assert snapshot(db) == before, "nothing is half done"


def test_only_json_is_read(client: FlaskClient, key: str, reader: Reader) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
        response = client.post(PATH, data=b"{", content_type=content_type, headers=headers)
        assert response.status_code == 400


def test_no_key_no_answer(ask: Ask, db: Database, reader: Reader, clock: Clock, key: str) -> None:
    for text in ("", "mpk_", "mpk_" + "A" * 43, key[:-1], key + "x", "x" * 10_000, "\u00e4"):
        response = ask(leave_all(reader), text=text)
        assert response.status_code == 401, text
        assert response.headers["WWW-Authenticate"] == "Bearer"
        described(response)
    clock.now += timedelta(days=30)
    assert ask(leave_all(reader)).status_code == 401, "it has ended"
    assert subscribed(db, reader) == {"newsletter", "events"}


def test_a_key_without_the_scope_is_no_key_for_this(ask: Ask, db: Database, reader: Reader) -> None:
    with db.transaction() as session:
        session.scalars(select(ApiKey)).one().scopes = []
    response = ask(leave_all(reader))
    assert response.status_code == 403
    assert "scope choices" in described(response)["error"]


def test_a_key_that_was_taken_back_is_refused_from_then_on(
    ask: Ask, parts: Parts, db: Database, reader: Reader
) -> None:
    browser = Browser(create_app(parts), parts)
    browser.sign_in_as(Role.ADMIN)
    assert "Shop" in browser.get("/staff/keys").text
    assert "Taken back" in browser.follow(browser.post("/staff/keys/1/revoke"))
    assert ask(leave_all(reader)).status_code == 401
    with db.reading() as session:
        done = [one.action for one in session.query(AuditEntry).order_by(AuditEntry.id)]
    assert done == ["api_key.added", "api_key.revoked"]


def test_nothing_of_a_key_is_stored_but_its_hash_and_its_last_day(
    ask: Ask, db: Database, reader: Reader, key: str, clock: Clock
) -> None:
    ask(leave_all(reader))
    assert key not in repr(snapshot(db))
    with db.reading() as session:
        assert session.scalars(select(ApiKey.last_used_on)).one() == clock.now.date()


def test_a_lost_database_is_told(parts: Parts, reader: Reader, ask: Ask) -> None:
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    assert ask(leave_all(reader), to=create_app(lost).test_client()).status_code == 503
