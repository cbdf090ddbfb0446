"""One round of kills: campaigns on their way, a vendor in all its moods, groups killed at random.

Everything that chance decides comes from one seed, so that a round can be played again; how far the
processes have come at each of its instants is the machine's.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from mailprefs.policy import MessageClass
from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.sandbox.records import Carried
from mailprefs.schema.campaigns import CampaignState
from tests.faults.house import ADMINISTRATIVE, PROMOTIONAL, House, address
from tests.faults.processes import Group, until
from tests.faults.verdicts import Figures, Kill, judge

WHOLE_HOUSE = 0.1
"""How often every group is killed in the same instant, as by a power cut."""
ANY_GROUP = 0.2
"""How often the killed group is any of them, perhaps one that only starts; else the oldest."""
LATEST = 4.5
"""Seconds until the vendor accepts a very late call: longer than lease and time to settle together,
so that an administrative one has gone again by then."""
VERY_LATE = 0.02
"""How often a call is very late."""
COMPLAINING = 0.3
"""How often somebody reports the notice as spam rather than leaving by a click."""
DECIDED = 0.5
"""How often a person has that sent again which stays unknown."""
_KINDS = (
    (Kind.DELAY, 77),
    (Kind.ACCEPT_LATE, 17),
    (Kind.DROP_BEFORE, 2),
    (Kind.DROP_AFTER, 2),
    (Kind.ERROR, 1),
    (Kind.ERROR_AFTER, 1),
)
"""The vendor's moods and how often each comes. No 429: one slows all calls down for a quarter of an
hour, and then few are in flight."""


@dataclass(frozen=True)
class Plan:
    """How a round is played: how many kills it takes at most, by how many groups it is worked.

    *every*: the least and the most seconds between two kills; *leavers*: people who leave
    meanwhile; *events_late*: how likely it is that the vendor's events are told only at the end.
    """

    kills: int
    groups: int = 3
    every: tuple[float, float] = (0.4, 1.2)
    leavers: int = 40
    events_late: float = 0.5
    seconds: float = 90.0


def play(house: House, plan: Plan, draw: random.Random) -> Figures:
    """Play one round on a house with its pages up; give the verdict."""
    house.vendor.mood(*moods(draw, refused=draw.randint(1, house.people)))
    house.vendor.events(paused=draw.random() < plan.events_late)
    numbers = [house.write(PROMOTIONAL), house.write(ADMINISTRATIVE)]
    for number in numbers:
        house.send(number)
    groups = house.start_workers(plan.groups)
    until(lambda: house.vendor.accepted() > 0, "the first call", seconds=plan.seconds)
    with _leaving(house, plan.leavers, random.Random(draw.random())):
        kills = _kill(house, numbers, groups, plan, draw)
    house.vendor.mood(Mood(kind=Kind.DELAY, seconds=0.05))
    house.wait(*numbers, seconds=plan.seconds)
    house.vendor.events(paused=False)
    time.sleep(LATEST)
    settle(house, *numbers, seconds=plan.seconds)
    found = judge(house, numbers, kills)
    if found.unknown and not found.broken and draw.random() < DECIDED:
        found = _decided(house, numbers, kills, found)
    for group in groups:
        group.end()
    return found


def moods(draw: random.Random, *, refused: int, calls: int = 2_000) -> list[Mood]:
    """Draw the vendor's moods: most calls are slow, some go wrong, one address is refused."""
    kinds, weights = zip(*_KINDS, strict=True)
    drawn = draw.choices(kinds, weights, k=calls)
    found = [
        Mood(kind=Kind.ACCEPT_LATE, times=1, seconds=LATEST)
        if draw.random() < VERY_LATE
        else Mood(kind=kind, times=1, seconds=round(draw.uniform(0.3, 0.8), 3))
        for kind in drawn
    ]
    return [Mood(kind=Kind.REFUSE_ADDRESS, address=address(refused)), *found]


def settle(house: House, *numbers: int, seconds: float = 60.0) -> None:
    """Wait until every event was told, and nothing is left to be settled by them."""
    if house.has_web:
        until(lambda: house.vendor.pending_events() == 0, "all events are told", seconds=seconds)
    time.sleep(house.parts.settings.lease)
    house.wait(*numbers, seconds=seconds)


def _decided(house: House, numbers: list[int], kills: list[Kill], before: Figures) -> Figures:
    """Let a person send again what is unknown once all events are told, and judge once more.

    Then nobody of them has it, so even that sends nobody a second copy.
    """
    held = [number for number in numbers if house.state(number) is CampaignState.HELD]
    for number in held:
        house.call("campaign", "unknown", str(number), "--resend", "--yes")
    settle(house, *numbers)
    found = judge(house, numbers, kills)
    if found.unknown:
        found.broken.append(f"{found.unknown} people are unknown after they were sent again")
    found.unknown = before.unknown
    return found


def _kill(
    house: House, numbers: list[int], groups: list[Group], plan: Plan, draw: random.Random
) -> list[Kill]:
    """Kill groups and start others in their place, until the plan or the campaigns are done."""
    kills: list[Kill] = []
    while len(kills) < plan.kills and any(_is_at_work(house, number) for number in numbers):
        time.sleep(draw.uniform(*plan.every))
        oldest = min(groups, key=lambda group: group.started_at)
        victims = [draw.choice(groups) if draw.random() < ANY_GROUP else oldest]
        if draw.random() < WHOLE_HOUSE:
            victims = list(groups)
        kills += [kill(victim) for victim in victims]
        for victim in victims:
            groups[groups.index(victim)] = house.start_workers()[0]
    return kills


def kill(group: Group) -> Kill:
    """Kill a whole group, and note when that was and what it was."""
    pids, at = group.pids(), datetime.now(UTC)
    group.kill()
    return Kill(at, pids, group.threads)


def _is_at_work(house: House, number: int) -> bool:
    return house.state(number) not in {"finished", "held"}


@contextmanager
def _leaving(house: House, people: int, draw: random.Random) -> Iterator[None]:
    """Let some people leave, one after the other, in the meantime; some report spam instead."""
    stop = threading.Event()

    def leave() -> None:
        for recipient_id in draw.sample(range(1, house.people + 1), people):
            if stop.wait(draw.uniform(0.05, 0.4)):
                return
            about = _notice_to(house, recipient_id) if draw.random() < COMPLAINING else None
            if about is None:
                house.leave(recipient_id)
            else:
                house.complain(about)

    thread = threading.Thread(target=leave, name="leaving", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def _notice_to(house: House, recipient_id: int) -> Carried | None:
    """Give the notice that somebody has got, while the newsletter may still be on its way."""
    mine = address(recipient_id)
    is_notice = MessageClass.ADMINISTRATIVE.value
    for one in house.vendor.carried():
        if one.email == mine and one.message_class == is_notice:
            return one
    return None
