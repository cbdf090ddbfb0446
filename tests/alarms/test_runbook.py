"""The runbook has an entry for each alarm, and names only commands that there are."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mailprefs.alarms.kinds import RUNBOOK, AlarmKind
from mailprefs.alarms.telling import runbook
from mailprefs.cli.main import commands

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / RUNBOOK).read_text()
_PARTS = ("**Meaning.**", "**What is safe.**", "**What to do.**", "```\nmailprefs ")


def anchor(heading: str) -> str:
    """Give the anchor that Markdown pages make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def entries(text: str) -> dict[str, str]:
    """Give each entry by its anchor."""
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return {anchor(heading): body for heading, body in zip(found[::2], found[1::2], strict=True)}


def commands_in(text: str) -> list[str]:
    """List the commands of ours that a text shows, each on a line of its own."""
    return re.findall(r"^mailprefs .+$", text, flags=re.MULTILINE)


def is_known(line: str) -> bool:
    """Tell whether a line is one that the command line takes, to its last word."""
    words = shlex.split(line.replace("ID", "7"))[1:]
    command: click.Command | None = commands
    context = click.Context(commands)
    while isinstance(command, click.Group) and words:
        command = command.get_command(context, words.pop(0))
    if command is None or isinstance(command, click.Group):
        return False
    try:
        command.make_context("mailprefs", words, parent=context, resilient_parsing=False)
    except click.UsageError:
        return False
    return True


@pytest.mark.parametrize("kind", AlarmKind)
def test_every_kind_has_its_entry_with_all_its_parts(kind: AlarmKind) -> None:
    entry = entries(TEXT)[kind.advice.anchor]
    for part in _PARTS:
        assert part in entry, part
    assert runbook(kind.value) == f"docs/runbook.md#{kind.advice.anchor}"


def test_there_is_no_entry_of_a_kind_that_is_gone() -> None:
    assert set(entries(TEXT)) == {kind.advice.anchor for kind in AlarmKind}


@pytest.mark.parametrize("line", sorted(set(commands_in(TEXT))))
def test_the_runbook_names_only_commands_that_exist(line: str) -> None:
    assert is_known(line)


@pytest.mark.parametrize("kind", AlarmKind)
def test_every_kind_names_a_command_that_exists(kind: AlarmKind) -> None:
    assert is_known(kind.advice.command)


@pytest.mark.parametrize(
    "line",
    [
        "mailprefs dance",
        "mailprefs campaign",
        "mailprefs campaign fly 7",
        "mailprefs campaign show",
        "mailprefs sending start --hard",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    assert not is_known(line)
