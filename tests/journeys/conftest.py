"""The whole of it on this machine: commands, pages over HTTP, the real adapter, and the sandbox.

The service runs as ``mailprefs run`` does, but for granian: its web application under Werkzeug's
server, and its jobs in threads of this process. Mail goes over HTTP to the sandbox through the
adapter that talks to SendGrid, and signed events come back to the webhook.
"""

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from mailprefs.app import build, create_app
from mailprefs.app.background import Background
from mailprefs.cli.main import main
from mailprefs.db.database import Database
from mailprefs.sandbox.records import Message
from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.settings import PREFIX, load
from tests.journeys.browser import Browser

LONG = 20
MARTA, ILSE, ANA = (f"{name}@example.com" for name in ("marta", "ilse", "ana"))


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - Werkzeug's name
        pass


@dataclass
class Clock:
    """The service's clock: the real time, moved on by tests."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Installation:
    """A company's installation, running."""

    url: str
    sandbox: Sandbox
    db: Database
    folder: Path
    clock: Clock
    said: Callable[[], str] = field(repr=False)

    def run(self, *words: object, status: int = 0) -> str:
        """Run one command of ``mailprefs``; give what it printed."""
        self.said()
        exits = main([str(word) for word in words])
        said = self.said()
        assert exits == status, f"{words}: {exits}: {said}"
        return said.strip()

    def ask(self, *words: object) -> Any:  # noqa: ANN401 - whatever JSON the command prints
        """Run one command with ``--json``."""
        return json.loads(self.run(*words, "--json"))

    def write(self, name: str, content: str) -> Path:
        """Write a file to give to a command."""
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return path

    def bring(self, *rows: str) -> None:
        """Import people by ``address,region`` onto the newsletter."""
        file = self.write("people.csv", "email,country\n" + "\n".join(rows) + "\n")
        self.run("import", file, "--topic", "news", "--source", "Box on the order form")

    def newsletter(self, subject: str, body: str = "Hello.\n") -> int:
        """Write a newsletter at the console and send it to the end; give its number."""
        source = self.write("letter.md", body)
        words = ("--topic", "news", "--subject", subject, "--source", source, "--as", MARTA)
        number = int(self.run("campaign", "create", *words))
        self.run("campaign", "send", number, "--now", "--as", MARTA)
        self.finish(number)
        return number

    def finish(self, number: int) -> None:
        """Wait for a campaign's end, and until the vendor has told everything."""
        self.run("campaign", "wait", number, "--timeout", LONG)
        assert self.sandbox.webhook.wait(LONG)

    def signed_in(self, email: str) -> Browser:
        """Give a browser whose owner has signed in by a one-time link."""
        browser = Browser(self.url)
        page = browser.get(self.run("staff", "link", email))
        assert browser.press(page, "sign in").status == 200
        return browser

    def mail(self, number: int) -> dict[str, Message]:
        """Give what arrived of one campaign, by address; nobody got it twice."""
        found = [
            one for one in self.sandbox.messages if one.custom_args["mp_campaign"] == str(number)
            and one.custom_args["mp_delivery"] != "0"
        ]  # fmt: skip
        assert len({one.email for one in found}) == len(found)
        return {one.email: one for one in found}

    def load(self, message: Message, user_agent: str) -> None:
        """Load the picture of a message as a mail program does."""
        path = re.search(rf'src="({re.escape(self.url)}/o/[^"]+)"', message.html)
        assert path is not None
        request = urllib.request.Request(path[1], headers={"User-Agent": user_agent})
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            assert answer.read().startswith(b"GIF8")

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        ends = time.monotonic() + LONG
        while not holds():
            assert time.monotonic() < ends, "it never came true"
            time.sleep(0.05)


@pytest.fixture
def installation(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Installation]:
    """Give a running installation with topics of both classes, and three people on the staff."""
    with ExitStack() as stack:
        server = stack.enter_context(_listening())
        url = f"http://127.0.0.1:{server.server_port}"
        hook = SandboxSettings(webhook=f"{url}/webhooks/sendgrid/events")
        sandbox = stack.enter_context(Sandbox(hook))
        for name, value in {
            "DATA_DIR": str(tmp_path / "data"),
            "DATABASE_URL": database_url,
            "ENVIRONMENT": "sandbox",
            "BASE_URL": url,
            "SENDGRID_HOST": sandbox.url,
            "SENDGRID_API_KEY": "SG.sandbox.nothing-real-is-sent",
            "SENDGRID_WEBHOOK_KEY": sandbox.webhook.key.public,
            "CONTACT": "hello@example.com",
            "BATCH_SIZE": "20",
        }.items():
            monkeypatch.setenv(f"{PREFIX}{name}", value)
        clock = Clock()

        def said() -> str:
            printed = capsys.readouterr()
            return printed.out + printed.err

        db = Database(database_url)
        stack.callback(db.close)
        one = Installation(url, sandbox, db, tmp_path, clock, said)
        one.run("init", "--admin", MARTA, "--name", "Marta")
        one.run("topic", "add", "news", "--name", "News")
        one.run("topic", "add", "legal", "--class", "administrative", "--name", "Legal")
        one.run("staff", "add", ILSE, "--role", "approve", "--role", "draft")
        one.run("staff", "add", ANA, "--role", "analyse")
        stack.enter_context(_service(server, clock))
        yield one


@contextmanager
def _listening() -> Iterator[BaseWSGIServer]:
    """Take a port; what answers on it is set later."""
    server = make_server("127.0.0.1", 0, _nothing, threaded=True, request_handler=_Quiet)
    yield server
    server.server_close()


def _nothing(environ: object, start_response: Any) -> list[bytes]:  # noqa: ANN401 - a WSGI callable
    start_response("503 Service Unavailable", [])
    return []


@contextmanager
def _service(server: BaseWSGIServer, clock: Clock) -> Iterator[None]:
    """Answer on the server and do the jobs, as ``mailprefs run`` does."""
    parts = replace(build(load()), clock=clock)
    server.app = create_app(parts)
    background = Background(parts, sends=True)
    background.start()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield
    server.shutdown()
    thread.join(LONG)
    background.stop()
    parts.vendor.close()
    parts.db.close()
