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

from mailprefs.app import build, create_app
from mailprefs.db.database import Database
from mailprefs.settings import Environment, Settings
from mailprefs.vendor.message import Mailing, Outcome, Verdict
from mailprefs.web.parts import Parts

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
