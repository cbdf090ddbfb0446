"""A watch over an installation whose clock and machine the test sets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import SecretStr

from mailprefs.alarms import keeping
from mailprefs.db.database import Database
from mailprefs.jobs.alarms import Watch
from mailprefs.machine import GIGABYTE, Disk, Machine, SpoolLevel
from mailprefs.schema.alarms import Alarm
from mailprefs.settings import Settings
from tests.factories import HASHER
from tests.sending import NOW

ROOMY = Machine(
    "host-1",
    (Disk("the data directory", 90 * GIGABYTE, 100 * GIGABYTE),),
    SpoolLevel(used=0, most=GIGABYTE, waiting_since=None, unreadable=0),
)


@dataclass
class Guard:
    """Somebody who looks when the test says so."""

    watch: Watch
    now: datetime = NOW
    machine: Machine = ROOMY

    def look(self, *, after: timedelta = timedelta(minutes=1)) -> None:
        self.now += after
        self.watch.look()

    def open_now(self) -> list[tuple[str, str]]:
        return [(one.kind, one.subject) for one in self.alarms()]

    def alarms(self) -> Sequence[Alarm]:
        with self.watch.db.reading() as session:
            return keeping.open_now(session)

    def all_ever(self) -> Sequence[Alarm]:
        with self.watch.db.reading() as session:
            return session.query(Alarm).order_by(Alarm.id).all()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        base_url="https://mail.example.com",
        token_keys=SecretStr(sha256(b"a token key").hexdigest()),
        address_key=SecretStr(sha256(b"an address key").hexdigest()),
    )


@pytest.fixture
def make_guard(db: Database, settings: Settings) -> Callable[..., Guard]:
    """Give a function that makes a guard, with settings of the test's own."""

    def made(**changed: object) -> Guard:
        ours = settings.model_copy(update=changed)
        guard: Guard
        watch = Watch(
            db=db,
            settings=ours,
            hasher=HASHER,
            clock=lambda: guard.now,
            see=lambda _settings, _counted: guard.machine,
        )
        guard = Guard(watch)
        return guard

    return made


@pytest.fixture
def guard(make_guard: Callable[..., Guard]) -> Guard:
    return make_guard()


def filling(name: str = "host-1") -> Machine:
    """Give a machine whose disk has 500 MB left."""
    disk = Disk("the data directory", GIGABYTE // 2, 100 * GIGABYTE)
    return ROOMY._replace(name=name, disks=(disk,))
