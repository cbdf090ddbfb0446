"""Joining settings to an application: bad keys are refused, sessions have a key of their own."""

import logging
import re
import secrets
from dataclasses import replace
from hashlib import sha256

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from pydantic import SecretStr

from mailprefs.app import build, create_app, session_key
from mailprefs.db.database import Database
from mailprefs.errors import BadSetting, NotAllowed
from mailprefs.policy import MessageClass
from mailprefs.settings import Settings
from mailprefs.vendor.message import Mailing, People, Verdict
from mailprefs.web import access
from mailprefs.web.parts import Parts


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: nothing here depends on which."""
    return sqlite_url


@pytest.mark.parametrize("name", ["token_keys", "address_key"])
@pytest.mark.parametrize("value", ["", "short", "change-me-" * 8, "0" * 64, "not base64 at all !"])
def test_a_key_that_could_be_guessed_stops_the_start(
    settings: Settings, name: str, value: str
) -> None:
    weak = settings.model_copy(update={name: SecretStr(value)})
    with pytest.raises(BadSetting, match=f"MAILPREFS_{name.upper()}") as caught:
        build(weak)
    assert not value or value not in str(caught.value)


def test_without_the_vendors_key_everything_but_sending_works(settings: Settings) -> None:
    parts = build(settings)
    mailing = Mailing(
        message_class=MessageClass.PROMOTIONAL,
        from_address="news@example.com",
        from_name="News",
        reply_to="news@example.com",
        subject="Hello",
        text="Hello",
        html="<p>Hello</p>",
        campaign_id=1,
        attempt="1",
        people=People.of([]),
    )
    outcome = parts.vendor.hand_over(mailing)
    assert outcome.verdict is Verdict.NOT_ALLOWED
    assert "MAILPREFS_SENDGRID_API_KEY" in outcome.reason
    parts.vendor.close()
    parts.db.close()


def test_no_key_is_shown_when_the_parts_are_printed(parts: Parts, settings: Settings) -> None:
    shown = repr(parts)
    assert settings.token_keys.get_secret_value() not in shown
    assert settings.address_key.get_secret_value() not in shown
    assert str(parts.token_keys[0]) not in shown


def test_sessions_are_signed_with_the_newest_key_and_read_with_older_ones(parts: Parts) -> None:
    older, newer = parts.token_keys[0], secrets.token_bytes(32)

    def visiting(parts: Parts) -> FlaskClient:
        app = create_app(parts)

        @app.get("/visits")
        @access.allowed_by(lambda: None)
        def visits() -> str:
            session["visits"] = session.get("visits", 0) + 1
            return str(session["visits"])

        return app.test_client()

    before = visiting(parts)
    assert before.get("/visits", base_url="https://localhost").text == "1"
    cookie = before.get_cookie("__Host-mailprefs")
    assert cookie is not None

    def visit(cookie_value: str, *keys: bytes) -> str:
        client = visiting(replace(parts, token_keys=keys))
        client.set_cookie("__Host-mailprefs", cookie_value, secure=True)
        return client.get("/visits", base_url="https://localhost").text

    assert visit(cookie.value, older, newer) == "2"
    assert visit(cookie.value, newer) == "1"


def test_the_session_key_is_no_other_key() -> None:
    one, long = sha256(b"one").digest(), sha256(b"two").digest() * 3
    assert len({session_key(one), session_key(long), session_key(long[:64]), one, long}) == 5
    assert len(session_key(long)) == 32


def test_a_view_that_names_nobody_answers_nobody(app: Flask) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    response = app.test_client().get("/forgotten")
    assert response.status_code == 403
    assert "secret" not in response.text


def test_a_views_own_rule_is_asked_each_time(app: Flask) -> None:
    answers = iter([None, NotAllowed("Only for those who may approve.")])

    def rule() -> None:
        if error := next(answers):
            raise error

    app.add_url_rule("/page", "page", access.allowed_by(rule)(lambda: "shown"))
    client = app.test_client()
    assert client.get("/page").text == "shown"
    assert client.get("/page").status_code == 403


def test_the_request_log_names_no_path_no_address_and_no_user_agent(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.get(
            "/u/SECRETTOKEN?x=person@example.com",
            headers={"User-Agent": "Zebra/1"},
            environ_base={"REMOTE_ADDR": "203.0.113.9"},
        )
        client.open("/policy", method="BREW-SECRETTOKEN")
        client.get("/policy")
    assert "GET policy.show 404" in caplog.text
    for secret in ("SECRETTOKEN", "person@", "Zebra", "203.0.113.9"):
        assert secret not in caplog.text


def test_a_monitor_is_told_when_the_database_is_away(parts: Parts) -> None:
    client = create_app(parts).test_client()
    told = client.get("/healthz").get_json()
    who = told.pop("installation")
    assert told == {"status": "ok", "database": "ok"}
    assert re.fullmatch("[0-9a-f]{16}", who)
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    answer = create_app(lost).test_client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json == {
        "status": "degraded",
        "database": "unreachable",
        "installation": who,
    }
