"""What stands in the way of the sending, and what to do about it."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
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
    # In one piece, so that the exit status is the same before `| head`.
    told = "\n".join(_told(now_open, cleared, looked, is_looking=is_looking))
    console.answer(document, as_json=as_json, show=lambda: click.echo(told))
    if now_open:
        return OPEN
    return 0 if is_looking else 1


def _told(
    now_open: Sequence[Alarm],
    cleared: Sequence[Alarm],
    looked: datetime | None,
    *,
    is_looking: bool,
) -> Iterator[str]:
    """Give all that is told, line by line."""
    if not now_open and is_looking:
        yield "No alarm is open."
    for alarm in now_open:
        yield from _entry(alarm)
    if cleared:
        yield click.style("Over in the last two days", bold=True)
    for alarm in cleared:
        yield f"  {times.written(alarm.cleared_at) if alarm.cleared_at else ''}"
        yield _filled(alarm.sentence, indent=4)
    if not is_looking:
        when = f"since {times.written(looked)}" if looked else "so far"
        yield click.style(f"Nobody has looked for alarms {when}: nothing runs.", bold=True)
        yield "  Start the service: mailprefs run"


def _entry(alarm: Alarm) -> Iterator[str]:
    """Tell of an open alarm: its name and sentence, since when, what is safe, what to do."""
    kind = _KINDS.get(alarm.kind)
    title = click.style(kind.advice.title if kind else alarm.kind, bold=True)
    yield f"{title}, since {times.written(alarm.since)}"
    yield _filled(alarm.sentence, indent=2)
    if kind is not None:
        yield _filled(f"Safe:  {kind.advice.safe}", indent=2, hang=9)
        yield _filled(f"To do: {kind.advice.todo}", indent=2, hang=9)
        number = alarm.subject.rpartition(" ")[2] if alarm.subject.startswith("campaign ") else "ID"
        yield f"{' ' * 9}{kind.advice.command.replace('ID', number)}"
    yield ""


def _filled(text: str, *, indent: int, hang: int | None = None) -> str:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    later = " " * (indent if hang is None else hang)
    return textwrap.fill(text, width, initial_indent=" " * indent, subsequent_indent=later)
