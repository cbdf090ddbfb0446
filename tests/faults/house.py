"""An installation for one run: database, vendor and pages, its people, and what is asked of it."""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert

from mailprefs import staff, subscriptions
from mailprefs.app import build
from mailprefs.audit import CONSOLE, Actor
from mailprefs.campaigns import drafts, review, states
from mailprefs.consent.policies import publish_policy
from mailprefs.db.database import Gate
from mailprefs.deliveries import pace
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    LegalPurpose,
    MessageClass,
    Role,
    Source,
    SubscriptionState,
)
from mailprefs.sandbox.events import encode, event
from mailprefs.sandbox.records import Carried, Copy
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.settings import Settings
from mailprefs.subscriptions import NewSender, NewTopic
from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER
from mailprefs.web.parts import Parts
from tests.faults.engines import Engine
from tests.faults.processes import ROOT, Group, free_port, run, until
from tests.faults.vendor import Vendor

SETTINGS: Final[Mapping[str, object]] = {
    "environment": "sandbox",
    "contact": "hello@example.com",
    "token_keys": sha256(b"the token key of a house that burns").hexdigest(),
    "address_key": sha256(b"the address key of a house that burns").hexdigest(),
    "sendgrid_api_key": "SG.sandbox.nothing-real-is-sent",
    "undo_delay": 0,
    "batch_size": 10,
    "sending_threads": 2,
    "connect_timeout": 0.5,
    "read_timeout": 1.3,
    "lease": 2,
    "settle_time": 1,
    "probe_after": 0.5,
}
"""What every run begins from: a lease of 2 s and 1 s to settle, so that no fault costs minutes."""
PATIENT: Final[Mapping[str, object]] = {"read_timeout": 4, "lease": 6}
"""For runs that count unclear answers exactly: a busy machine answers slowly, too."""
PROMOTIONAL, ADMINISTRATIVE = "newsletter", "notices"
_DETAILS = drafts.Company("hello@example.com", "UTC")
_SLICE = 10_000
_ENDS = frozenset({CampaignState.FINISHED, CampaignState.HELD})


@dataclass(frozen=True)
class Left:
    """Somebody's choice to get no more promotions, and when its 2xx was here."""

    recipient_id: int
    answered_at: datetime


@dataclass
class House:
    """One installation; people have the ids from 1 to *people*, and addresses to match."""

    engine: Engine
    folder: Path
    parts: Parts
    vendor: Vendor
    environment: Mapping[str, str]
    people: int
    author: Actor
    second: Actor
    left: list[Left] = field(default_factory=list)
    complaints: int = 0
    has_web: bool = False
    _groups: list[Group] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- processes ---------------------------------------------------------------------------

    def start_workers(self, count: int = 1, **settings: object) -> list[Group]:
        """Start groups of workers, with other *settings* where given."""
        environment = {**self.environment, **_environment(settings)}
        log = self.folder / "workers.log"
        started = [self.engine.start(environment, log) for _ in range(count)]
        self._groups += started
        return started

    def start_web(self) -> Group:
        """Start the pages: the door to leave by, and the webhook."""
        words = ["run", "--no-worker", "--port", str(_port_of(self.parts.settings.base_url))]
        log = self.folder / "web.log"
        group = Group(words, self.environment, log, is_loaded=False)
        self._groups.append(group)
        until(self._is_up, "the pages answer", seconds=40)
        self.has_web = True
        return group

    def end(self) -> None:
        """End every process of the installation."""
        for group in self._groups:
            group.terminate()
        for group in self._groups:
            group.end()
        self.vendor.end()
        self.parts.db.close()

    # --- what staff do -----------------------------------------------------------------------

    def write(self, topic: str = PROMOTIONAL) -> int:
        """Write a draft, approved where it needs that; give its number."""
        now = _now()
        draft = drafts.Draft(topic=topic, subject="The first frost", body="It is cold.\n")
        if topic == ADMINISTRATIVE:
            draft = drafts.Draft(
                topic=topic,
                subject="Our terms change",
                body="They say more clearly what they said before.\n",
                purpose=LegalPurpose.LEGAL_NOTICE,
                reason="The terms promise to tell everybody.",
            )
        with self.parts.db.transaction() as session:
            number = drafts.create(session, draft, self.author, company=_DETAILS, now=now)
            if draft.purpose is not None:
                states.approve(session, number, self.second, now=now)
        return number

    def send(self, number: int) -> None:
        """Check a draft and let it go at once."""
        with self.parts.db.reading() as session:
            done = review.review(session, number, self.parts.settings, now=_now())
        now = _now()
        with self.parts.db.transaction() as session:
            review.require(session, done, self.author, now=now)
            states.send(session, number, self.author, now=now, due_at=now, revision=done.revision)

    def pause(self, number: int) -> None:
        """Hold a campaign; when this returns, no new call begins."""
        with self.parts.db.transaction(Gate.TAKING) as session:
            states.pause(session, number, self.author, now=_now())

    def resume(self, number: int) -> None:
        """Go on with a campaign."""
        with self.parts.db.transaction(Gate.TAKING) as session:
            states.resume(session, number, self.author, now=_now())

    def start_sending(self) -> None:
        """Let all sending go on after a stop."""
        self.call("sending", "start")

    def why_stopped(self) -> str | None:
        """Give why all sending is stopped, if it is."""
        with self.parts.db.reading() as session:
            return pace.show(session).stopped_reason

    def state(self, number: int) -> CampaignState:
        """Give a campaign's state."""
        with self.parts.db.reading() as session:
            return session.get_one(Campaign, number).state

    def wait(self, *numbers: int, seconds: float = 90.0) -> None:
        """Wait until campaigns are finished, or held with only unknown ones left."""
        ended = f"campaigns {numbers} are finished or held"
        until(lambda: all(self.state(one) in _ENDS for one in numbers), ended, seconds=seconds)

    def show(self, number: int) -> dict[str, Any]:
        """Ask the command line how a campaign stands."""
        said = self.call("campaign", "show", str(number), "--json")
        # A warning may stand before it.
        document: dict[str, Any] = json.loads(said[said.index("{") :])
        return document

    def call(self, *words: str) -> str:
        """Run one command; give what it printed."""
        log = self.folder / f"command-{threading.get_ident()}.log"
        status, said = run(words, self.environment, log)
        assert status == 0, f"{words} exited with {status}: {said}"
        return said

    # --- what people do ----------------------------------------------------------------------

    def leave(self, recipient_id: int) -> bool:
        """Click unsubscribe as a mail provider does; give whether that was answered with 2xx."""
        with self.parts.db.reading() as session:
            topic_id = subscriptions.topic(session, PROMOTIONAL).id
        path = self.parts.links.unsubscribe_path(recipient_id, topic_id, 0)
        url = self.parts.settings.base_url + path
        try:
            with urllib.request.urlopen(url, data=b"List-Unsubscribe=One-Click", timeout=20):
                answered_at = _now()
        except OSError:
            return False
        with self._lock:
            self.left.append(Left(recipient_id, answered_at))
        return True

    def complain(self, about: Carried) -> bool:
        """Report a message as spam, as the vendor tells it; give whether that was answered."""
        args = {
            "mp_delivery": about.delivery,
            "mp_campaign": about.campaign,
            "mp_class": about.message_class,
            "mp_attempt": about.attempt,
        }
        stamp = int(time.time())
        copy = Copy(about.id, "complaint", about.email, args)
        body = encode([event(copy, "spamreport", stamp, {})])
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: self.vendor.key.sign(str(stamp), body),
            TIMESTAMP_HEADER: str(stamp),
        }
        url = f"{self.parts.settings.base_url}/webhooks/sendgrid/events"
        try:
            request = urllib.request.Request(url, data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=20):
                answered_at = _now()
        except OSError:
            return False
        with self._lock:
            self.left.append(Left(_recipient_of(about.email), answered_at))
            self.complaints += 1
        return True

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(self.parts.settings.base_url + "/healthz", timeout=2):
                return True
        except OSError:
            return False


@contextmanager
def house(engine: Engine, folder: Path, *, people: int, **settings: object) -> Iterator[House]:
    """Set an installation up in *folder*, which may hold others; end all of it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"house_{time.monotonic_ns()}"
    base_url = f"http://127.0.0.1:{free_port()}"
    vendor = Vendor(folder, f"{base_url}/webhooks/sendgrid/events")
    values: dict[str, Any] = {
        **SETTINGS,
        "data_dir": str(folder / f"{name}_data"),
        "database_url": engine.store.fresh(folder, name),
        "base_url": base_url,
        "sendgrid_host": vendor.url,
        "sendgrid_webhook_key": vendor.key.public,
        **settings,
    }
    parts = build(Settings(**values))
    kept = {name: value for name, value in os.environ.items() if "MAILPREFS" not in name}
    environment = kept | _environment(values) | {"PYTHONPATH": str(ROOT)}
    author, second = _furnish(parts)
    _fill(parts, people)
    one = House(engine, folder, parts, vendor, environment, people, author, second)
    try:
        vendor.start(environment)
        yield one
    finally:
        one.end()


def address(recipient_id: int) -> str:
    """Give the address of one of the people."""
    return f"person{recipient_id}@mail{recipient_id % 97}.example.org"


def _recipient_of(email: str) -> int:
    return int(email.partition("@")[0].removeprefix("person"))


def _now() -> datetime:
    return datetime.now(UTC)


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def _environment(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"MAILPREFS_{name.upper()}": str(value) for name, value in settings.items()}


def _furnish(parts: Parts) -> tuple[Actor, Actor]:
    """Store what everything else refers to; give two people of the staff."""
    now = _now()
    with parts.db.transaction() as session:
        publish_policy(session, "2027-01", "One click ends promotional mail.", now=now)
        for slug, kind in (
            (PROMOTIONAL, MessageClass.PROMOTIONAL),
            (ADMINISTRATIVE, MessageClass.ADMINISTRATIVE),
        ):
            sender = NewSender(
                "Example",
                f"{slug}@mail.example.com",
                "hello@example.com",
                "Example GmbH, Musterweg 1, 10115 Berlin, Germany",
                parts.settings.base_url,
                kind,
            )
            subscriptions.add_sender(session, sender, CONSOLE, now=now)
            topic = NewTopic(slug, slug.capitalize(), message_class=kind)
            subscriptions.add_topic(session, topic, CONSOLE, now=now)
        found = [
            staff.add(session, f"{name}@example.com", name, list(Role), CONSOLE, now=now).id
            for name in ("author", "second")
        ]
    first, second = (Actor(number, CONSOLE.door) for number in found)
    return first, second


def _fill(parts: Parts, people: int) -> None:
    """Store so many people who are subscribed to the newsletter."""
    now = _now()
    for start in range(1, people + 1, _SLICE):
        numbers = range(start, min(start + _SLICE, people + 1))
        with parts.db.transaction() as session:
            topic_id = subscriptions.topic(session, PROMOTIONAL).id
            session.execute(insert(Recipient), [_person(parts, number, now) for number in numbers])
            rows = [
                {
                    "recipient_id": number,
                    "topic_id": topic_id,
                    "state": SubscriptionState.SUBSCRIBED,
                    "source": Source.IMPORT,
                    "since": now,
                    "policy_version_id": 1,
                }
                for number in numbers
            ]
            session.execute(insert(Subscription), rows)


def _person(parts: Parts, number: int, now: datetime) -> dict[str, object]:
    return {
        "id": number,
        "address": address(number),
        "address_hash": parts.hasher.hash(address(number)),
        "address_key_id": parts.hasher.key_id,
        "address_origin": AddressOrigin.IMPORTED,
        "first_name": "Anna",
        "last_name": "Nowak",
        "attributes": {},
        "open_tracking": Choice.UNKNOWN,
        "created_at": now,
    }
