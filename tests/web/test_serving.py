"""The service as it runs: one process that serves, counts and ends cleanly when told to."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPResponse
from pathlib import Path

import pytest

from mailprefs.app import serve
from mailprefs.app.serving import hears_once
from mailprefs.db.database import Database
from mailprefs.errors import BadSetting
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.opens import Open
from mailprefs.web.parts import Parts
from tests.web.conftest import ADDRESS_KEY, TOKEN_KEY, Reader, subscribed

SERVE = "from mailprefs.app import serve; serve(host='127.0.0.1', port={port}, worker=False)"
SECONDS = 30.0


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: the server is what is looked at."""
    return sqlite_url


@dataclass
class Service:
    """A server of its own process, and where it listens."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, data=body)
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            assert isinstance(response, HTTPResponse)
            return response.status, response.read()

    def is_up(self) -> bool:
        try:
            return self.ask("/healthz")[0] == 200
        except OSError:
            return False


@pytest.fixture
def service(parts: Parts, reader: Reader, tmp_path: Path) -> Iterator[Service]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "MAILPREFS_DATA_DIR": str(parts.settings.data_dir),
        "MAILPREFS_DATABASE_URL": parts.settings.database,
        "MAILPREFS_TOKEN_KEYS": TOKEN_KEY,
        "MAILPREFS_ADDRESS_KEY": ADDRESS_KEY,
    }
    log = tmp_path / "service.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE.format(port=port)],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        service = Service(process, f"http://127.0.0.1:{port}", log)
        wait_until(service.is_up)
        yield service
    finally:
        process.kill()
        process.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.05)


def test_it_serves_counts_and_ends_when_told(
    service: Service, parts: Parts, db: Database, reader: Reader
) -> None:
    with db.transaction() as session:
        # The server's clock is the real one, and opens count for 90 days.
        session.query(Campaign).update({"first_hand_over_at": datetime.now(UTC), "closed_at": None})
    assert service.ask(parts.links.open_path(reader.delivery_id))[1].startswith(b"GIF89a")
    path = parts.links.unsubscribe_path(reader.id, reader.topic_id, reader.delivery_id)
    assert service.ask(path, b"List-Unsubscribe=One-Click")[0] == 200
    assert subscribed(db, reader) == set()

    def is_counted() -> bool:
        with db.reading() as session:
            return session.query(Open).count() == 1

    wait_until(is_counted)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(SECONDS) == 0
    told = service.log.read_text()
    assert "POST unsubscribe.leave 200" in told
    for token in (path.removeprefix("/u/"), parts.links.open_path(reader.delivery_id)[3:-4]):
        assert token not in told
    assert "127.0.0.1" not in told
    assert "Traceback" not in told


def test_a_port_that_somebody_has_is_not_shared() -> None:
    """Two services on one port would answer in turn, each from a database of its own."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadSetting, match=f"port {port} .*--port"):
            serve(host="127.0.0.1", port=port, worker=False)


def test_a_second_signal_within_the_first_is_let_go() -> None:
    """Told twice at once, by its group and by its parent, the server must not wait for itself."""
    heard: list[int] = []

    def handler(number: int, frame: object) -> None:
        heard.append(number)
        once(number, frame)

    once = hears_once(handler)
    once(signal.SIGTERM, None)
    once(signal.SIGINT, None)
    assert heard == [signal.SIGTERM]
