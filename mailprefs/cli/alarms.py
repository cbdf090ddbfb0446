"""What stands in the way of the sending, and what to do about it."""

import shutil
import textwrap
from collections.abc import Sequence
from typing import Any, Final

import click

from mailprefs import times
from mailprefs.alarms import keeping, telling
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.cli import console
from mailprefs.schema.alarms import Alarm

OPEN: Final = 3
"""The exit status while an alarm is open; 1 and 2 say that nobody could look."""
_WIDEST: Final = 88
_KINDS: Final = {kind.value: kind for kind in AlarmKind}


@click.command("alarms")
@console.type_json
def alarms(*, as_json: bool) -> int:
    """List what stands in the way of the sending, and what did lately.

    Exits 0 if no alarm is open, 3 if one is; docs/runbook.md tells more of each.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        now_open = keeping.open_now(session)
        cleared = keeping.cleared_lately(session, now=console.now())
    document: dict[str, Any] = {
        "open": [telling.document(one) for one in now_open],
        "cleared": [telling.document(one) for one in cleared],
    }
    console.answer(document, as_json=as_json, show=lambda: _show(now_open, cleared))
    return OPEN if now_open else 0


def _show(now_open: Sequence[Alarm], cleared: Sequence[Alarm]) -> None:
    if not now_open:
        click.echo("No alarm is open.")
    for alarm in now_open:
        _entry(alarm)
    if cleared:
        click.secho("Over in the last two days", bold=True)
    for alarm in cleared:
        until = times.written(alarm.cleared_at) if alarm.cleared_at else ""
        click.echo(f"  {until}")
        _lines(alarm.sentence, indent=4)


def _entry(alarm: Alarm) -> None:
    """Print an open alarm: its name and sentence, since when, what is safe, what to do."""
    kind = _KINDS.get(alarm.kind)
    click.secho(kind.advice.title if kind else alarm.kind, bold=True, nl=False)
    click.echo(f", since {times.written(alarm.since)}")
    _lines(alarm.sentence, indent=2)
    if kind is not None:
        _lines(f"Safe:  {kind.advice.safe}", indent=2, hang=9)
        _lines(f"To do: {kind.advice.todo}", indent=2, hang=9)
        number = alarm.subject.rpartition(" ")[2] if alarm.subject.startswith("campaign ") else "ID"
        click.echo(f"{' ' * 9}{kind.advice.command.replace('ID', number)}")
    click.echo()


def _lines(text: str, *, indent: int, hang: int | None = None) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    later = " " * (indent if hang is None else hang)
    click.echo(textwrap.fill(text, width, initial_indent=" " * indent, subsequent_indent=later))
