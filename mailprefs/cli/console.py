"""What every command needs: the opened installation, who acts, and how answers are printed."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from sqlalchemy.orm import Session

from mailprefs import staff
from mailprefs.app import Parts, build
from mailprefs.audit import CONSOLE, Actor
from mailprefs.db.migrate import pending
from mailprefs.errors import Conflict
from mailprefs.settings import load

type_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
acting = click.option(
    "--as",
    "acting_as",
    metavar="STAFF",
    help="Who acts, by e-mail address; needed where a role or a second person is asked for.",
)


@cache
def opened() -> Parts:
    """Give the installation that the settings name.

    :raises Conflict: when its database is missing or older than this program.
    """
    parts = build(load())
    if pending(parts.db):
        msg = "The database isn't set up for this version yet; run: mailprefs init"
        raise Conflict(msg)
    return parts


def now() -> datetime:
    """Give the present instant, in UTC: the command line's only clock."""
    return datetime.now(UTC)


def actor(session: Session, acting_as: str | None) -> Actor:
    """Give who acts: the member of staff named by ``--as``, else whoever holds the console.

    :raises NotFound: for an address that is nobody's on the staff.
    """
    if acting_as is None:
        return CONSOLE
    return Actor(staff.by_email(session, acting_as).id, CONSOLE.door)


def answer(value: dict[str, Any] | list[Any], *, as_json: bool, show: Callable[[], None]) -> None:
    """Print *value* as JSON, or let *show* print it for a person."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        show()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose name begins with ``#`` are numbers, aligned to the right."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        shown.add_column(
            name.removeprefix("#"), justify="right" if name.startswith("#") else "left"
        )
    for row in rows:
        shown.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    Console().print(shown)


def progress(*columns: ProgressColumn) -> Progress:
    """Give a progress bar on standard error; silent when nobody watches it."""
    shown = columns or (MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        *shown,
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
