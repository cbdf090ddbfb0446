"""The vendor's stand-in as a process of its own; its book is the truth that we are judged by.

The book is a file that outlives every process: each request with when it began and ended, and each
recipient whose message was accepted. Nothing in it comes from the ledger.
"""

import json
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mailprefs.sandbox.events import SigningKey
from mailprefs.sandbox.mailbox import Mailbox
from mailprefs.sandbox.moods import Mood
from mailprefs.sandbox.records import Carried, Received
from tests.faults.processes import Group, free_port, until

_ALL = 10_000_000


class Vendor:
    """One sandbox, for ``with`` by way of ``start`` and ``end``."""

    def __init__(self, folder: Path, webhook: str) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._book = folder / "vendor.sqlite"
        self._key_file = folder / "vendor-key.pem"
        self._webhook = webhook
        self._log = folder / "vendor.log"
        self._group: Group | None = None
        self.key = SigningKey(self._key_file)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it; what an earlier one accepted is still in its book."""
        options = {
            "--port": str(self._port),
            "--store": str(self._book),
            "--webhook": self._webhook,
            "--key-file": str(self._key_file),
        }
        words = [word for option in options.items() for word in option]
        self._group = Group(["sandbox", *words], environment, self._log)
        until(self._answers, "the sandbox answers", seconds=30)

    def end(self) -> None:
        """End it, with all that it was about to post."""
        if self._group is not None:
            self._group.kill()
            self._group = None

    def mood(self, *moods: Mood) -> None:
        """Misbehave in these ways from now on, first come first served."""
        self._ask("/sandbox/mood", [asdict(mood) for mood in moods])

    def events(self, *, paused: bool) -> None:
        """Hold events back, or let them go."""
        self._ask("/sandbox/webhook", {"paused": paused})

    def accepted(self) -> int:
        """Count every recipient that was ever accepted."""
        answer = self._ask("/sandbox/requests?limit=1")
        count: int = answer["accepted"]
        return count

    def pending_events(self) -> int:
        """Count what is still to be posted."""
        count: int = self._ask("/sandbox/webhook")["pending"]
        return count

    def requests(self) -> list[Received]:
        """Read every request from the book."""
        with closing(Mailbox(self._book, _ALL)) as book:
            return book.requests(limit=_ALL)

    def carried(self) -> list[Carried]:
        """Read every accepted recipient from the book."""
        with closing(Mailbox(self._book, _ALL)) as book:
            return book.carried(limit=_ALL)

    def _answers(self) -> bool:
        try:
            return self.accepted() >= 0
        except OSError:
            return False

    def _ask(self, path: str, wish: object = None) -> Any:  # noqa: ANN401 - whatever JSON it says
        raw = None if wish is None else json.dumps(wish).encode()
        request = urllib.request.Request(
            self.url + path, data=raw, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
