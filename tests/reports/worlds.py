"""An attacker who has kept every release, knows every rule, and looks for one value that must be.

He lists all worlds that there could be, small enough to list, and lets the product release the
numbers of each. Worlds with the same releases can't be told apart; what is the same in all of them
is known. He may know more than anybody should: who was written to, and that between two releases
nobody did anything but those he names.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import product
from typing import Any, TypeVar

World = TypeVar("World")
Fact = Callable[[Any], Hashable]


def known(
    worlds: Iterable[World],
    release: Callable[[World], Hashable],
    facts: Callable[[World], dict[str, Hashable]],
) -> dict[Hashable, dict[str, Hashable]]:
    """Give, for every set of releases there can be, the facts that must then be so."""
    seen: dict[Hashable, dict[str, set[Hashable]]] = defaultdict(lambda: defaultdict(set))
    for world in worlds:
        told = seen[release(world)]
        for name, value in facts(world).items():
            told[name].add(value)
    return {
        releases: {name: next(iter(values)) for name, values in told.items() if len(values) == 1}
        for releases, told in seen.items()
    }


def found(
    worlds: Iterable[World],
    release: Callable[[World], Hashable],
    facts: Callable[[World], dict[str, Hashable]],
) -> list[tuple[Hashable, dict[str, Hashable]]]:
    """List the releases that give something away, with what they give away."""
    return [(told, facts) for told, facts in known(worlds, release, facts).items() if facts]


def learned(
    worlds: Iterable[World],
    release: Callable[[World], str],
    facts: Callable[[World], dict[str, Hashable]],
) -> list[tuple[str, set[str]]]:
    """List what later releases give away that the first one didn't; releases are a JSON list."""
    listed = list(worlds)
    after = known(listed, release, facts)
    before = known(listed, lambda world: _first(release(world)), facts)
    gained = {str(told): facts.keys() - before[_first(str(told))] for told, facts in after.items()}
    return [(told, names) for told, names in gained.items() if names]


def _first(releases: str) -> str:
    return json.dumps(json.loads(releases)[:1])


def sums(parts: int, most: int) -> Iterator[tuple[int, ...]]:
    """List all ways in which so many *parts* make at most *most* together."""
    for one in product(range(most + 1), repeat=parts):
        if sum(one) <= most:
            yield one
