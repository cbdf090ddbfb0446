"""The demo's installation: a folder of its own, its settings, and the two servers it runs."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parent.parent
MARKER = ".made-by-the-demo"
"""A file that says that a folder may be made anew; nothing else is ever removed."""
COMMAND = (sys.executable, "-m", "mailprefs.cli.main")
API_KEY = "SG.sandbox.nothing-real-is-sent"


class DemoError(Exception):
    """Something of the demo's own surroundings doesn't work; the text says what."""


class Installation:
    """A fresh installation in *folder*, for ``with``: every server ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{_port(8400)}"
        self.mailbox = f"http://127.0.0.1:{_port(8410)}"
        self._servers: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self._settings = {
            "ENVIRONMENT": "sandbox",
            "DATA_DIR": str(folder / "data"),
            "BASE_URL": self.url,
            "SENDGRID_HOST": self.mailbox,
            "SENDGRID_API_KEY": API_KEY,
            "CONTACT": "hello@lindenhof.example",
            "INBOUND_MAILBOX": "unsubscribe@in.lindenhof.example",
            "TIME_ZONE": "Europe/Berlin",
            "UNDO_DELAY": "2",
            # Small and slow on purpose: there is something to watch.
            "BATCH_SIZE": "60",
            "SEND_RATE": "240",
        }

    def __enter__(self) -> Self:
        if self.folder.exists():
            if not (self.folder / MARKER).exists():
                msg = f"{self.folder} exists and isn't the demo's; move it away first."
                raise DemoError(msg)
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / MARKER).touch()
        return self

    def __exit__(self, *_: object) -> None:
        for server in reversed(self._servers):
            server.terminate()
        for server in reversed(self._servers):
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        for log in self._logs:
            log.close()

    @property
    def command(self) -> Path:
        """Give the program that runs commands of ``mailprefs`` on this installation."""
        return self.folder / "mailprefs"

    def write_command(self) -> None:
        """Write that program, so that a line of a terminal needs no settings of its own."""
        own = (f"export {name}={shlex.quote(text)}" for name, text in self._own().items())
        run = f'exec {shlex.join(COMMAND)} "$@"'
        self.command.write_text("\n".join(["#!/bin/sh", *own, run]) + "\n", encoding="utf-8")
        self.command.chmod(0o700)

    def start_sandbox(self) -> None:
        """Start the vendor's stand-in, and trust its key for events."""
        self._start(
            "sandbox",
            *("--port", self.mailbox.rpartition(":")[2]),
            *("--store", str(self.folder / "sandbox.db")),
            *("--webhook", f"{self.url}/webhooks/sendgrid/events"),
            *("--key-file", str(self.folder / "sandbox-key.pem")),
        )
        key = self._ready(f"{self.mailbox}/sandbox/webhook-key")
        self._settings["SENDGRID_WEBHOOK_KEY"] = key.decode().strip()
        self._settings["SENDGRID_INBOUND_KEY"] = key.decode().strip()

    def start_service(self) -> None:
        """Start the service: pages, pixel, webhook, and the sending of campaigns."""
        self._start("run", "--port", self.url.rpartition(":")[2])
        self._ready(f"{self.url}/healthz")

    def wait(self) -> None:
        """Wait until a server ends or somebody presses Ctrl-C."""
        while all(server.poll() is None for server in self._servers):
            time.sleep(0.5)

    def call(self, *words: str, allowed: tuple[int, ...] = (0,)) -> str:
        """Run one command of ``mailprefs`` and give what it printed.

        :raises DemoError: with what it said, unless it exits with an *allowed* status.
        """
        done = subprocess.run(
            [*COMMAND, *words],
            env=self._environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in allowed:
            said = (done.stderr or done.stdout).strip()
            msg = f"`mailprefs {' '.join(words[:2])}` exited with {done.returncode}: {said}"
            raise DemoError(msg)
        return done.stdout.strip()

    def ask(self, *words: str) -> Any:  # noqa: ANN401 - whatever JSON the command prints
        """Run one command with ``--json`` and give what it answered."""
        return json.loads(self.call(*words, "--json"))

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if "MAILPREFS" not in name}
        return kept | self._own()

    def _own(self) -> dict[str, str]:
        """Give what the commands of this installation need in their environment."""
        own = {f"MAILPREFS_{name}": value for name, value in self._settings.items()}
        return own | {"PYTHONPATH": str(ROOT)}

    def _start(self, *words: str) -> None:
        log = (self.folder / f"{words[0]}.log").open("wb")
        self._logs.append(log)
        self._servers.append(
            subprocess.Popen(
                [*COMMAND, *words], env=self._environment(), cwd=ROOT, stdout=log, stderr=log
            )
        )

    def _ready(self, url: str) -> bytes:
        """Wait for a server to answer; give its answer.

        :raises DemoError: if it ends, or doesn't answer within 30 seconds.
        """
        server, until = self._servers[-1], time.monotonic() + 30
        while server.poll() is None and time.monotonic() < until:
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    body: bytes = answer.read()
                    return body
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
        logs = ", ".join(Path(log.name).name for log in self._logs)
        msg = f"A server of the demo didn't start; see {logs} in {self.folder}."
        raise DemoError(msg)


def _port(wanted: int) -> int:
    """Give *wanted* if nobody listens on it, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
            return number
    msg = "No free port on 127.0.0.1."
    raise DemoError(msg)
