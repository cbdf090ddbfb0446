"""Every refusal has a status and a calm page; what is unexpected says nothing to strangers."""

import logging
import re

import pytest
from flask import Flask

from mailprefs import errors
from mailprefs.errors import MailprefsError
from mailprefs.web import access
from mailprefs.web.errors import STATUS

SECRETS = ("person@example.com", "/u/SECRETTOKEN", "203.0.113.9")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: nothing here depends on which."""
    return sqlite_url


def every_class(root: type[MailprefsError] = MailprefsError) -> list[type[MailprefsError]]:
    return [root] + [found for kind in root.__subclasses__() for found in every_class(kind)]


def raising(app: Flask, error: Exception, path: str = "/trouble") -> Flask:
    def view() -> str:
        raise error

    app.add_url_rule(
        path, f"trouble{len(app.view_functions)}", access.allowed_by(lambda: None)(view)
    )
    return app


def test_every_class_of_refusal_has_a_status_of_its_own() -> None:
    ours = {kind for kind in every_class() if kind.__module__ == errors.__name__}
    assert ours <= set(STATUS)
    assert all(400 <= status <= 599 for status in STATUS.values())


def test_a_refusal_is_told_in_its_own_words(app: Flask) -> None:
    sentence = "There is already a topic of that name; choose another."
    response = raising(app, errors.Conflict(sentence)).test_client().get("/trouble")
    assert response.status_code == 409
    assert sentence in response.text
    assert "<h1 " in response.text
    assert "hello@example.com" in response.text


def test_words_from_outside_are_shown_as_text(app: Flask) -> None:
    response = raising(app, errors.BadInput("<svg onload=x>")).test_client().get("/trouble")
    assert response.status_code == 400
    assert "<svg" not in response.text
    assert "&lt;svg" in response.text


@pytest.mark.parametrize("path", ["/api/trouble", "/webhooks/trouble"])
def test_programs_get_json(app: Flask, path: str) -> None:
    client = raising(app, errors.NotFound("There is no campaign 7."), path).test_client()
    response = client.get(path)
    assert response.status_code == 404
    assert response.json == {"error": "There is no campaign 7."}


def test_an_unexpected_error_gets_a_reference_and_leaks_nothing(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    error = ZeroDivisionError(" ".join(SECRETS))
    client = raising(app, error, "/u/SECRETTOKEN/oops").test_client()
    with caplog.at_level(logging.DEBUG):
        response = client.get(
            "/u/SECRETTOKEN/oops?email=person@example.com",
            environ_base={"REMOTE_ADDR": "203.0.113.9"},
        )
    assert response.status_code == 500
    found = re.search(r'class="mono">([0-9a-f]{8})<', response.text)
    assert found is not None
    assert f"reference={found[1]}" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    for secret in (*SECRETS, "SECRETTOKEN"):
        assert secret not in caplog.text
        assert secret not in response.text


def test_our_own_broken_setting_is_no_business_of_the_reader(app: Flask) -> None:
    error = errors.BadSetting("MAILPREFS_ADDRESS_KEY is too short.")
    response = raising(app, error).test_client().get("/trouble")
    assert response.status_code == 500
    assert "MAILPREFS" not in response.text


def test_a_lost_database_says_that_nothing_changed_and_when_to_come_back(app: Flask) -> None:
    response = raising(app, errors.StoreUnavailable("lost")).test_client().get("/trouble")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"
    assert "Nothing was changed" in response.text


def test_what_does_not_exist_and_what_is_not_allowed_get_a_page(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/nowhere").status_code == 404
    wrong = client.delete("/policy")
    assert wrong.status_code == 405
    assert "GET" in wrong.headers["Allow"]
    assert "<h1 " in wrong.text


def test_too_large_a_form_is_refused_as_such(app: Flask) -> None:
    def view() -> str:
        from flask import request  # noqa: PLC0415 - only inside a request

        return str(len(request.get_data()))

    app.add_url_rule("/form", "form", access.allowed_by(lambda: None)(view), methods=["POST"])
    response = app.test_client().post("/form", data=b"x" * 300_000)
    assert response.status_code == 413
