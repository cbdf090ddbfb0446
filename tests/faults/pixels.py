"""What may happen to the process that serves the pixel, and to the database behind it."""

import random
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from mailprefs import subscriptions
from tests.faults.engines import Engine
from tests.faults.house import PROMOTIONAL, House, house
from tests.faults.readers import judge, reading
from tests.faults.verdicts import Figures

PER_SECOND = 2_000
SLOWEST = 2.0
"""Seconds that an answer may take at most while the database is away, on a machine that is busy."""


def campaign(one: House) -> int:
    """Send a campaign to everybody; give its number. Its readers' fetches count from now on."""
    number = one.write()
    one.send(number)
    workers = one.start_workers()
    one.wait(number)
    for group in workers:
        group.end()
    return number


def kills(one: House, draw: random.Random, *, times: int) -> Figures:
    """Kill the service while people read; every fetch that was answered is counted, once."""
    found = Figures(runs=1)
    number = campaign(one)
    service = one.start_web()
    with reading(one, number, per_second=PER_SECOND) as readers:
        for _ in range(times):
            before = readers.answered
            time.sleep(draw.uniform(0.6, 1.5))
            service.kill()
            found.kills += 1
            found.in_flight += readers.answered > before
            service = one.start_web()
        time.sleep(0.5)
    found.accepted = readers.answered
    found.broken += judge(one, number, readers)
    return found


def database_away(one: House, *, seconds: float) -> Figures:
    """Take the database away while people read and leave; the pixel answers all the time."""
    found = Figures(runs=1)
    number = campaign(one)
    one.start_web()
    with reading(one, number, per_second=PER_SECOND // 4) as readers:
        time.sleep(1.0)
        leaver = threading.Thread(target=_leave, args=(_leaving_url(one),), daemon=True)
        threading.Timer(1.0, leaver.start).start()
        before = readers.answered
        one.engine.store.go_away(one.parts.settings.database, seconds)
        found.in_flight = readers.answered - before
        time.sleep(1.0)
        leaver.join(30)
    found.accepted = readers.answered
    if readers.failed:
        found.broken.append(f"{readers.failed} fetches were not answered")
    if readers.slowest > SLOWEST:
        found.broken.append(f"an answer took {readers.slowest:.1f} s")
    found.broken += judge(one, number, readers)
    return found


def _leaving_url(one: House) -> str:
    with one.parts.db.reading() as session:
        topic_id = subscriptions.topic(session, PROMOTIONAL).id
    return one.parts.settings.base_url + one.parts.links.unsubscribe_path(1, topic_id, 0)


def _leave(url: str) -> None:
    """Click unsubscribe once; while the database is away that is refused, and never held up."""
    with suppress(OSError), urllib.request.urlopen(url, b"List-Unsubscribe=One-Click", timeout=25):
        pass


def twenty_kills(engine: Engine, folder: Path) -> Figures:
    """Kill the service twenty times."""
    with house(engine, folder, people=20) as one:
        return kills(one, random.Random(), times=20)


def half_a_minute_away(engine: Engine, folder: Path) -> Figures:
    """Take the database away for half a minute."""
    with house(engine, folder, people=20) as one:
        return database_away(one, seconds=30.0)
