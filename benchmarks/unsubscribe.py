"""How long somebody who leaves waits for the answer while a campaign is frozen and sent.

Header POSTs come at a steady rate, each for another person of an earlier campaign, as mail
providers pass them on. They begin when the campaign does, so its list is made and its batches are
claimed meanwhile; the stand-in for the vendor takes 20 calls a second. Each time is counted from
when the POST was due, so a service which stalls cannot hide it by holding up the next ones.

    benchmarks/unsubscribe.py [--quick] [--people N] [--rate N] [--only sqlite|postgres]
"""

import http.client
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import select

from benchmarks.measure.postgresql import fresh_database, postgresql
from benchmarks.measure.runs import options, percentile, report, say
from benchmarks.send import Installation
from mailprefs.db.database import Database
from mailprefs.links import Links
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.events import MailboxTotal

MOST_P95: Final = 0.100
MOST: Final = 1.0
CALLS: Final = 20
"""Calls a second that the stand-in for the vendor takes."""
SECRET: Final = sha256(b"the token key of a benchmark whose links lead nowhere").hexdigest()
_ADDRESS_KEY: Final = sha256(b"the address key of an installation that mails nobody").hexdigest()
_CHILD: Final = Path(__file__).with_name("measure") / "unsubscribe_child.py"
_ROOT: Final = Path(__file__).resolve().parents[1]
_SENDERS: Final = 32
_LONGEST: Final = 600.0
_READY: Final = 60.0
_BODY: Final = b"List-Unsubscribe=One-Click"
_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class Answered(NamedTuple):
    """One POST: its status (0: none came), and the seconds from when it was due to its answer."""

    status: int
    seconds: float


class Measured(NamedTuple):
    """What the people who left during one campaign saw."""

    answers: list[Answered]
    left: int

    @property
    def figures(self) -> dict[str, float]:
        """Give milliseconds, and how many were answered with what."""
        times = [one.seconds * 1000 for one in self.answers]
        return {
            "posts": len(times),
            "p50_ms": round(percentile(times, 0.50), 1),
            "p95_ms": round(percentile(times, 0.95), 1),
            "max_ms": round(max(times), 1),
            "not_200": sum(one.status != http.client.OK for one in self.answers),
            "http_503": sum(one.status == http.client.SERVICE_UNAVAILABLE for one in self.answers),
        }


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@contextmanager
def service(url: str, sandbox: str, folder: Path) -> Iterator[int]:
    """Run the service on a database; give its port once it answers."""
    port = _port()
    own = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": url,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "ENVIRONMENT": "sandbox",
        "TOKEN_KEYS": SECRET,
        "ADDRESS_KEY": _ADDRESS_KEY,
        "SENDGRID_HOST": sandbox,
        "SENDGRID_API_KEY": "SG.sandbox",
    }
    own = {f"MAILPREFS_{name}": text for name, text in own.items()}
    with _running([sys.executable, str(_CHILD), str(port)], port, own):
        yield port


@contextmanager
def vendor() -> Iterator[str]:
    """Run the stand-in for the vendor in a process of its own; give where it listens."""
    port = _port()
    words = [sys.executable, "-m", "mailprefs.cli.main", "sandbox", "--webhook", ""]
    words += ["--port", str(port), "--calls-per-second", str(CALLS)]
    with _running(words, port, {}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(words: list[str], port: int, own: Mapping[str, str]) -> Iterator[None]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), **own}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    ends = time.monotonic() + _READY
    while time.monotonic() < ends and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            line.request("GET", "/healthz")
            if line.getresponse().status < http.client.INTERNAL_SERVER_ERROR:
                line.close()
                return
        time.sleep(0.1)
    raise SystemExit(f"What should listen on port {port} doesn't answer.")


class Leaving:
    """People who leave at a steady rate, from *begin* to *end*, each by a link of their own."""

    def __init__(self, port: int, paths: list[str], rate: float) -> None:
        """Prepare the POSTs to *port*."""
        self._port = port
        self._paths = paths
        self._rate = rate
        self._due: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(_SENDERS)]
        self._clock = threading.Thread(target=self._tick)

    def begin(self) -> None:
        """Let the first one leave."""
        for thread in (*self._threads, self._clock):
            thread.start()

    def end(self) -> list[Answered]:
        """Let nobody else leave; give what everybody was answered."""
        self._over.set()
        self._clock.join()
        for thread in self._threads:
            thread.join()
        return [self._answers.get() for _ in range(self._answers.qsize())]

    def _tick(self) -> None:
        began = time.perf_counter()
        for number, path in enumerate(self._paths):
            due = began + number / self._rate
            if self._over.wait(max(0.0, due - time.perf_counter())):
                break
            self._due.put((due, path))
        for _ in self._threads:
            self._due.put(None)

    def _send(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while (one := self._due.get()) is not None:
            due, path = one
            status = 0
            try:
                line.request("POST", path, body=_BODY, headers=_HEADERS)
                answer = line.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                line.close()
            self._answers.put(Answered(status, time.perf_counter() - due))
        line.close()


def measure(url: str, folder: Path, *, people: int, rate: float, name: str) -> Measured:
    """Send one campaign to everybody, and let people leave from its beginning to its end."""
    installation = Installation(name, url, people)
    earlier = 1 << 20
    links = Links([bytes.fromhex(SECRET)])
    paths = [links.unsubscribe_path(one, 1, earlier << 32 | one) for one in range(1, people + 1)]
    # Those who are frozen and claimed last leave too: the order is not that of the list.
    paths = paths[::2] + paths[1::2]
    with vendor() as host, service(url, host, folder) as port:
        leaving = Leaving(port, paths, rate)
        leaving.begin()
        campaign_id = installation.make_campaign()
        _until_sent(url, campaign_id)
        answers = leaving.end()
    installation.close()
    return Measured(answers, _counted(url))


def _until_sent(url: str, campaign_id: int) -> None:
    db, ends = Database(url), datetime.now(UTC) + timedelta(seconds=_LONGEST)
    while datetime.now(UTC) < ends:
        with db.reading() as session:
            state = session.scalar(select(Campaign.state).where(Campaign.id == campaign_id))
        if state is CampaignState.FINISHED:
            db.close()
            return
        time.sleep(0.25)
    raise SystemExit("The campaign was not sent in time.")


def _counted(url: str) -> int:
    """Give how many people the database says have left."""
    db = Database(url)
    with db.reading() as session:
        n = session.scalar(select(MailboxTotal.n).where(MailboxTotal.event == "unsubscribed"))
    db.close()
    return n or 0


def _missed(name: str, measured: Measured, figures: Mapping[str, float]) -> Iterator[str]:
    if figures["p95_ms"] > MOST_P95 * 1000:
        yield f"{name}: 95 % are answered within {figures['p95_ms']} ms, not {MOST_P95 * 1000:g}."
    if figures["max_ms"] > MOST * 1000:
        yield f"{name}: somebody waited for {figures['max_ms']} ms."
    if figures["not_200"]:
        found = Counter(one.status for one in measured.answers if one.status != http.client.OK)
        yield f"{name}: {dict(found)} were answered, not 200."
    answered = sum(one.status == http.client.OK for one in measured.answers)
    if measured.left != answered:
        yield f"{name}: {answered} were told that they left, and {measured.left} have."


def main() -> int:
    """Measure on each database; give the exit status."""
    parser = options("How long an unsubscribe takes while a campaign is sent.")
    parser.add_argument("--people", type=int)
    parser.add_argument("--rate", type=float, default=200.0, help="POSTs a second")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    asked = parser.parse_args()
    people = asked.people or (10_000 if asked.quick else 100_000)
    ratios: dict[str, float] = {}
    figures: dict[str, float] = {}
    missed: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailprefs-leave-")))
        places = {"sqlite": f"sqlite:///{folder / 'leaving.db'}"}
        if asked.only != "sqlite":
            server = stack.enter_context(postgresql(folder / "server"))
            places["postgres"] = fresh_database(server, "leaving")
        for name, url in places.items():
            if asked.only not in {None, name}:
                continue
            measured = measure(url, folder / name, people=people, rate=asked.rate, name=name)
            found = measured.figures
            say(f"  {name:<10} {found}")
            ratios[name] = round(MOST_P95 * 1000 / max(found["p95_ms"], 0.1), 2)
            figures |= {f"{name}_{figure}": value for figure, value in found.items()}
            missed += _missed(name, measured, found)
    return report("unsubscribe", ratios, figures, missed=missed, is_quick=asked.quick)


if __name__ == "__main__":
    sys.exit(main())
