"""The addresses in people's links: they lead here, and nothing stands between."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mailprefs.doctor import reach
from mailprefs.doctor.findings import Finding, Level
from mailprefs.keys import installation_id
from mailprefs.settings import Environment, Settings

KEYS = (b"an older key of thirty-two bytes", b"the key of this installation now")


class Served:
    """What answers, and how."""

    url = ""
    status = 200
    body = b""


@pytest.fixture
def served() -> Iterator[Served]:
    told = Served()
    told.body = json.dumps({"status": "ok", "installation": installation_id(KEYS)}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(told.status if self.path == "/healthz" else 404)
            self.send_header("Location", "https://example.com/healthz")
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


def look(tmp_path: Path, url: str, environment: str = "sandbox") -> Finding:
    settings = Settings(
        data_dir=tmp_path,
        base_url=url,
        environment=Environment(environment),
        sendgrid_host="http://127.0.0.1:9",
    )
    (found,) = reach.of_addresses(settings, KEYS, [])
    return found


def test_an_address_that_leads_here_is_well(tmp_path: Path, served: Served) -> None:
    found = look(tmp_path, served.url)
    assert (found.level, found.sentence) == (Level.OK, f"{served.url} leads here.")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"installation": "0123456789abcdef"}', "leads to another installation"),
        (200, b'{"status": "ok"}', "leads to something that isn't mailprefs"),
        (200, b"<h1>It works!</h1>", "leads to something that isn't mailprefs"),
        (404, b"[]", "leads to something that isn't mailprefs (it answered 404)"),
        (301, b"", "answers with a redirect"),
    ],
)
def test_an_address_that_leads_elsewhere_is_wrong(
    tmp_path: Path, served: Served, status: int, body: bytes, said: str
) -> None:
    served.status, served.body = status, body
    found = look(tmp_path, served.url)
    assert found.level is Level.WRONG
    assert said in found.sentence
    assert found.todo


def test_a_service_whose_database_is_away_is_wrong(tmp_path: Path, served: Served) -> None:
    served.status = 503
    assert "its database is away" in look(tmp_path, served.url).sentence


def test_in_production_plain_http_is_wrong(tmp_path: Path, served: Served) -> None:
    found = look(tmp_path, served.url, "production")
    assert (found.level, "plain http" in found.sentence) == (Level.WRONG, True)


def test_in_production_this_machine_is_no_address_for_readers(tmp_path: Path) -> None:
    found = look(tmp_path, "https://127.0.0.1:8400", "production")
    assert (found.level, "no reader can reach it" in found.sentence) == (Level.WRONG, True)


def test_in_the_sandbox_a_service_that_is_not_running_is_a_warning(tmp_path: Path) -> None:
    found = look(tmp_path, "http://127.0.0.1:9")
    assert found.level is Level.WARNING
    assert "mailprefs run" in found.todo


def test_a_name_that_nobody_resolves_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    found = look(tmp_path, "https://mail.invalid", "production")
    assert (found.level, "can't be resolved" in found.sentence) == (Level.WRONG, True)


def test_each_sender_with_an_address_of_its_own_is_looked_at(
    tmp_path: Path, served: Served
) -> None:
    settings = Settings(
        data_dir=tmp_path, base_url=served.url, environment=Environment.SANDBOX,
        sendgrid_host="http://127.0.0.1:9",
    )  # fmt: skip
    first, second = reach.of_addresses(settings, KEYS, [served.url, "http://127.0.0.1:9"])
    assert (first.level, second.level) == (Level.OK, Level.WARNING)


def test_the_id_of_an_installation_tells_nothing_of_its_keys() -> None:
    told = installation_id(KEYS)
    assert len(told) == 16
    assert told != installation_id(KEYS[:1])
    assert told == installation_id(KEYS[1:]), "the newest key is what counts"
