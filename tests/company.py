"""A whole installation in one process: real pages, real sending, and a vendor that remembers.

Everything goes in by the edges: pages through Flask's client, campaigns through the functions that
page and command line call, mail through a worker's steps to ``RecordingVendor``. What arrived is
read from what the vendor was handed, filled in as the vendor does.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy.orm import Session

from mailprefs import links, subscriptions
from mailprefs.app import build, create_app
from mailprefs.audit import Actor
from mailprefs.campaigns import drafts, review, states
from mailprefs.campaigns.drafts import Company as Details
from mailprefs.campaigns.drafts import Draft
from mailprefs.db.database import Database
from mailprefs.deliveries.counts import Counts, counts
from mailprefs.jobs.dispatch import Office, Worker
from mailprefs.jobs.imports import run as imports
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.ingest import Ingest
from mailprefs.policy import LegalPurpose, MessageClass, Role
from mailprefs.rendering.person import substitute
from mailprefs.schema.people import Recipient
from mailprefs.settings import Environment, Settings
from mailprefs.vendor import bodies
from mailprefs.vendor.message import Mailing, Personal
from mailprefs.web.parts import Parts
from tests import factories
from tests.fakes import RecordingVendor

BASE = "https://mail.example.com"
TOKEN_KEY = sha256(b"the token key of a company that isn't").hexdigest()
ADDRESS_KEY = sha256(b"the address key of a company that isn't").hexdigest()
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Safari/605.1.15"
)
_PIXEL = re.compile(rf'src="{BASE}(/o/[^"]+)"')


@dataclass(frozen=True)
class Arrived:
    """One message in one mailbox."""

    address: str
    campaign_id: int
    message_class: MessageClass
    delivery_id: int
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    body: dict[str, Any] = field(repr=False)

    @property
    def one_click(self) -> str:
        """Give the path that the header's link leads to."""
        found = re.match(rf"<{BASE}(/u/[^>]+)>", self.headers["List-Unsubscribe"])
        assert found is not None, "the header has no link of ours first"
        return found[1]

    @property
    def pixel(self) -> str | None:
        """Give the path of the pixel, or None."""
        found = _PIXEL.search(self.html)
        return found[1] if found else None


@dataclass
class Clock:
    """A clock that begins at the present, as the database's does, and is moved on by tests."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_by(self, **time: float) -> None:
        """Let time go by."""
        self.ahead += timedelta(**time)


@dataclass
class Company:
    """The installation: two people on its staff, topics of both classes, and nobody else yet."""

    parts: Parts
    vendor: RecordingVendor
    clock: Clock
    folder: Path
    author: Actor
    second: Actor
    _app: Flask | None = field(default=None, repr=False)

    @property
    def db(self) -> Database:
        return self.parts.db

    @property
    def client(self) -> FlaskClient:
        """Give a browser without cookies."""
        return self.app.test_client()

    @property
    def app(self) -> Flask:
        """Give the web application."""
        if self._app is None:
            self._app = create_app(self.parts)
        return self._app

    def change(self, **settings: Any) -> None:  # noqa: ANN401 - settings by name
        """Open the same installation with other settings."""
        values = self.parts.settings.model_copy(update=settings)
        keys = links.parse_keys(values.token_keys.get_secret_value())
        self._app = None
        self.parts = replace(self.parts, settings=values, token_keys=keys, links=links.Links(keys))

    # --- writing and sending -------------------------------------------------------------------

    def write(self, topic: str = "newsletter", **changes: Any) -> int:  # noqa: ANN401 - fields of Draft
        """Write a draft, approved where it needs that; give its number."""
        with self.db.transaction() as session:
            draft = _draft(session, topic, changes)
            number = drafts.create(session, draft, self.author, company=_DETAILS, now=self.clock())
            if draft.purpose is not None:
                states.approve(session, number, self.second, now=self.clock())
        return number

    def start(self, number: int) -> None:
        """Check a campaign and let it go now."""
        with self.db.reading() as session:
            done = review.review(session, number, self.parts.settings, now=self.clock())
        now = self.clock()
        with self.db.transaction() as session:
            review.require(session, done, self.author, now=now)
            states.send(session, number, self.author, now=now, due_at=now, revision=done.revision)

    def send(self, topic: str = "newsletter", **changes: Any) -> int:  # noqa: ANN401 - fields of Draft
        """Write a campaign and send it to the end; give its number."""
        number = self.write(topic, **changes)
        self.start(number)
        self.work()
        return number

    def worker(self, **changes: Any) -> Worker:  # noqa: ANN401 - settings by name
        """Give a worker that does one step at a time."""
        office = Office(
            db=self.db,
            vendor=self.vendor,
            links=self.parts.links,
            settings=self.parts.settings.model_copy(update=changes),
            clock=self.clock,
        )
        return Worker(office, "test")

    def work(self, **changes: Any) -> None:  # noqa: ANN401 - settings by name
        """Do all the work there is."""
        worker = self.worker(**changes)
        busy = True
        while busy:
            busy = worker.look_after() or worker.send_next() is not None
        worker.look_after()

    def begin(self, number: int, *, batch_size: int) -> Worker:
        """Let a campaign go and freeze it, in batches of this size; give who can send them."""
        self.start(number)
        worker = self.worker(batch_size=batch_size)
        while worker.look_after():
            pass
        return worker

    def counts(self, number: int) -> Counts:
        """Count where everybody of a campaign is; the sums hold."""
        with self.db.reading() as session:
            found = counts(session, number)
        assert found.adds_up, found
        return found

    # --- what arrived --------------------------------------------------------------------------

    def arrived(self, number: int | None = None) -> list[Arrived]:
        """List what arrived, in order; of one campaign if it is given."""
        found = [
            _opened(mailing, person)
            for mailing in self.vendor.accepted
            for person in mailing.people
        ]
        return [one for one in found if number in {None, one.campaign_id}]

    def readers(self, number: int) -> list[str]:
        """List whose mailbox a campaign reached."""
        return sorted(one.address for one in self.arrived(number))

    def message(self, number: int, address: str) -> Arrived:
        """Give the one message of a campaign in one mailbox."""
        (found,) = [one for one in self.arrived(number) if one.address == address]
        return found

    # --- people --------------------------------------------------------------------------------

    def bring(
        self, *addresses: str, topic: str = "newsletter", source: str = "Box on the order form"
    ) -> None:
        """Import people who subscribed to a topic."""
        file = self.folder / "people.csv"
        file.write_text("email\n" + "\n".join(addresses) + "\n", encoding="utf-8")
        order = ImportOrder(topic=topic, source=source)
        imports.run(
            self.db, file, order, hasher=self.parts.hasher, actor=self.author, clock=self.clock
        )

    def person(self, address: str) -> Recipient:
        """Give who has an address."""
        wanted = self.parts.hasher.hash(address)
        with self.db.reading() as session:
            return session.query(Recipient).filter_by(address_hash=wanted).one()

    def load(self, message: Arrived) -> None:
        """Load the pictures of a message, as a mail program does, and count that."""
        assert message.pixel is not None
        self.client.get(message.pixel, headers={"User-Agent": SAFARI})
        self.parts.spool.sync()
        Ingest(self.db, self.parts.settings.spool_dir, self.clock).drain()


_DETAILS = Details("hello@example.com", "UTC")


@contextmanager
def company(database_url: str, folder: Path, **settings: Any) -> Iterator[Company]:  # noqa: ANN401 - settings by name
    """Open a company on an empty, migrated database."""
    vendor, clock = RecordingVendor(), Clock()
    values: dict[str, Any] = {
        "data_dir": folder / "data",
        "database_url": database_url,
        "base_url": BASE,
        "environment": Environment.PRODUCTION,
        "token_keys": SecretStr(TOKEN_KEY),
        "address_key": SecretStr(ADDRESS_KEY),
        "sendgrid_api_key": SecretStr("SG.of-nobody"),
        "contact": "hello@example.com",
        "batch_size": 500,
    } | settings
    parts = replace(build(Settings(**values), vendor=vendor), clock=clock)
    with parts.db.transaction() as session:
        factories.make_policy(session, "first")
        news = factories.make_sender(session, name="Example News")
        office = factories.make_sender(session, MessageClass.ADMINISTRATIVE, name="Example")
        for slug in ("newsletter", "offers"):
            factories.make_topic(session, slug, sender_id=news.id)
        for slug in ("legal", "account"):
            factories.make_topic(session, slug, MessageClass.ADMINISTRATIVE, sender_id=office.id)
        author, second = (Actor(factories.make_staff(session, *Role).id, "page") for _ in range(2))
    yield Company(parts, vendor, clock, folder, author, second)
    parts.spool.close()
    parts.db.close()


def _draft(session: Session, topic: str, changes: dict[str, Any]) -> Draft:
    values: dict[str, Any] = {
        "topic": topic,
        "subject": "The first frost",
        "body": "It is cold.\n",
    }
    if subscriptions.topic(session, topic).message_class.needs_second_person:
        values |= {
            "subject": "Our terms change",
            "purpose": LegalPurpose.LEGAL_NOTICE,
            "reason": "The terms promise to tell everybody.",
        }
    return Draft(**values | changes)


def _opened(mailing: Mailing, person: Personal) -> Arrived:
    """Give what the vendor makes of one person's part: read from the bytes that it was sent."""
    body = bodies.request(mailing)
    position = list(mailing.people).index(person)
    own = body["personalizations"][position]
    parts = {part["type"]: part["value"] for part in body["content"]}
    values = own.get("substitutions", {})
    return Arrived(
        address=own["to"][0]["email"],
        campaign_id=int(own["custom_args"]["mp_campaign"]),
        message_class=MessageClass(own["custom_args"]["mp_class"]),
        delivery_id=int(own["custom_args"]["mp_delivery"]),
        subject=substitute(own.get("subject", body["subject"]), values),
        text=substitute(parts["text/plain"], values),
        html=substitute(parts["text/html"], values),
        headers=dict(own.get("headers", {})),
        body={key: value for key, value in body.items() if key != "personalizations"},
    )
