"""What every answer carries to protect its reader."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mailprefs.app import create_app
from mailprefs.web.parts import Parts

PAGES = ["/policy", "/healthz", "/robots.txt", "/nowhere", "/static/mailprefs.css"]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: nothing here depends on which."""
    return sqlite_url


@pytest.mark.parametrize("path", PAGES)
def test_no_page_runs_a_script_or_loads_anything_from_elsewhere(
    client: FlaskClient, path: str
) -> None:
    with client.get(path) as response:
        headers = response.headers
    allowed = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert allowed == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "Set-Cookie" not in headers


def test_pages_stay_in_no_cache_and_the_stylesheet_in_all(client: FlaskClient) -> None:
    assert client.get("/policy").headers["Cache-Control"] == "no-store"
    with client.get("/static/mailprefs.css") as response:
        assert "max-age=31536000" in response.headers["Cache-Control"]


def test_browsers_are_held_to_https_where_there_is_https(parts: Parts, client: FlaskClient) -> None:
    for path in ("/policy", "/o/x.gif"):
        assert client.get(path).headers["Strict-Transport-Security"] == "max-age=31536000"
    plain = parts.settings.model_copy(update={"base_url": "http://127.0.0.1:8400"})
    local = create_app(replace(parts, settings=plain)).test_client()
    for path in ("/policy", "/o/x.gif"):
        assert "Strict-Transport-Security" not in local.get(path).headers


def test_the_session_cookie_is_out_of_everybody_elses_reach(app: Flask) -> None:
    assert app.config["SESSION_COOKIE_SECURE"] is True
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert app.config["SESSION_COOKIE_NAME"].startswith("__Host-")


def test_crawlers_are_asked_to_stay_away(client: FlaskClient) -> None:
    assert client.get("/robots.txt").text == "User-agent: *\nAllow: /archive\nDisallow: /\n"
