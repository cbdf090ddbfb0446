"""Workers as processes of their own: told to end they end well, and together they keep one pace."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from mailprefs.db.database import Database
from mailprefs.deliveries import calls, presence
from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.sandbox.server import Sandbox
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from tests.factories import make_policy, make_topic
from tests.sending import count, make_due, make_people, state_of

pytestmark = pytest.mark.faults

SECONDS = 40.0
ROOT = Path(__file__).parents[2]


@dataclass
class House:
    """An installation with a vendor on this machine, and the processes that were started on it."""

    db: Database
    sandbox: Sandbox
    environment: dict[str, str]
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *words: str, **settings: object) -> subprocess.Popen[bytes]:
        """Start a command of ours; what it says goes into a file."""
        given = {f"MAILPREFS_{name.upper()}": str(value) for name, value in settings.items()}
        with (self.folder / "said.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mailprefs.cli.main", *words],
                env=self.environment | given,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def send(self, people: int) -> int:
        """Store a campaign to so many people that is due now; give its id."""
        with self.db.transaction() as session:
            make_policy(session)
            topic = make_topic(session)
            make_people(session, topic, people)
            number = make_due(session, topic)
            # The processes' clock is the real one.
            session.get_one(Campaign, number).due_at = datetime.now(UTC)
        return number

    def wait_for(self, happened: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + SECONDS
        while not happened():
            said = (self.folder / "said.log").read_text("utf-8", "replace")
            assert time.monotonic() < ends, f"{what} took too long; said: {said[-2_000:]}"
            time.sleep(0.02)

    @property
    def is_in_flight(self) -> bool:
        return len(self.sandbox.requests) > 0

    def check_nothing_is_open(self) -> None:
        """Check that no call is left open, and that everybody whom the vendor took is sent."""
        with self.db.reading() as session:
            states = set(session.scalars(select(Batch.state)))
            ended = session.scalars(select(HandOver.ended_at)).all()
            at_work = presence.show(session)
        assert not states & {BatchState.SENDING, BatchState.UNKNOWN}
        assert None not in ended
        assert at_work.last is None, "whoever ended says so"


@pytest.fixture
def house(db: Database, database_url: str, tmp_path: Path) -> Iterator[House]:
    with Sandbox() as sandbox:
        environment = os.environ | {
            "MAILPREFS_DATA_DIR": str(tmp_path / "data"),
            "MAILPREFS_DATABASE_URL": database_url,
            "MAILPREFS_ENVIRONMENT": "sandbox",
            "MAILPREFS_TOKEN_KEYS": sha256(b"the token key of these processes").hexdigest(),
            "MAILPREFS_ADDRESS_KEY": sha256(b"the address key of these processes").hexdigest(),
            "MAILPREFS_SENDGRID_HOST": sandbox.url,
            "MAILPREFS_SENDGRID_API_KEY": "SG.sandbox",
            "MAILPREFS_CONTACT": "hello@example.com",
            "MAILPREFS_BATCH_SIZE": "5",
        }
        house = House(db, sandbox, environment, tmp_path)
        yield house
        for process in house.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_after_the_first_second_the_vendor_refuses_no_call_of_two_workers(
    house: House, retry_after: float | None
) -> None:
    house.sandbox.mood(Mood(kind=Kind.TOO_FAST, calls=10, retry_after=retry_after))
    number = house.send(225)
    for _ in range(2):
        house.start("worker", sending_threads=3)
    house.wait_for(lambda: state_of(house.db, number) is CampaignState.FINISHED, "the campaign")
    requests = house.sandbox.requests
    began = min(one.at for one in requests)
    refused = [one.at - began for one in requests if one.status == 429]
    assert refused, "the limit was never reached, so nothing is shown"
    assert max(refused) <= timedelta(seconds=1)
    accepted = [one.at - began for one in requests if one.status == 202]
    assert len(accepted) == 45
    # As slow as the vendor, and not much slower: 35 calls at 8 a second, after a wait of 1 s.
    assert max(accepted) < timedelta(seconds=14)
    assert count(house.db, number).sent == 225
    with house.db.reading() as session:
        learned = calls.show(session)
    assert learned is not None
    assert 4 <= learned.a_second <= 10


@pytest.mark.parametrize("command", ["worker", "run"])
def test_told_to_end_calls_in_flight_finish_and_the_rest_is_given_back(
    house: House, command: str
) -> None:
    house.sandbox.mood(Mood(kind=Kind.DELAY, seconds=1.5))
    number = house.send(60)
    words = ["run", "--port", str(free_port())] if command == "run" else ["worker"]
    process = house.start(*words, sending_threads=2)
    house.wait_for(lambda: house.is_in_flight, "the first call")
    told = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert time.monotonic() - told < 10
    house.check_nothing_is_open()
    found = count(house.db, number)
    assert found.sent == house.sandbox.accepted > 0
    assert found.pending == 60 - found.sent > 0


@pytest.mark.parametrize("command", ["worker", "run"])
def test_told_twice_it_hurries_and_says_that_something_was_left(house: House, command: str) -> None:
    house.sandbox.mood(Mood(kind=Kind.DELAY, seconds=30))
    number = house.send(5)
    words = ["run", "--port", str(free_port())] if command == "run" else ["worker"]
    process = house.start(*words, sending_threads=1)
    house.wait_for(lambda: house.is_in_flight, "the first call")
    process.send_signal(signal.SIGTERM)
    time.sleep(2)
    assert process.poll() is None, "a call in flight is waited for"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 1
    said = (house.folder / "said.log").read_text("utf-8")
    assert "1 calls were left in flight" in said
    assert "Traceback" not in said
    assert count(house.db, number).pending == 5, "until its lease has run out"


def test_who_is_at_work_is_known_while_it_lives(house: House) -> None:
    def alive() -> int:
        with house.db.reading() as session:
            return presence.show(session).alive

    assert alive() == 0
    process = house.start("worker")
    house.wait_for(lambda: alive() == 1, "the sign of life")
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert alive() == 0
