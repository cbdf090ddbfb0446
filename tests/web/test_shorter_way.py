"""granian's shorter way to the pixel: the same answer and record, and only for the pixel."""

from typing import Any

import pytest
from flask import Flask
from granian.server import mp
from granian.wsgi import _callback_wrapper

from mailprefs.app.serving import shortened
from mailprefs.web.parts import Parts
from tests.web.test_pixel import DELIVERY, OUTLOOK, hits, links_of_every_sort


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: nothing here depends on which."""
    return sqlite_url


class Wire:
    """Stands where granian sends from; keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, list[tuple[str, str]], bytes]] = []

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.sent.append((status, list(headers), body))

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:  # noqa: ANN401 - whatever gives bytes
        self.sent.append((status, list(headers), b"".join(iter(body.__next__, b""))))


def scope(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "mail",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.5",
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "HTTP_USER_AGENT": OUTLOOK,
        **headers,
    }


def test_the_answer_and_the_record_are_the_same_on_both_ways(app: Flask, parts: Parts) -> None:
    usual, shorter = _callback_wrapper(app, {}), shortened(_callback_wrapper)(app, {})
    for path in links_of_every_sort(parts.links).values():
        wire = Wire()
        assert usual(wire, scope(path)) == shorter(wire, scope(path)) == 200
        first, second = wire.sent
        assert first == second
    records = hits(parts)
    assert len(records) == 4 and records[::2] == records[1::2]


@pytest.mark.parametrize("headers", [{"HTTP_SEC_GPC": "1"}, {"HTTP_DNT": "1"}])
def test_who_objects_is_not_recorded_on_the_shorter_way(
    app: Flask, parts: Parts, headers: dict[str, str]
) -> None:
    wire = Wire()
    shortened(_callback_wrapper)(app, {})(wire, scope(parts.links.open_path(DELIVERY), **headers))
    assert wire.sent[0][0] == 200 and hits(parts) == []


@pytest.mark.parametrize(
    ("application", "options", "log_format"),
    [("app", {"url_path_prefix": "/mail"}, None), ("app", {}, "%(addr)s"), ("behind", {}, None)],
)
def test_it_is_not_taken_where_granian_is_asked_for_more(
    app: Flask, application: str, options: dict[str, Any], log_format: str | None
) -> None:
    usual = object()
    given = app if application == "app" else app.wsgi_app
    assert shortened(lambda *_: usual)(given, options, log_format) is usual  # type: ignore[arg-type]  # stands for what granian made


def test_everything_else_goes_the_usual_way(app: Flask, parts: Parts) -> None:
    asked: list[str] = []

    def usual(protocol: object, request: dict[str, Any]) -> int:
        asked.append(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}")
        return 0

    answer = shortened(lambda *_: usual)(app, {})
    for one in (scope("/o/x.gif", "HEAD"), scope("/o/x.gif", "POST"), scope("/"), scope("/other/")):
        assert answer(Wire(), one) == 0
    assert asked == ["HEAD /o/x.gif", "POST /o/x.gif", "GET /", "GET /other/"]


def test_granian_has_the_place_where_the_shorter_way_begins() -> None:
    """Without it everything works, only slower; a new release of granian is noticed here."""
    assert hasattr(mp, "_wsgi_call_wrap")
