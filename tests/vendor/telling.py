"""A vendor of a few lines: it answers what it is told, and remembers what it was asked."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: mid-1\r\nContent-Length: 0\r\n\r\n"

Behaviour = Callable[[socket.socket], None]


@dataclass
class TellingVendor:
    """Answers each request with the next of *answers* (the last one for ever).

    An answer is raw bytes, or a function that gets the socket before anything was read from it.
    """

    answers: list[bytes | Behaviour]
    tls: ssl.SSLContext | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            while self._answer(connection):
                pass
        except OSError:
            pass
        finally:
            connection.close()

    def _answer(self, connection: socket.socket) -> bool:
        if not self.tls and not connection.recv(1, socket.MSG_PEEK):
            return False
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer(connection)
            return False
        self.requests.append(read_request(connection))
        connection.sendall(answer)
        return b"close" not in answer


def read_request(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    with connection.makefile("rb") as stream:
        line = stream.readline().decode().strip()
        if not line:
            raise ConnectionError
        headers = {}
        while text := stream.readline().decode().strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return line, headers, stream.read(int(headers.get("content-length", "0")))
