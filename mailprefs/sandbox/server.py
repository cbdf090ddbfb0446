"""The sandbox over HTTP on this machine: connections are kept alive, and may be dropped on purpose.

Werkzeug's own server closes each connection after one answer, so that the adapter's kept
connection would never be tried. This one reads a request whole, and goes on with the next.
"""

import io
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, cast

from werkzeug.datastructures import Headers
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from mailprefs import errors
from mailprefs.sandbox import parts
from mailprefs.sandbox.app import create_sandbox
from mailprefs.sandbox.mail_send import LINE, Line
from mailprefs.sandbox.moods import Mood
from mailprefs.sandbox.records import Message, Received, Search
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.sandbox.webhook import Webhook
from mailprefs.sandbox.wrongs import Wrong
from mailprefs.vendor.preflight.request import MOST_REQUEST_BYTES

_Line = socket.socket | tuple[bytes, socket.socket]
_Address = Any

HOST = "127.0.0.1"
"""The only address that a sandbox listens on."""
LONGEST_IDLE = 75.0
_LONGEST_END = 20.0
# Whoever started the sandbox reads these lines from a pipe, and waits for them.
_say = partial(print, flush=True)


class _Requests(WSGIRequestHandler):
    """Answers one connection's requests, one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = LONGEST_IDLE
    # Without it a small answer waits for the acknowledgement of its own headers.
    disable_nagle_algorithm = True
    _began = 0.0

    def parse_request(self) -> bool:
        """Note when a request's first line was here, before anything else is read of it."""
        self._began = time.time()
        return super().parse_request()

    def run_wsgi(self) -> None:
        """Answer one request with the application, or close the connection if it says so."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return
        environ = self.make_environ()
        body = self._body(int(length))
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        line = environ[LINE] = Line(datetime.fromtimestamp(self._began, UTC))
        content, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        try:
            if line.is_dropped:
                self.close_connection = True
            else:
                self._answer(b"".join(content), status, headers)
        finally:
            if line.ended:
                line.ended(datetime.now(UTC))

    def _body(self, length: int) -> bytes:
        """Read the body, and of one that is too large only so much that it is seen to be so."""
        body = self.rfile.read(min(length, MOST_REQUEST_BYTES))
        left = length - len(body)
        while left > 0 and (skipped := len(self.rfile.read(min(left, 1_000_000)))):
            left -= skipped
        return body

    def _answer(self, content: bytes, status: str, headers: Headers) -> None:
        code, _, reason = status.partition(" ")
        # One date an answer: the account's clock may be told to be wrong.
        (self.send_response_only if "Date" in headers else self.send_response)(int(code), reason)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # Werkzeug's name
        """Log nothing: a path can hold an address that somebody searched for."""


class _Server(ThreadedWSGIServer):
    """A thread for each connection; all of them end with the server."""

    daemon_threads = True

    def __init__(self, port: int, settings: SandboxSettings) -> None:
        self._lines: set[socket.socket] = set()
        self._changed = threading.Condition()
        try:
            listener = socket.create_server((HOST, port), backlog=128)
        except OSError:
            raise errors.BadSetting(
                f"Port {port} of this machine is taken. Stop the program that has it, or choose"
                f" another port for the sandbox, such as --port {port + 1}."
            ) from None
        with listener:
            app = create_sandbox(settings)
            self.parts = parts.of(app)
            super().__init__(HOST, port, app, handler=_Requests, fd=listener.fileno())

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    def process_request(self, request: _Line, client_address: _Address) -> None:
        """Remember each connection, so that it can be ended."""
        with self._changed:
            self._lines.add(cast("socket.socket", request))
        super().process_request(request, client_address)

    def shutdown_request(self, request: _Line) -> None:
        """Forget a connection that has ended."""
        super().shutdown_request(request)
        with self._changed:
            self._lines.discard(cast("socket.socket", request))
            self._changed.notify_all()

    def close(self) -> None:
        """End every connection and its thread, and then whatever the sandbox has open."""
        self.server_close()
        self.parts.moods.close()
        with self._changed:
            for line in self._lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._lines, timeout=_LONGEST_END)
        self.parts.close()


class Sandbox:
    """A sandbox in threads of this process, for ``with``: for tests, and for checks of a demo.

    It listens on a free port of this machine, or on *port*.
    """

    def __init__(self, settings: SandboxSettings | None = None, *, port: int = 0) -> None:
        self._settings = settings or SandboxSettings()
        self._port = port

    def __enter__(self) -> Self:
        self._server = _Server(self._port, self._settings)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.close()

    @property
    def url(self) -> str:
        """Where it listens, as the adapter wants its host."""
        return self._server.url

    @property
    def messages(self) -> list[Message]:
        """All messages that it keeps, oldest first, filled in."""
        return self._server.parts.mailbox.messages(Search(), limit=self._settings.keep)

    @property
    def requests(self) -> list[Received]:
        """All requests that came in, refused and dropped ones too."""
        return self._server.parts.mailbox.requests(limit=self._settings.keep)

    @property
    def accepted(self) -> int:
        """How many recipients it ever accepted, whether the client heard of it or not."""
        return self._server.parts.mailbox.accepted()

    @property
    def webhook(self) -> Webhook:
        """What posts the events: ``key.public``, ``wait()``, ``change(paused=True)``."""
        return self._server.parts.webhook

    def be_wrong(self, *wrong: Wrong) -> None:
        """Have an account that is set wrongly in these ways; with none, as it should be."""
        self._server.parts.account.be(wrong)

    def mood(self, *moods: Mood) -> None:
        """Misbehave from now on in these ways, first come first served; with none, behave."""
        self._server.parts.moods.put(moods)


def serve(  # noqa: PLR0913 - the options of one command
    *,
    port: int,
    store: Path | None = None,
    webhook: str | None = None,
    key_file: Path | None = None,
    moods: tuple[Mood, ...] = (),
    tell: Callable[[str], object] = _say,
) -> None:
    """Run a sandbox on *port* of this machine until it is interrupted.

    *store* keeps the messages over a restart, *key_file* the key; *webhook* is the URL that gets
    the events; it behaves as *moods* say. Where to look, and the key to verify events with, is
    said to *tell*.

    :raises BadSetting: if the port is taken, or a setting can't work.
    """
    settings = SandboxSettings(
        store=store,
        webhook=webhook or "",
        # Where the vendor posts both is set at the vendor; here the one lies beside the other.
        inbound=f"{webhook.rpartition('/')[0]}/inbound" if webhook else "",
        key_file=key_file,
        moods=moods,
    )
    server = _Server(port, settings)
    with closing(server), suppress(KeyboardInterrupt):
        tell(f"Mailbox: {server.url}/mailbox")
        tell(f"MAILPREFS_SENDGRID_HOST={server.url}")
        tell(f"MAILPREFS_SENDGRID_API_KEY={settings.api_key or 'SG.sandbox'}")
        tell(f"MAILPREFS_SENDGRID_WEBHOOK_KEY={server.parts.webhook.key.public}")
        tell(f"MAILPREFS_SENDGRID_INBOUND_KEY={server.parts.webhook.key.public}")
        server.serve_forever(0.2)
