"""The stand-in's mail to the service: posted as the vendor does, repeated on 5xx, else dropped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from werkzeug.serving import make_server

from mailprefs.app import create_app
from mailprefs.sandbox import inbound
from mailprefs.sandbox.events import SigningKey
from mailprefs.sandbox.inbound import Letter
from mailprefs.web.parts import Parts
from tests.web.conftest import (  # noqa: F401 - fixtures
    Reader,
    clock,
    db,
    parts,
    reader,
    settings,
    subscribed,
)

LETTER = Letter("jane.doe@example.com", "unsubscribe@in.example.com", "Hello", "")


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[bytes]]]:
    """Run a service that answers with *statuses*, one after the other; give what it got."""
    got: list[bytes] = []
    left = list(statuses)

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(left.pop(0))
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/inbound", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("statuses", "posts", "last"),
    [
        ([200], 1, 200),
        ([503, 500, 200], 3, 200),
        ([503] * 5, 5, 503),
        ([403], 1, 403),
        ([308], 1, 308),
        ([503, 404], 2, 404),
    ],
)
def test_a_mail_is_repeated_on_5xx_and_on_nothing_else(
    statuses: list[int], posts: int, last: int
) -> None:
    slept: list[float] = []
    with answering(*statuses) as (url, got):
        assert inbound.post(url, SigningKey(), LETTER, sleep=slept.append) == last
    assert len(got) == posts
    assert len(set(got)) == 1, "each time the same mail"
    assert slept == [0.25 * 2**n for n in range(posts - 1)]


def test_a_mail_program_fills_in_what_the_header_names_and_the_service_obeys(
    parts: Parts,  # noqa: F811 - the fixture that is imported
    reader: Reader,  # noqa: F811 - the fixture that is imported
) -> None:
    token = parts.links.unsubscribe_path(reader.id, reader.topic_id, reader.delivery_id)[3:]
    key = SigningKey()
    own = {"inbound_mailbox": "unsubscribe@in.example.com", "sendgrid_inbound_key": key.public}
    app = create_app(replace(parts, settings=parts.settings.model_copy(update=own)))
    service = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    try:
        letter = LETTER._replace(subject=f"u-{token}")
        url = f"http://127.0.0.1:{service.server_port}/webhooks/sendgrid/inbound"
        assert inbound.post(url, SigningKey(), letter) == 403
        assert inbound.post(url, key, letter) == 200
    finally:
        service.shutdown()
        thread.join()
    assert subscribed(parts.db, reader) == set()
