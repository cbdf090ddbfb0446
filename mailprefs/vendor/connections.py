"""Kept-alive connections to one host, one for each thread, with an end to every wait.

Nothing here retries, follows a redirect or asks a proxy. What matters is told apart exactly:
whether a request that failed can have reached the other side whole.
"""

import http.client
import math
import select
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from email.message import Message
from typing import NamedTuple

LONGEST_IDLE = 5.0
"""Seconds after which a kept connection is replaced before use: one that the other side has closed
meanwhile fails as if the request might have been accepted."""
LONGEST_ANSWER = 262_144
"""Bytes of an answer that are read; an error has a few hundred."""
_EARLY_ANSWER = 1.0


class Reply(NamedTuple):
    """An HTTP answer; its headers are found whatever their case."""

    status: int
    reason: str
    headers: Message
    body: bytes


class Endpoint(NamedTuple):
    """Where to connect, and for how many seconds to wait; *tls* None means plain HTTP."""

    host: str
    port: int | None
    tls: ssl.SSLContext | None
    connect_timeout: float
    read_timeout: float


class NotConnected(Exception):
    """The request never reached the other side whole; the text says why."""


class TooLate(Exception):
    """The request was not begun in the time it had to begin in; the text says so."""


class Unclear(Exception):
    """The request left whole and no answer came; the text says why."""


def verified_tls() -> ssl.SSLContext:
    """Give a context that verifies the other side and speaks TLS 1.2 or newer.

    Said here, because the default for the oldest version is the system's.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Connection:
    """One kept connection; for one thread at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._http: http.client.HTTPConnection | None = None
        self._free_since = 0.0

    def __del__(self) -> None:
        self.close()

    def post(
        self, path: str, content: bytes, headers: Mapping[str, str], *, begin_by: float = math.inf
    ) -> Reply:
        """Post *content* once and give the answer, whatever its status.

        :raises NotConnected: if the other side can't have read the whole request.
        :raises Unclear: if it may have.
        :raises TooLate: if *begin_by* (monotonic seconds) has passed before its first byte left.
        """
        return self.ask("POST", path, content, headers, begin_by=begin_by)

    def ask(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
        *,
        begin_by: float = math.inf,
    ) -> Reply:
        """Make one request of any method, once, and give the answer; raises as ``post`` does."""
        line = self._take() or self._open()
        # Asked here, because to connect may have taken seconds.
        if time.monotonic() > begin_by:
            self._http, self._free_since = line, time.monotonic()
            msg = "The request could not begin in time; nothing of it has left."
            raise TooLate(msg)
        try:
            line.request(method, path, body=content, headers=dict(headers))
        except OSError as failure:
            reply = _early_answer(line)
            line.close()
            if reply is None:
                raise NotConnected(
                    "The connection broke before the whole request was sent"
                    f" ({type(failure).__name__})."
                ) from None
            return reply
        try:
            response = line.getresponse()
        except (OSError, http.client.HTTPException) as failure:
            line.close()
            raise Unclear(_no_answer(failure, self._endpoint.read_timeout)) from None
        body, whole = _read(response)
        if whole and not response.will_close:
            self._http, self._free_since = line, time.monotonic()
        else:
            line.close()
        return Reply(response.status, response.reason, response.headers, body)

    def close(self) -> None:
        """Close the connection if it is open; the next ``post`` opens a new one."""
        line, self._http = self._http, None
        if line is not None:
            line.close()

    def _take(self) -> http.client.HTTPConnection | None:
        """Take the kept connection if it is surely alive; it is put back after a whole answer."""
        line = self._http
        if line is None or line.sock is None:
            return None
        if time.monotonic() - self._free_since > LONGEST_IDLE or _has_news(line):
            self.close()
            return None
        self._http = None
        return line

    def _open(self) -> http.client.HTTPConnection:
        place = self._endpoint
        line: http.client.HTTPConnection
        if place.tls is None:
            line = http.client.HTTPConnection(place.host, place.port, place.connect_timeout)
        else:
            line = http.client.HTTPSConnection(
                place.host, place.port, timeout=place.connect_timeout, context=place.tls
            )
        # A debug level set for all of http.client prints the headers, and with them the key.
        line.set_debuglevel(0)
        line.auto_open = 0
        try:
            line.connect()
        except OSError as failure:
            line.close()
            raise NotConnected(f"No connection to the vendor ({_named(failure)}).") from None
        line.sock.settimeout(place.read_timeout)
        return line


class Connections:
    """A connection for each thread that asks for one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._own = threading.local()
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    def mine(self) -> Connection:
        """Give the calling thread's connection."""
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = Connection(self._endpoint)
            with self._lock:
                self._all.add(connection)
        return connection

    def close(self) -> None:
        """Close the kept connections of all threads; one that is in use ends after its answer."""
        with self._lock:
            for connection in list(self._all):
                connection.close()


def _has_news(line: http.client.HTTPConnection) -> bool:
    """Tell whether something came in while nothing was asked: the other side has closed."""
    poll = select.poll()
    poll.register(line.sock, select.POLLIN)
    return bool(poll.poll(0))


def _early_answer(line: http.client.HTTPConnection) -> Reply | None:
    """Read a refusal that came before the request was whole, as of one that is too large."""
    try:
        line.sock.settimeout(_EARLY_ANSWER)
        response = line.getresponse()
        if 400 <= response.status < 500:
            return Reply(response.status, response.reason, response.headers, _read(response)[0])
    except (OSError, http.client.HTTPException):
        pass
    return None


def _read(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """Read an answer's body, and tell whether that was all of it."""
    try:
        body = response.read(LONGEST_ANSWER)
    except (OSError, http.client.HTTPException):
        return b"", False
    return body, response.isclosed()


def _no_answer(failure: Exception, waited: float) -> str:
    if isinstance(failure, TimeoutError):
        return f"No answer came within {waited:g} seconds; the vendor may have accepted it."
    return f"The connection broke before an answer came ({_named(failure)}); it may be accepted."


def _named(failure: Exception) -> str:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return "its certificate isn't trusted"
    return "it took too long" if isinstance(failure, TimeoutError) else type(failure).__name__
