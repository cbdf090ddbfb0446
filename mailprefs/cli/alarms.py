"""What stands in the way of the sending, and what to do about it."""

import shutil
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import click

from mailprefs import times
from mailprefs.alarms import keeping, telling
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.cli import console
from mailprefs.schema.alarms import Alarm

OPEN: Final = 3
"""The exit status while an alarm is open; 1 and 2 say that nobody looks, or could."""
_WIDEST: Final = 88
_LOOKING: Final = timedelta(minutes=3)
_KINDS: Final = {kind.value: kind for kind in AlarmKind}


@click.command("alarms")
@console.type_json
def alarms(*, as_json: bool) -> int:
    """List what stands in the way of the sending, and what did lately.

    Exits 0 if no alarm is open, 3 if one is, 1 if nobody looks for them at the moment, because
    nothing runs; docs/runbook.md tells more of each.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        looked = keeping.last_look(session)
        now_open = keeping.open_now(session)
        cleared = keeping.cleared_lately(session, now=console.now())
    is_looking = looked is not None and console.now() - looked < _LOOKING
    document: dict[str, Any] = {
        "last_look": looked.isoformat() if looked else None,
        "open": [telling.document(one) for one in now_open],
        "cleared": [telling.document(one) for one in cleared],
    }
    console.answer(document, as_json=as_json, show=lambda: _show(now_open, cleared, is_looking))
    if not is_looking and not as_json:
        _nobody_looks(looked)
    if now_open:
        return OPEN
    return 0 if is_looking else 1


def _nobody_looks(looked: datetime | None) -> None:
    when = f"since {times.written(looked)}" if looked else "so far"
    click.secho(f"Nobody has looked for alarms {when}: nothing runs.", bold=True)
    click.echo("  Start the service: mailprefs run")


def _show(now_open: Sequence[Alarm], cleared: Sequence[Alarm], is_looking: bool) -> None:  # noqa: FBT001 - said by its name
    if not now_open and is_looking:
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
