"""A vendor that only takes: reads whole requests, answers 202, and counts what it got.

sink.py    prints its port, then, when standard input ends, requests and bytes as JSON
"""

import itertools
import json
import selectors
import socket
import sys
from dataclasses import dataclass, field

_RECEIVE = 1 << 20
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Connection:
    """One client, and what of its present request is still to come."""

    socket: socket.socket
    head: bytearray = field(default_factory=bytearray)
    missing: int = 0


class Sink:
    """All clients of one loop."""

    def __init__(self) -> None:
        """Listen on a free loopback port."""
        self.requests = 0
        self.bytes = 0
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._buffer = memoryview(bytearray(_RECEIVE))

    @property
    def port(self) -> int:
        """Give the port that it listens on."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Take everything until standard input ends."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client, selectors.EVENT_READ, Connection(client))

    def _read(self, connection: Connection) -> None:
        received = connection.socket.recv_into(self._buffer)
        if not received:
            self._selector.unregister(connection.socket)
            connection.socket.close()
            return
        self.bytes += received
        if connection.missing:
            connection.missing -= received
            if connection.missing == 0:
                self._answer(connection)
            return
        connection.head += self._buffer[:received]
        end = connection.head.find(_END)
        if end < 0:
            return
        has = len(connection.head) - end - len(_END)
        connection.missing = _length(bytes(connection.head[:end])) - has
        connection.head.clear()
        if connection.missing == 0:
            self._answer(connection)

    def _answer(self, connection: Connection) -> None:
        self.requests += 1
        connection.socket.sendall(
            b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: m%d\r\n\r\n"
            % self.requests
        )


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    found = (line[len(_LENGTH) :] for line in lines if line.startswith(_LENGTH))
    return int(next(itertools.chain(found, (b"0",))))


if __name__ == "__main__":
    sink = Sink()
    print(sink.port, flush=True)
    sink.serve()
    print(json.dumps({"requests": sink.requests, "bytes": sink.bytes}))
