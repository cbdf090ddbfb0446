"""Nobody's open, and no hidden number, can be computed from all that was ever released.

Each attack is tried with all rules in force, where it must find nothing, and with the one rule
switched off that stands in its way, where it must succeed: so each rule is shown to be needed.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import pytest

from mailprefs.opens import DELIVERED, FETCHED
from mailprefs.policy import MessageClass
from mailprefs.reports import cells, counted, releases, tables
from mailprefs.reports.campaigns import opens_of
from mailprefs.reports.cells import Rule, Shown
from mailprefs.reports.counted import Sums
from mailprefs.reports.releases import Stored
from mailprefs.reports.tables import Counted, Table
from mailprefs.schema.campaigns import Campaign
from tests.reports.counting import (
    APPLE_LOADED,
    APPLE_OPENED,
    APPLE_SILENT,
    OPENED,
    SILENT,
)
from tests.reports.worlds import found, known, learned, sums

SENT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LOADED = DELIVERED | FETCHED
RULE = Rule(people=6)
"""The product's rule for fewer people, so that all worlds can be listed."""
CAMPAIGN = Campaign(
    id=1,
    message_class=MessageClass.PROMOTIONAL,
    first_hand_over_at=SENT,
    report_zone="UTC",
)


class Moment(NamedTuple):
    """What had been counted at one time: messages by their bits, and opens by hour."""

    at: datetime
    bits: dict[int, int]
    hours: dict[str, int]

    @property
    def sums(self) -> Sums:
        """Give it as the product reads it."""
        return Sums(self.bits, sum(self.bits.values()), self.hours, {}, {}, 0, frozenset())


@cache
def at_all(opened: int, people: int, later: tuple[int, int] | None = None) -> str:
    """Give what is told of so many openers, and a day later of more; each is worked out once."""
    moments = [at(1, opened, people - opened)]
    if later is not None:
        moments.append(at(2, later[0], later[1] - later[0]))
    return told(*moments)


def told(*moments: Moment, rule: Rule = RULE, rounded: bool = False, closing: bool = False) -> str:
    """Give all that was ever told, as the API tells it, of somebody who asked at each moment.

    *closing*: at the last moment the campaign closes, without a rule of its own.
    """
    before: Stored | None = None
    answers = []
    for number, moment in enumerate(moments):
        is_last = closing and number == len(moments) - 1
        if is_last or releases.is_due(CAMPAIGN, before, now=moment.at, asked=True):
            known = None if is_last else before
            after = releases.look(moment.sums, CAMPAIGN, known, now=moment.at, rule=rule)
            before = after or before
        opens = opens_of(before, CAMPAIGN, rounded=rounded)
        answers.append(opens.as_json() | {"definitions": None} if opens else None)
    return json.dumps(answers)


def at(days: float, opened: int, silent: int) -> Moment:
    """Give a moment at which so many have opened, all of them in the first hour."""
    bits = {bit: n for bit, n in ((OPENED, opened), (SILENT, silent)) if n}
    return Moment(SENT + days * DAY, bits, {"2026-03-02T10": opened} if opened else {})


# --- people: who was written to is known, and that between two releases nobody else did anything -


class Before(NamedTuple):
    """Eight people, each of whom opened or not; and what those who come after do."""

    people: tuple[int, ...]
    later: tuple[int, ...]

    def bits(self) -> dict[str, Any]:
        """Give who opened, as the facts that nobody may learn."""
        return {f"person {place}": bit for place, bit in enumerate(self.people + self.later)}


def everybody(later: int) -> Iterator[Before]:
    for people in product((0, 1), repeat=8):
        for after in product((0, 1), repeat=later):
            yield Before(people, after)


def joining(world: Before) -> str:
    """Let some join, who may open; nobody else does anything."""
    last = (sum(world.people + world.later), 8 + len(world.later))
    return at_all(sum(world.people), 8, last)


def opening(world: Before) -> str:
    """Let the last of the eight open between the two releases; nobody else does anything."""
    return at_all(sum(world.people[:-1]), 8, (sum(world.people), 8))


def opening_together(world: Before) -> str:
    """Let the last four of the eight open between the two releases; nobody else does anything."""
    return at_all(sum(world.people[:-4]), 8, (sum(world.people), 8))


def erased(world: Before, *, stays: bool = True) -> str:
    """Erase the first, while ten messages are delivered this instant and six of one's own opened.

    Who attacks has twelve mailboxes of his own among the people, and had opened in four of them.
    """
    first = sum(world.people) + 4
    gone = 0 if stays else 1
    opened = first + 6 - gone * world.people[0]
    return at_all(first, 20, (opened, 30 - gone))


def closed(world: Before) -> str:
    """Let the last of the eight open between the last release and the campaign's closing."""
    first, second = sum(world.people[:-1]), sum(world.people)
    return told(at(1, first, 8 - first), at(90, second, 8 - second), closing=True)


def once(world: Before) -> str:
    """Release once, and nothing after it."""
    return at_all(sum(world.people), 8)


def few(world: tuple[int, ...], rule: Rule = RULE) -> str:
    """Release once about so few people."""
    return told(at(1, sum(world), len(world) - sum(world)), rule=rule)


def names(world: tuple[int, ...]) -> dict[str, Any]:
    return {f"person {place}": bit for place, bit in enumerate(world)}


@pytest.mark.parametrize(
    ("story", "later"),
    [(once, 0), (joining, 1), (joining, 2), (joining, 6), (opening, 0)],
)
def test_nobodys_open_can_be_computed(story: Callable[[Before], str], later: int) -> None:
    assert found(everybody(later), story, Before.bits) == []


@pytest.mark.parametrize("story", [opening, opening_together, erased])
def test_nothing_is_learned_by_looking_before_and_after(story: Callable[[Before], str]) -> None:
    assert learned(everybody(0), story, Before.bits) == []


def test_without_k_a_list_of_three_tells_of_all() -> None:
    three = list(product((0, 1), repeat=3))
    assert found(three, few, names) == []
    assert found(three, lambda world: few(world, RULE._replace(people=1)), names)


def test_without_the_fewest_everybody_and_nobody_are_told() -> None:
    def without(world: Before) -> str:
        opened = sum(world.people)
        return told(at(1, opened, 8 - opened), rule=RULE._replace(fewest=0))

    assert found(everybody(0), without, Before.bits)


def test_without_k_changes_four_who_open_are_told(switched: pytest.MonkeyPatch) -> None:
    switched.setattr(counted, "changed", lambda before, now: RULE.people)
    assert learned(everybody(0), opening_together, Before.bits)


def test_without_steady_numbers_six_who_join_and_dont_open_are_told(
    switched: pytest.MonkeyPatch,
) -> None:
    switched.setattr(cells, "_steady", lambda new, before, rule: new)
    assert found(everybody(6), joining, Before.bits)


def test_without_looking_at_who_joined_six_who_join_and_open_are_told(
    switched: pytest.MonkeyPatch,
) -> None:
    switched.setattr(cells, "may_follow", lambda new, before, rule: True)
    assert found(everybody(6), joining, Before.bits)


def test_if_breakdowns_were_told_beside_a_steady_number_their_total_would_tell_it(
    switched: pytest.MonkeyPatch,
) -> None:
    switched.setattr(releases, "_is_told_anew", lambda totals, known: True)
    assert found(everybody(6), joining, Before.bits)


def test_if_sums_followed_erasures_the_erased_ones_open_would_be_told() -> None:
    assert learned(everybody(0), lambda world: erased(world, stays=False), Before.bits)


def test_if_closing_had_no_rule_whoever_opened_last_would_be_told() -> None:
    assert learned(everybody(0), opening, Before.bits) == []
    assert learned(everybody(0), closed, Before.bits)


# --- time, fives, filters ------------------------------------------------------------------------


def hourly(world: tuple[int, ...]) -> str:
    """Somebody asks after an hour, after the next one, and two days later."""
    first, second, _ = world
    answers = [at(0.04, first, 60 - first), at(0.08, first + second, 60 - first - second)]
    opened = sum(world)
    return told(*answers, at(2, opened, 60 - opened))


def second_hour(world: tuple[int, ...]) -> dict[str, Any]:
    return {"in the second hour": world[1]}


def test_without_one_release_a_day_an_hours_opens_are_subtracted(
    switched: pytest.MonkeyPatch,
) -> None:
    times = [(first, *rest) for first in range(6, 9) for rest in sums(2, 10)]
    assert [told for told in found(times, hourly, second_hour) if is_busy(told[0])] == []
    switched.setattr(releases, "EVERY", timedelta())
    assert [told for told in found(times, hourly, second_hour) if is_busy(told[0])]


def is_busy(answers: Any) -> bool:  # noqa: ANN401 - what was told, as JSON
    """Tell whether enough opened after the first answer for a last one to be told."""
    first, _, last = json.loads(answers)
    return bool(first["confirmed"]["n"]) and last["confirmed"]["n"] - first["confirmed"]["n"] > 6


def test_opens_of_a_small_campaign_are_not_told_by_the_hour(
    switched: pytest.MonkeyPatch,
) -> None:
    def release(world: tuple[int, ...]) -> str:
        times = {f"2026-03-02T{10 + place}": n for place, n in enumerate(world) if n}
        bits = {OPENED: sum(world), SILENT: 60 - sum(world)}
        return told(Moment(SENT + DAY / 2, bits, times))

    worlds = [(first, second) for first, second in sums(2, 12) if first + second > 3]
    assert found(worlds, release, second_hour) == []
    switched.setattr(counted, "HOURS_FROM", 0)
    assert found(worlds, release, second_hour)


def test_without_fives_an_analyst_who_knows_all_others_learns_of_the_last() -> None:
    def facts(world: int) -> dict[str, Any]:
        return {"the last person": world}

    assert found((0, 1), lambda last: told(at(1, 10 + last, 20 - last), rounded=True), facts) == []
    assert found((0, 1), lambda last: told(at(1, 10 + last, 20 - last)), facts)


def test_with_free_filters_everybody_but_one_could_be_asked_for() -> None:
    def asked(world: Before) -> tuple[Any, ...]:
        everyone = cells.cell(sum(world.people), 8, RULE)
        return everyone, cells.cell(sum(world.people[1:]), 7, RULE)

    assert found(everybody(0), asked, Before.bits)
    assert found(everybody(0), lambda world: asked(world)[0], Before.bits) == []


# --- totals: the numbers that are hidden in them -------------------------------------------------

PARTS = (SILENT, OPENED, APPLE_SILENT, APPLE_LOADED, APPLE_OPENED, LOADED)


def counts_of(world: tuple[int, ...]) -> dict[int, int]:
    return {bits: n for bits, n in zip(PARTS, world, strict=True) if n}


@cache
def total(world: tuple[int, ...]) -> str:
    bits = counts_of(world)
    return told(Moment(SENT + DAY, bits, {}))


def hidden_totals(world: tuple[int, ...]) -> dict[str, Any]:
    """Give the totals that may not be told exactly of this world."""
    silent, opened, apple_silent, apple_loaded, apple_opened, loaded = world
    people = sum(world)
    apple = apple_silent + apple_loaded + apple_opened
    everything = {
        "opened": (opened + apple_opened, people),
        "loaded": (opened + loaded + apple_loaded + apple_opened, people),
        "opened behind Apple's proxy": (apple_opened, apple),
        "opened elsewhere": (opened, silent + opened + loaded),
    }
    return {
        name: n
        for name, (n, of) in everything.items()
        if of and cells.cell(n, of, RULE).shown is not Shown.EXACT
    }


def given_away(worlds: list[tuple[int, ...]]) -> list[Any]:
    """List what is known in worlds in which it may not be told."""
    facts = known(worlds, total, lambda world: dict.fromkeys(("",), 0) | every_total(world))
    return [
        (world, name)
        for world in worlds
        for name in hidden_totals(world)
        if name in facts[total(world)]
    ]


def every_total(world: tuple[int, ...]) -> dict[str, Any]:
    _, opened, _, apple_loaded, apple_opened, loaded = world
    return {
        "opened": opened + apple_opened,
        "loaded": opened + loaded + apple_loaded + apple_opened,
        "opened behind Apple's proxy": apple_opened,
        "opened elsewhere": opened,
    }


def of_ten() -> list[tuple[int, ...]]:
    return [(10 - sum(rest), *rest) for rest in sums(5, 10)]


def test_no_hidden_total_can_be_computed() -> None:
    assert given_away(of_ten()) == []


def test_without_a_distance_between_them_the_two_rates_tell_what_is_hidden(
    switched: pytest.MonkeyPatch,
) -> None:
    def beside(exact: Any, seen: Any, confirmed: Any, rule: Rule) -> Shown:  # noqa: ANN401 - as the product's
        return cells.cell(exact.loaded, exact.delivered, rule).shown

    switched.setattr(cells, "_reported", beside)
    assert given_away(of_ten())


def test_if_parts_were_told_as_they_are_few_apple_people_would_be_told(
    switched: pytest.MonkeyPatch,
) -> None:
    switched.setattr(cells, "releasable", lambda seen, rule: seen)
    assert given_away(of_ten())


# --- breakdowns: two releases of a table ---------------------------------------------------------


class Twice(NamedTuple):
    """What was counted in each cell, and how much was added later."""

    first: tuple[int, ...]
    added: tuple[int, ...]
    values: str = "abc"

    def tables(self, rule: Rule = RULE) -> tuple[Table | None, Table | None]:
        """Give both tables as they are told."""
        then = dict(zip(self.values, self.first, strict=False))
        now = {v: then.get(v, 0) + n for v, n in zip(self.values, self.added, strict=False)}
        grows = len(self.first) < len(self.added)
        before = tables.told(_counted(then, grows=grows), None, rule)
        return before, tables.told(_counted(now, grows=grows), before, rule)

    def cells(self) -> dict[str, Any]:
        """Give every cell of both tables, and what was added."""
        then = {f"{v} at first": n for v, n in zip(self.values, self.first, strict=False)}
        both = dict(zip(self.values, self.first, strict=False))
        added = {f"added to {v}": n for v, n in zip(self.values, self.added, strict=False)}
        now = {
            f"{v} at last": both.get(v, 0) + n
            for v, n in zip(self.values, self.added, strict=False)
        }
        return then | now | added


def _counted(counts: dict[str, int], *, grows: bool) -> Counted:
    values = frozenset(counts)
    return Counted(counts, sum(counts.values()), 1_000, RULE.fewest, values, grows=grows)


def twice(first: int, added: int) -> list[Twice]:
    """List the worlds of tables that tell something at first and at last."""
    then = [one for one in sums(first, 7) if sum(one) > 3]
    return [Twice(one, more) for one in then for more in sums(added, 7) if sum(more) >= 6]


def subtracted(worlds: list[Twice]) -> list[Any]:
    """List what is known of cells, and of what was added to them, that isn't told."""
    told = {world: world.tables() for world in worlds}
    told = {world: both for world, both in told.items() if both[0] is not None}
    facts = known(told, lambda world: str(told[world]), Twice.cells)
    return [
        (world, name)
        for world, (before, after) in told.items()
        for name, value in facts[str((before, after))].items()
        if before is not None and after is not None and not _is_told(name, value, before, after)
    ]


def _is_told(name: str, value: Any, before: Table, after: Table) -> bool:  # noqa: ANN401 - a fact
    """Tell whether a fact is just what the two tables say, by themselves or by their difference."""
    if name.startswith("added to "):
        cell = name[-1]
        is_new = value >= RULE.fewest or (not value and not after.rest)
        return cell in after.cells and (is_new or before == after)
    cell, table = name[0], before if name.endswith("first") else after
    return before == after if table is after and before == after else table.cells.get(cell) == value


@pytest.mark.parametrize(("first", "added"), [(3, 3), (2, 3), (1, 2)])
def test_no_hidden_cell_can_be_subtracted(first: int, added: int) -> None:
    assert subtracted(twice(first, added)) == []


@pytest.mark.parametrize(
    ("rule", "first"),
    [("tells_nobody", 3), ("_is_full", 3), ("leave_out", 3), ("_may_be_told", 3)],
)
def test_each_rule_of_breakdowns_is_needed(
    switched: pytest.MonkeyPatch, rule: str, first: int
) -> None:
    switched.setattr(tables._Draft, rule, _WITHOUT[rule])  # noqa: SLF001 - one of its rules is switched off
    assert subtracted(twice(first, 3))


def test_if_late_cells_were_told_apart_they_could_be_subtracted(
    switched: pytest.MonkeyPatch,
) -> None:
    assert subtracted(twice(2, 3)) == []
    switched.setattr(Counted, "grows", False)
    assert subtracted(twice(2, 3))


def _smallest(draft: Any) -> bool:  # noqa: ANN401 - the product's draft
    """Leave out the smallest, as most programs do."""
    anew = vars(draft)["_anew"]
    if not anew:
        return False
    del anew[min(anew, key=lambda value: (anew[value], value))]
    return True


def _any_change(draft: Any, value: str) -> bool:  # noqa: ANN401 - the product's draft
    """Tell every change of a cell that is told."""
    parts = vars(draft)
    told_before = parts["_before"].cells.get(value)
    n = parts["_counted"].counts[value]
    return bool(n >= RULE.fewest if told_before is None else n != told_before)


_WITHOUT: dict[str, Callable[..., bool]] = {
    "tells_nobody": lambda draft: True,
    "_is_full": lambda draft, rest, hidden, unchanged: False,
    "leave_out": _smallest,
    "_may_be_told": _any_change,
}


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Give what switches a rule off for the rest of a test."""
    for memo in (at_all, total):
        memo.cache_clear()
    yield monkeypatch
    for memo in (at_all, total):
        memo.cache_clear()
