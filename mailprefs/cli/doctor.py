"""Is this installation set up as it should be: a line each, in plain words."""

import shutil
import textwrap
from typing import Final

import click

from mailprefs.cli import console
from mailprefs.doctor.examining import examine
from mailprefs.doctor.findings import Finding, Level, is_well
from mailprefs.settings import load

_WIDEST: Final = 96
_AREA, _LEVEL = 16, 9
_COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.WRONG: "red"}


@click.command("doctor")
@console.type_json
def doctor(*, as_json: bool) -> int:
    """Check keys, addresses, the vendor's account, database, disk and clock.

    Exits 0 if nothing is wrong (warnings may be there), else 1. Changes nothing.
    """
    console.require_installation()
    found = []
    for finding in examine(load(), console.now):
        found.append(finding)
        if not as_json:
            _show(finding)
    counts = {level: sum(one.level is level for one in found) for level in Level}
    document = {
        "well": is_well(found),
        "findings": [finding.as_json() for finding in found],
    }
    console.answer(document, as_json=as_json, show=lambda: _end(counts))
    return 0 if is_well(found) else 1


def _show(finding: Finding) -> None:
    """Print one finding: how grave, of what, the sentence, and below it what to do."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    margin = " " * (_LEVEL + _AREA)
    level = click.style(f"{finding.level.value:<{_LEVEL}}", fg=_COLOURS[finding.level])
    first, *more = textwrap.wrap(finding.sentence, width - len(margin), break_on_hyphens=False)
    click.echo(f"{level}{finding.area:<{_AREA}}{first}")
    for line in more:
        click.echo(f"{margin}{line}")
    for line in textwrap.wrap(
        finding.todo, width - len(margin) - 2, break_on_hyphens=False, break_long_words=False
    ):
        click.echo(f"{margin}  {line}")


def _end(counts: dict[Level, int]) -> None:
    click.echo()
    if counts[Level.WRONG]:
        things = "thing is" if counts[Level.WRONG] == 1 else "things are"
        click.secho(f"{counts[Level.WRONG]} {things} wrong.", bold=True)
    elif counts[Level.WARNING]:
        things = "thing needs" if counts[Level.WARNING] == 1 else "things need"
        click.secho(f"{counts[Level.WARNING]} {things} a look; nothing is wrong.", bold=True)
    else:
        click.secho("All is well.", bold=True)
