"""People's mail programs, as many as it takes: they fetch one pixel, again and again, at a pace."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import func, select

from mailprefs.schema.opens import Loads
from mailprefs.web.pixel import IMAGE
from tests.faults.house import House
from tests.faults.processes import until

_THREADS = 4
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"


@dataclass
class Readers:
    """What became of their fetches: begun, answered whole, and how long the slowest answer took."""

    url: str
    path: str
    per_second: int
    begun: int = 0
    answered: int = 0
    failed: int = 0
    slowest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> None:
        """Fetch at this thread's part of the pace until told to stop."""
        pause = _THREADS / self.per_second
        due = time.monotonic()
        connection: socket.socket | None = None
        while not self._stop.is_set():
            due = max(due + pause, time.monotonic() - 0.5)
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                connection = connection or self._connected()
            except OSError:
                time.sleep(0.05)
                continue
            if not self._fetch(connection):
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """Let every thread end after the fetch that it is at."""
        self._stop.set()

    def _connected(self) -> socket.socket:
        parts = urlsplit(self.url)
        connection = socket.create_connection((str(parts.hostname), int(parts.port or 80)), 20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _fetch(self, connection: socket.socket) -> bool:
        """Fetch once; give whether the answer was whole."""
        asked = f"GET {self.path} HTTP/1.1\r\nHost: mail\r\nUser-Agent: {_AGENT}\r\n\r\n".encode()
        with self._lock:
            self.begun += 1
        began = time.monotonic()
        answer = b""
        with suppress(OSError):
            connection.sendall(asked)
            while not answer.endswith(IMAGE):
                received = connection.recv(65_536)
                if not received:
                    break
                answer += received
        is_whole = answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(IMAGE)
        with self._lock:
            self.answered += is_whole
            self.failed += not is_whole
            self.slowest = max(self.slowest, time.monotonic() - began)
        return is_whole


@contextmanager
def reading(house: House, number: int, *, per_second: int) -> Iterator[Readers]:
    """Let the readers of a campaign fetch its pixel for as long as the block runs."""
    path = house.parts.links.loads_path(number)
    readers = Readers(house.parts.settings.base_url, path, per_second)
    threads = [threading.Thread(target=readers.read, daemon=True) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        readers.stop()
        for thread in threads:
            thread.join(30)


def counted(house: House, number: int) -> int:
    """Give how many loads of a campaign's pixel the database counts."""
    with house.parts.db.reading() as session:
        total = session.scalar(select(func.sum(Loads.n)).where(Loads.campaign_id == number))
    return int(total or 0)


def judge(house: House, number: int, readers: Readers, before: int = 0) -> list[str]:
    """Give what is broken: an answered fetch that isn't counted, or one that is counted twice.

    A fetch whose answer was lost may be counted or not.
    """
    folder = house.parts.settings.spool_dir
    until(lambda: counted(house, number) - before >= readers.answered, f"all counted in {folder}")
    time.sleep(2.5)  # whatever would be counted once more is counted by then
    total = counted(house, number) - before
    if total > readers.begun:
        return [f"{total} fetches are counted, and {readers.begun} were made"]
    return []
