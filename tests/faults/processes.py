"""``mailprefs`` as process groups of their own: started, stopped, killed as a whole."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "mailprefs.cli.main")


class _Child(Protocol):
    """What ``subprocess`` knows of a process, and the nursery of one that it has forked."""

    pid: int

    def poll(self) -> int | None:
        """Give the exit status, None while it lives."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status."""
        ...


class _Nursery:
    """Asks the process that forks the program; the first start pays for loading it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, wish: Mapping[str, object]) -> Any:  # noqa: ANN401 - whatever JSON it says
        """Give the answer to one wish."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.faults.nursery"],
                    cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                atexit.register(self.close)
            process = self._process
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(wish) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

    def close(self) -> None:
        """End the nursery; what it has forked goes on."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.wait(10)
            process.stdout.close()


_NURSERY: Final = _Nursery()


class _Forked:
    """A process of the nursery's."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        wish = {"words": list(words), "environment": dict(environment), "log": str(log)}
        self.pid: int = _NURSERY.ask(wish)
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None:
            self._status = _NURSERY.ask({"poll": self.pid})
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        ends = time.monotonic() + (timeout or 60.0)
        while (status := self.poll()) is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired("mailprefs", timeout or 60.0)
            time.sleep(0.01)
        return status


class Group:
    """``mailprefs`` with these words and all its children; nothing of it outlives ``kill``."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        threads: int = 0,
        is_loaded: bool = True,
    ) -> None:
        """Start it; what it says goes to the end of *log*. *threads*: how many calls at once.

        Unless *is_loaded*, it is a program from the start on, as a program must be that starts
        itself again in its children.
        """
        self.threads = threads
        self.log = log
        self.started_at = time.time()
        self._process: _Child
        if is_loaded:
            self._process = _Forked(words, environment, log)
        else:
            self._process = _started(words, environment, log)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def pids(self) -> frozenset[int]:
        """List the group's processes."""
        return frozenset(pid for pid, group in _groups() if group == self._process.pid)

    def kill(self) -> None:
        """End the whole group at once, as a power cut does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Stop the whole group where it stands (SIGSTOP), as a paused virtual machine does."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask the program to end (SIGTERM)."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end; give its exit status."""
        return self._process.wait(seconds)

    def end(self) -> int:
        """Ask it to end and wait; kill what doesn't, which is an exit status below 0."""
        self.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def said(self) -> str:
        """Give what it has written to its log."""
        return self.log.read_text("utf-8", "replace")


def _started(
    words: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [*COMMAND, *words],
            env=dict(environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def run(
    words: Sequence[str], environment: Mapping[str, str], log: Path, *, seconds: float = 60.0
) -> tuple[int, str]:
    """Run one command to its end; give its exit status and what it said."""
    log.unlink(missing_ok=True)
    status = Group(words, environment, log).wait(seconds)
    return status, log.read_text("utf-8")


def until(is_so: Callable[[], object], what: str, *, seconds: float = 60.0) -> None:
    """Wait until something is so; fail with *what* was waited for after some *seconds*."""
    ends = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.05)


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _groups() -> list[tuple[int, int]]:
    """List every process with its group, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # pid (name) state parent group ...; a name may hold blanks and brackets.
            fields = stat.read_text().rpartition(")")[2].split()
            found.append((int(stat.parent.name), int(fields[2])))
    return found
