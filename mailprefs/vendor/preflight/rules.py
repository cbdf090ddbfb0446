"""What a broken rule is, and the few questions that every part of a request is asked."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MOST_PEOPLE = 1_000
"""Recipients in one request: to, cc and bcc of all personalizations together."""
MOST_BYTES = 10_000
"""Bytes of one person's substitutions, and of the custom args (root and personal merged)."""

Place = tuple[str | int, ...]
Object = Mapping[str, Any]

LINE_BREAK = re.compile(r"[\r\n\0]")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
}


class Fault(NamedTuple):
    """One broken rule: where in the request, and what is wrong there."""

    place: Place
    problem: str

    @property
    def field(self) -> str:
        """Name the place as the vendor does, as in ``personalizations.3.to.0.email``."""
        return ".".join(str(step) for step in self.place)

    @property
    def sentence(self) -> str:
        """Say it to a person, the place as in ``personalizations[3].to[0].email``."""
        where = ""
        for step in self.place:
            where += f"[{step}]" if isinstance(step, int) else f".{step}"
        return f"{where.removeprefix('.') or 'the request'}: {self.problem}"


Faults = Iterator[Fault]


def unknown(part: Object, place: Place, known: frozenset[str]) -> Faults:
    """Fault each name of *part* that isn't *known*: a misspelt name is silently without effect."""
    for number, name in enumerate(part, start=1):
        if name not in known:
            yield Fault(place, f"the vendor doesn't know {called(name, number)}.")


def called(name: str, number: int) -> str:
    """Name an entry in a sentence, by its number if its name could be anything."""
    return name if _PLAIN_NAME.fullmatch(name) else f"entry {number}"


def exactly(part: Object, name: str, kind: type, place: Place) -> Faults:
    """Fault *name* if it is there and not exactly of *kind*: true is no number here."""
    if name in part and type(part[name]) is not kind:
        yield Fault((*place, name), f"it must be {_KINDS[kind]}.")


def repeats(entries: list[object]) -> bool:
    """Tell whether two entries of a list are the same, however they are ordered inside."""
    return len({json.dumps(entry, sort_keys=True) for entry in entries}) < len(entries)


def weight(pairs: Object, place: Place) -> Faults:
    """Fault an object whose JSON takes more than ``MOST_BYTES`` bytes."""
    if _is_light(pairs):
        return
    taken = len(json.dumps(pairs, ensure_ascii=False).encode(errors="replace"))
    if taken > MOST_BYTES:
        yield Fault(place, f"{taken} bytes, but the vendor takes at most {MOST_BYTES}.")


def _is_light(pairs: Object) -> bool:
    """Tell without writing it whether an object of texts weighs too little to be counted."""
    texts = [*pairs, *pairs.values()]
    if not all(type(text) is str for text in texts):
        return False
    # A character is six bytes at most, as "\u001f"; around each text stand quotes, colon or comma.
    return sum(6 * len(text) + 6 for text in texts) <= MOST_BYTES
