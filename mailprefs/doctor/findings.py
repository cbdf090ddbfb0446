"""What a check comes to: an area, how grave it is, a sentence, and what to do."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple


class Level(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One line of the doctor's; *todo* is empty where nothing is to be done."""

    area: str
    level: Level
    sentence: str
    todo: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "area": self.area,
            "level": self.level.value,
            "sentence": self.sentence,
            "todo": self.todo,
        }


def ok(area: str, sentence: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(area, Level.OK, sentence)


def warning(area: str, sentence: str, todo: str) -> Finding:
    """Say that something works and could be better, or could not be checked."""
    return Finding(area, Level.WARNING, sentence, todo)


def wrong(area: str, sentence: str, todo: str) -> Finding:
    """Say that something doesn't work, or will harm."""
    return Finding(area, Level.WRONG, sentence, todo)


def is_well(findings: Iterable[Finding]) -> bool:
    """Tell whether nothing is wrong; warnings may be there."""
    return all(one.level is not Level.WRONG for one in findings)
