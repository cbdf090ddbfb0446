"""The thread that posts events to the service's webhook, and tries again until they are taken."""

import heapq
import http.client
import itertools
import logging
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mailprefs.sandbox.events import Event, SigningKey, batches, encode, event
from mailprefs.sandbox.fates import Fates, Kind, Told
from mailprefs.sandbox.lists import Lists
from mailprefs.sandbox.mailbox import Mailbox
from mailprefs.sandbox.records import Copy
from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER

FIRST_RETRY, LONGEST_RETRY = 0.25, 30.0
"""Seconds before a post that wasn't taken is tried again: twice as long each time."""
_TIMEOUT = 15.0
_AT_ONCE = 20
_SHUFFLED_AT_ONCE = 25
"""Events in one post while they are shuffled: few, so that many posts can change places."""
_DELIVERED = (Told("delivered", {}),)

log = logging.getLogger("mailprefs.sandbox")


@dataclass(order=True)
class _Due:
    """Something to post: events of a request that are still to be made, or a body to try again."""

    at: float
    number: int
    request: int = field(default=0, compare=False)
    word: str = field(default="", compare=False)
    body: bytes = field(default=b"", compare=False)
    tries: int = field(default=0, compare=False)


class Webhook:
    """Posts events to *url* from a thread of its own, until ``close``; with no *url*, nothing.

    ``fates`` says what becomes of mail, ``lists`` holds who is suppressed by it.
    """

    def __init__(
        self, url: str, key: SigningKey, mailbox: Mailbox, *, delivered_after: float = 0.0
    ) -> None:
        self.key = key
        self.fates = Fates()
        self.lists = Lists()
        self.posted = 0
        self._url = urlsplit(url)
        self._mailbox = mailbox
        self._delivered_after = delivered_after
        self._due: list[_Due] = []
        self._numbers = itertools.count(1)
        self._paused = self._closed = self._busy = False
        self._shuffled = False
        self._copies = 1
        self._dropped: set[int] = set()
        self._line: http.client.HTTPConnection | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sandbox-webhook", daemon=True)
        if url:
            self._thread.start()

    @property
    def pending(self) -> int:
        """How many posts are still to be made, or to be tried again."""
        return len(self._due) + self._busy

    def tell(self, request: int) -> None:
        """Report that a request's mail was processed, and then that it was delivered."""
        now = time.monotonic()
        self._put(now, request=request, word="processed")
        self._put(now + self._delivered_after, request=request, word="end")

    def tell_one(self, message: int, word: str, more: Mapping[str, object]) -> bool:
        """Report any event of one message, with further fields; False if there is no such one."""
        copy = self._mailbox.copy(message)
        if copy is None:
            return False
        self._put(time.monotonic(), body=encode([event(copy, word, int(time.time()), more)]))
        return True

    def change(
        self,
        *,
        paused: bool | None = None,
        copies: int | None = None,
        shuffled: bool | None = None,
    ) -> None:
        """Hold events back or let them go, post each so many times, and in any order or in turn."""
        with self._changed:
            self._paused = self._paused if paused is None else paused
            self._copies = self._copies if copies is None else copies
            self._shuffled = self._shuffled if shuffled is None else shuffled
            self._changed.notify_all()

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait until everything was taken; False if that takes longer than *timeout* seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.pending, timeout)

    def close(self) -> None:
        """Stop posting; what was not taken is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            # A post that waits for its answer would go on for as long as that takes.
            waits = self._line.sock if self._line else None
            if waits is not None:
                with suppress(OSError):
                    waits.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(timeout=2 * _TIMEOUT)

    def _put(self, at: float, *, request: int = 0, word: str = "", body: bytes = b"") -> None:
        if self._url.hostname:
            with self._changed:
                heapq.heappush(self._due, _Due(at, next(self._numbers), request, word, body))
                self._changed.notify_all()

    def _run(self) -> None:
        while due := self._take():
            try:
                self._post_all(due)
            except Exception:
                # One that can't be told must not end the telling of all others.
                log.exception("an event could not be posted")
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> list[_Due]:
        """Wait for what is due and take it; nothing once the webhook is closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if not self._paused and self._due and self._due[0].at <= now:
                    taken: list[_Due] = []
                    while self._due and self._due[0].at <= now and len(taken) < _AT_ONCE:
                        taken.append(heapq.heappop(self._due))
                    self._busy = True
                    return taken
                waiting = self._due and not self._paused
                self._changed.wait(self._due[0].at - now if waiting else None)
            return []

    def _post_all(self, taken: list[_Due]) -> None:
        moment = int(time.time())
        events = [
            one
            for due in taken
            if due.request
            for copy in self._mailbox.copies(due.request)
            for one in self._told(copy, due.word, moment)
        ]
        bodies = self._shuffle(events) if self._shuffled else batches(events)
        fresh = [_Due(0.0, 0, body=body) for body in bodies]
        for due in (*fresh, *(due for due in taken if due.body)):
            for _ in range(1 if self._shuffled else self._copies):
                if not self._closed and not self._post(due.body):
                    self._again(due)
                    break

    def _told(self, copy: Copy, word: str, moment: int) -> list[Event]:
        """Give what is reported of one message at one stage, by its fate and by the lists."""
        if word == "processed":
            reason = self._why_dropped(copy)
            if reason is None:
                return [event(copy, word, moment, {})]
            self._dropped.add(copy.id)
            return [event(copy, "dropped", moment, {"reason": reason})]
        if copy.id in self._dropped:
            self._dropped.discard(copy.id)
            return []
        fate = self.fates.of(copy)
        told = fate.after_processed() if fate else _DELIVERED
        for one in told:
            if one.list_name:
                reason, status = (str(one.fields.get(name, "")) for name in ("reason", "status"))
                self.lists.put(one.list_name, copy.email, reason=reason, status=status)
        return [event(copy, one.word, moment, one.fields) for one in told]

    def _why_dropped(self, copy: Copy) -> str | None:
        """Give why the vendor wouldn't even try a message; None if it would."""
        listed = self.lists.drops(copy.email, bypass_unsubscribes=copy.bypasses_unsubscribes)
        fate = self.fates.of(copy)
        if listed is None and fate is not None and fate.kind is Kind.INVALID:
            self.lists.put("invalid_emails", copy.email, reason=fate.reason or "Invalid")
            return "Invalid"
        if listed is None and fate is not None and fate.kind is Kind.DROPPED:
            return fate.reason or "Spam Content (if Spam Checker app enabled)"
        return listed

    def _shuffle(self, events: list[Event]) -> list[bytes]:
        """Give small posts in any order, each event in as many of them as there are copies."""
        draw = secrets.SystemRandom()
        told = events * self._copies
        draw.shuffle(told)
        size = _SHUFFLED_AT_ONCE
        return [encode(told[start : start + size]) for start in range(0, len(told), size)]

    def _again(self, due: _Due) -> None:
        delay = min(FIRST_RETRY * 2**due.tries, LONGEST_RETRY)
        later = _Due(
            time.monotonic() + delay, next(self._numbers), body=due.body, tries=due.tries + 1
        )
        with self._changed:
            heapq.heappush(self._due, later)

    def _post(self, body: bytes) -> bool:
        """Post one batch, signed now; True if it was taken."""
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "SendGrid Event API (mailprefs sandbox)",
            SIGNATURE_HEADER: self.key.sign(timestamp, body),
            TIMESTAMP_HEADER: timestamp,
        }
        line = http.client.HTTPConnection(str(self._url.hostname), self._url.port, timeout=_TIMEOUT)
        self._line = line
        try:
            line.request("POST", self._url.path or "/", body=body, headers=headers)
            response = line.getresponse()
            response.read(1_000)
        except (OSError, http.client.HTTPException) as failure:
            log.info("webhook not reached: %s", type(failure).__name__)
            return False
        finally:
            with self._changed:
                self._line = None
            line.close()
        if not 200 <= response.status < 300:
            log.info("webhook answered %s", response.status)
            return False
        self.posted += 1
        return True
