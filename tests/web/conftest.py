"""A web application on a migrated database of the test's own, whose clock the test sets."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from mailprefs import preferences
from mailprefs.app import build, create_app
from mailprefs.db.database import Database
from mailprefs.policy import DataRequest, MessageClass
from mailprefs.privacy import requests
from mailprefs.schema.deliveries import SingleValues
from mailprefs.settings import Environment, Settings
from mailprefs.vendor.message import Mailing, Outcome, Verdict
from mailprefs.web.parts import Parts
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sender,
    make_sent,
    make_topic,
    subscribe,
)

TOKEN_KEY = sha256(b"the token key of links that lead nowhere").hexdigest()
ADDRESS_KEY = sha256(b"the address key of people who don't exist").hexdigest()


@dataclass
class Clock:
    """A clock that stands still until the test moves it."""

    now: datetime = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class NoVendor:
    """A vendor that no page may ever talk to."""

    def hand_over(self, mailing: Mailing) -> Outcome:
        return Outcome(verdict=Verdict.NOT_ALLOWED, reason="no page sends by itself")

    def close(self) -> None: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        base_url="https://mail.example.com",
        environment=Environment.PRODUCTION,
        token_keys=SecretStr(TOKEN_KEY),
        address_key=SecretStr(ADDRESS_KEY),
        contact="hello@example.com",
    )


@pytest.fixture
def parts(settings: Settings, clock: Clock) -> Iterator[Parts]:
    made = replace(build(settings, vendor=NoVendor()), clock=clock)
    yield made
    made.spool.close()
    made.db.close()


@pytest.fixture
def db(parts: Parts) -> Database:
    return parts.db


@pytest.fixture
def app(parts: Parts) -> Flask:
    return create_app(parts)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass(frozen=True)
class Reader:
    """Somebody who subscribed to two topics and got a message of the first."""

    id: int
    address: str
    topic_id: int
    other_topic_id: int
    delivery_id: int


@pytest.fixture
def reader(parts: Parts) -> Reader:
    with parts.db.transaction() as session:
        make_policy(session, "2026-01")
        sender = make_sender(session, name="Harbour Books")
        first = make_topic(session, "newsletter", sender_id=sender.id)
        second = make_topic(session, "events", sender_id=sender.id)
        make_topic(session, "offers", sender_id=sender.id)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE, name="Your account")
        person = make_recipient(session, "jane.doe@example.com", hasher=parts.hasher)
        subscribe(session, person, first)
        subscribe(session, person, second)
        campaign = make_campaign(session, first)
        (delivery_id,) = make_sent(session, campaign, [person])
        return Reader(person.id, person.address, first.id, second.id, delivery_id)


@pytest.fixture
def unsubscribe_path(parts: Parts, reader: Reader) -> str:
    return parts.links.unsubscribe_path(reader.id, reader.topic_id, reader.delivery_id)


@pytest.fixture
def preferences_path(parts: Parts, reader: Reader) -> str:
    return parts.links.preferences_path(reader.id, reader.delivery_id)


def request_path(parts: Parts, reader: Reader, kind: DataRequest) -> str:
    """Give the path of a link that was mailed to the reader, for their data or to erase it."""
    base = parts.settings.base_url
    with parts.db.transaction() as session:
        sent = requests.ask(session, parts.links, base, reader.id, kind, now=parts.clock())
        values = session.get_one(SingleValues, sent).values
    return str(values["request_url"]).removeprefix(base)


def subscribed(db: Database, reader: Reader) -> set[str]:
    """Give the short names of the topics that the reader gets."""
    with db.reading() as session:
        current = preferences.current(session, reader.id)
    return {topic.slug for topic in current.topics if topic.is_on}
