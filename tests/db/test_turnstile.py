"""The turnstile's patience: one for the whole wait, whoever waits, and nothing is left open."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailprefs.db import turnstile
from mailprefs.db.turnstile import PATIENCE, Turnstile
from mailprefs.errors import StoreUnavailable

OPEN = Path("/proc/self/fd")


@dataclass
class Clock:
    """A time that passes by sleeping only; at a given time somebody else lets go of a lock."""

    now: float = 1_000.0
    then: dict[float, Callable[[], None]] = field(default_factory=dict)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.then if at <= self.now]:
            self.then.pop(at)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(turnstile, "time", found)
    return found


def held(database: Path, name: str) -> Callable[[], None]:
    """Hold one of a database's lock files, as a process that hangs does; give how to let go."""
    path = database.with_name(f"{database.name}.{name}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return lambda: os.close(descriptor)


def refused_after(database: Path, clock: Clock, *, choice: bool = False) -> float:
    """Try to write where somebody hangs; give after how many seconds that was given up."""
    began = clock.now
    with (
        pytest.raises(StoreUnavailable, match="Try again in a moment"),
        Turnstile(database).writing(choice=choice),
    ):
        pytest.fail("two wrote at once")
    return clock.now - began


@pytest.mark.parametrize("choice", [False, True])
def test_nobody_waits_longer_than_the_patience_for_one_who_hangs(
    tmp_path: Path, clock: Clock, *, choice: bool
) -> None:
    let_go = held(tmp_path / "a.db", "writer")
    waited = refused_after(tmp_path / "a.db", clock, choice=choice)
    assert PATIENCE < waited < PATIENCE + 0.1
    let_go()


def test_the_time_in_line_counts_towards_it(tmp_path: Path, clock: Clock) -> None:
    let_go = held(tmp_path / "a.db", "writer")
    clock.then[clock.now + 0.7 * PATIENCE] = held(tmp_path / "a.db", "queue")
    assert PATIENCE < refused_after(tmp_path / "a.db", clock) < PATIENCE + 0.1
    assert clock.then == {}, "it stood in line for the most of it"
    let_go()


@pytest.mark.parametrize("choice", [False, True])
@pytest.mark.parametrize("name", ["queue", "turn", "writer"])
def test_whoever_gives_up_leaves_no_file_open(
    tmp_path: Path, clock: Clock, name: str, *, choice: bool
) -> None:
    """A service that is refused all night must be able to write in the morning."""
    let_go = held(tmp_path / "a.db", name)
    before = len(list(OPEN.iterdir()))
    for _ in range(3):
        if (name, choice) in {("queue", True), ("turn", False)}:
            with Turnstile(tmp_path / "a.db").writing(choice=choice):
                pass  # who waits for neither is held up by neither
        else:
            refused_after(tmp_path / "a.db", clock, choice=choice)
    assert len(list(OPEN.iterdir())) == before
    let_go()
