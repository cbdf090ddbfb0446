"""The pixel: one constant answer for everyone, and a line in the spool for whoever agrees."""

import logging
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import EnvironBuilder, run_wsgi_app

from mailprefs import spool
from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.links import Links
from mailprefs.settings import Settings
from mailprefs.spool import Record
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from mailprefs.web.parts import Parts
from mailprefs.web.pixel import PixelFirst
from tests.web.conftest import Clock

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Wire = tuple[str, list[tuple[str, str]], bytes]

OUTLOOK = (
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.5000; ms-office)"
)
DELIVERY = (7 << 32) + 3


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: nothing here depends on which."""
    return sqlite_url


def hits(parts: Parts) -> list[Record]:
    found: list[Record] = []
    for segment in spool.segments(parts.settings.spool_dir):
        records, _ = spool.read(segment.path, 0, 1000)
        found += records
    return found


class Ask(NamedTuple):
    """Asks as a WSGI server does, and gives all that goes over the wire."""

    app: "WSGIApplication"
    behind: "WSGIApplication"
    """What stands behind the fast path."""

    def __call__(self, path: str, app: "WSGIApplication | None" = None) -> Wire:
        environ = EnvironBuilder(path=path, headers=[("User-Agent", OUTLOOK)]).get_environ()
        body, status, headers = run_wsgi_app(app or self.app, environ, buffered=True)
        return status, list(headers), b"".join(body)


@pytest.fixture
def ask(app: Flask) -> Ask:
    first = app.wsgi_app
    assert isinstance(first, PixelFirst)
    return Ask(first, first.behind)


def links_of_every_sort(links: Links) -> dict[str, str]:
    good = links.open_path(DELIVERY)
    return {
        "good": good,
        "aggregate": links.loads_path(7),
        "garbled": good[:-9] + "AAAAA.gif",
        "unsubscribe's": links.unsubscribe_path(1, 1, DELIVERY).replace("/u/", "/o/"),
        "preferences'": links.preferences_path(1).replace("/p/", "/o/") + ".gif",
        "empty": "/o/",
        "short": "/o/x.gif",
        "long": "/o/" + "A" * 100_000 + ".gif",
        "foreign": "/o/%C3%A4%00%FF..%2F..%2Fetc.gif",
        "upper-cased": "/o/" + good[3:].upper(),
    }


def test_the_answer_is_the_same_whatever_the_link(ask: Ask, parts: Parts) -> None:
    answers = {name: ask(path) for name, path in links_of_every_sort(parts.links).items()}
    assert {name for name, told in answers.items() if told != answers["good"]} == set()
    assert len(hits(parts)) == 2


def test_flask_answers_byte_for_byte_as_the_fast_path_does(ask: Ask, parts: Parts) -> None:
    for path in links_of_every_sort(parts.links).values():
        if path != "/o/":
            assert ask(path, ask.behind) == ask(path)


def test_both_ways_write_the_same_line(ask: Ask, parts: Parts) -> None:
    path = parts.links.open_path(DELIVERY)
    ask(path)
    ask(path, ask.behind)
    first, second = hits(parts)
    assert first == second


def test_the_picture_is_one_transparent_point_and_stays_in_no_cache(client: FlaskClient) -> None:
    response = client.get("/o/anything.gif")
    picture = Image.open(BytesIO(response.data))
    assert picture.format == "GIF"
    assert picture.size == (1, 1)
    assert picture.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]  # RGBA has four parts
    assert response.status_code == 200
    assert response.content_type == "image/gif"
    assert "no-store" in response.headers["Cache-Control"]
    assert "private" in response.headers["Cache-Control"]
    assert "Set-Cookie" not in response.headers
    assert "Location" not in response.headers


def test_a_hit_is_written_down_with_kind_and_client_only(
    client: FlaskClient, parts: Parts, clock: Clock
) -> None:
    client.get(parts.links.open_path(DELIVERY), headers={"User-Agent": OUTLOOK})
    assert hits(parts) == [
        Record(
            subject=DELIVERY,
            is_aggregate=False,
            at_ms=int(clock.now.timestamp() * 1000),
            kind=OpenKind.DIRECT,
            reason=Reason.MAIL_CLIENT,
            client=Client.OUTLOOK,
            country=None,
            ruleset=RULESET,
        )
    ]


def test_a_load_of_the_campaigns_own_pixel_names_the_campaign(
    client: FlaskClient, parts: Parts
) -> None:
    client.get(parts.links.loads_path(7), headers={"User-Agent": OUTLOOK})
    (hit,) = hits(parts)
    assert (hit.subject, hit.is_aggregate) == (7, True)


@pytest.mark.parametrize("ending", ["%20", ">", ")", "%0D%0A", "?utm_source=x", "&amp;x=1", "."])
def test_what_clients_add_to_a_link_is_taken_off(
    client: FlaskClient, parts: Parts, ending: str
) -> None:
    client.get(parts.links.open_path(DELIVERY) + ending)
    assert [hit.subject for hit in hits(parts)] == [DELIVERY]


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_who_asks_not_to_be_tracked_is_not_recorded(
    client: FlaskClient, parts: Parts, header: str
) -> None:
    path = parts.links.open_path(DELIVERY)
    plain = client.get(path)
    before = hits(parts)
    asked = client.get(path, headers={header: "1"})
    assert hits(parts) == before
    assert asked.data == plain.data
    assert list(asked.headers) == list(plain.headers)
    client.get(path, headers={header: "0"})
    assert len(hits(parts)) == len(before) + 1


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_nothing_but_a_get_records_anything(client: FlaskClient, parts: Parts, method: str) -> None:
    response = client.open(parts.links.open_path(DELIVERY), method=method)
    assert response.status_code < 500
    assert hits(parts) == []


def test_a_head_has_the_headers_of_a_get(client: FlaskClient, parts: Parts) -> None:
    path = parts.links.open_path(DELIVERY)
    assert list(client.head(path).headers) == list(client.get(path).headers)


@pytest.mark.parametrize(
    "user_agent", ["", "x" * 1_000_000, "Mozilla\x00/5.0", "\xff\xfe\x80", "ÿ" * 600]
)
def test_no_user_agent_can_break_the_answer(
    app: Flask,
    parts: Parts,
    user_agent: str,
) -> None:
    environ = EnvironBuilder(path=parts.links.open_path(DELIVERY)).get_environ()
    environ["HTTP_USER_AGENT"] = user_agent
    body, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    assert status == "200 OK"
    assert b"".join(body).startswith(b"GIF89a")


def test_no_request_touches_the_database(parts: Parts, client: FlaskClient, db: Database) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise AssertionError("the pixel asked the database")

    db.engine.connect = refuse  # type: ignore[method-assign,assignment]  # whoever asks is caught
    assert client.get(parts.links.open_path(DELIVERY)).status_code == 200
    assert len(hits(parts)) == 1


def test_a_spool_that_fails_is_nothing_to_the_reader(
    settings: Settings, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(spool.Spool):
        def append_hit(self, subject: int, at_ms: int, rest: bytes) -> bool:
            raise OSError("person@example.com /o/secret")

    failing = Failing(settings.spool_dir, sync_seconds=None)
    client = create_app(replace(parts, spool=failing)).test_client()
    with caplog.at_level(logging.DEBUG):
        response = client.get(parts.links.open_path(DELIVERY))
    assert response.status_code == 200
    assert response.data.startswith(b"GIF89a")
    assert failing.lost == 1
    assert "OSError" in caplog.text
    assert "example.com" not in caplog.text


def test_a_full_spool_is_nothing_to_the_reader(parts: Parts, tmp_path: Path) -> None:
    full = spool.Spool(tmp_path / "full", max_bytes=1, sync_seconds=None)
    client = create_app(replace(parts, spool=full)).test_client()
    assert client.get(parts.links.open_path(DELIVERY)).status_code == 200
    assert full.refused == 1
