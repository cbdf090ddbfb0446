"""Faults that take a minute or more each: of the long form only."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mailprefs.deliveries import breaker
from mailprefs.sandbox.moods import Kind, Mood
from tests.faults import pixels
from tests.faults.engines import Engine
from tests.faults.house import House, house
from tests.faults.processes import until
from tests.faults.verdicts import Figures, judge

SLOW: Final = Mood(kind=Kind.DELAY, seconds=0.1)
USUAL: Final = {"batch_size": 500, "connect_timeout": 10, "read_timeout": 60, "lease": 180}
"""The settings that are in force where nobody sets any."""
MOST_PROBES: Final = 10
"""Three until the breaker opens, and then some at growing intervals."""


def late_answer(engine: Engine, folder: Path) -> Figures:
    """Let the vendor accept after 40 s, with the timeouts that are set where nobody sets any."""
    with house(engine, folder, people=1_000, **USUAL) as one:
        one.vendor.mood(Mood(kind=Kind.ACCEPT_LATE, times=2, seconds=40.0))
        number = one.write()
        one.send(number)
        one.start_workers()
        one.wait(number)
        found = judge(one, [number])
    if found.unknown or found.unclear:
        found.broken.append("an answer after 40 s was not waited for")
    return found


def minute_of_errors(engine: Engine, folder: Path) -> Figures:
    """Let the vendor answer 500 for a minute, in the midst of 100,000 people."""
    with house(engine, folder, people=100_000, **USUAL) as one:
        return errors(one, after=30_000, seconds=60.0)


def errors(one: House, *, after: int, seconds: float) -> Figures:
    """Let the vendor fail for some *seconds* once it has accepted *after* people; give the verdict.

    That may cost the batches in flight when it began, and the probes, which are small.
    """
    one.vendor.mood(SLOW)
    number = one.write()
    one.send(number)
    one.start_workers(2)
    until(lambda: one.vendor.accepted() > after, "the campaign is on its way")
    one.vendor.mood(Mood(kind=Kind.ERROR, seconds=0.05))
    time.sleep(seconds)
    one.vendor.mood(SLOW)
    one.wait(number, seconds=120)
    found = judge(one, [number])
    failed = [call for call in one.vendor.requests() if call.status == 500]
    probes = [call for call in failed if call.recipients <= breaker.PROBE_SIZE]
    in_flight = 2 * one.parts.settings.sending_threads
    batches = len(failed) - len(probes)
    if batches > in_flight:
        found.broken.append(f"{batches} batches failed, {in_flight} were in flight")
    if found.unclear > len(failed):
        found.broken.append(f"{found.unclear} calls are unclear, {len(failed)} failed")
    if found.sent + found.unknown != one.people:
        found.broken.append(f"{found.sent} sent and {found.unknown} unknown of {one.people}")
    if len(probes) > MOST_PROBES:
        found.broken.append(f"{len(probes)} probes in {seconds:g} s")
    return found


SCENARIOS: Final[Mapping[str, Callable[[Engine, Path], Figures]]] = {
    "a 202 after 40 s": late_answer,
    "60 s of 500s, 100,000 people": minute_of_errors,
    "20 kills of the pixel, 2,000 fetches/s": pixels.twenty_kills,
    "30 s without a database": pixels.half_a_minute_away,
}
