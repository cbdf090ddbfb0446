"""What every command needs: the opened installation, who acts, and how answers are printed."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
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
from rich.text import Text
from sqlalchemy.orm import Session

from mailprefs import recipients, staff
from mailprefs.addresses import AddressHasher
from mailprefs.app import Parts, build
from mailprefs.audit import CONSOLE, Actor
from mailprefs.db.version import pending
from mailprefs.errors import BadFile, BadSetting, Conflict, NotFound
from mailprefs.jobs import alarms
from mailprefs.policy import Role
from mailprefs.schema.people import Recipient
from mailprefs.settings import load


class WholeNumber(click.ParamType[int]):
    """A whole number between two bounds; another one is refused with a sentence."""

    name = "integer"

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Give the number that was typed."""
        try:
            number = int(str(value))
        except ValueError:
            number = self._least - 1
        if not self._least <= number <= self._most:
            self.fail(
                f"write a whole number from {self._least:,} to {self._most:,}, in digits.",
                param,
                ctx,
            )
        return number


PORT = WholeNumber(1, 65_535)
LINES = WholeNumber(1, 1_000_000)
type_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
acting = click.option(
    "--as",
    "acting_as",
    metavar="STAFF",
    help="Who acts, by e-mail address; needed where a second person is asked for.",
)


def opened() -> Parts:
    """Give the installation that the settings name; it is closed when the command ends.

    :raises Conflict: when its database is missing or older than this program.
    """
    context = click.get_current_context().find_root()
    if not isinstance(context.obj, Parts):
        require_installation()
        parts = open_now()
        if pending(parts.db):
            msg = "The database isn't set up for this version yet; run: mailprefs init"
            raise Conflict(msg)
        context.obj = parts
    return context.obj


def require_installation() -> None:
    """Refuse a place where ``init`` never ran: keys made there would fit no link ever sent.

    :raises BadSetting: with the folder that was looked at.
    """
    settings = load()
    if not settings.token_keys.get_secret_value():
        folder = settings.data_dir.absolute()
        raise BadSetting(
            f"There is no installation in {folder}: run `mailprefs init`, or say with "
            "MAILPREFS_DATA_DIR where it is."
        )


def open_now() -> Parts:
    """Give the installation as the settings name it at this moment, set up or not."""
    parts = build(load())
    context = click.get_current_context().find_root()
    context.call_on_close(parts.db.close)
    context.call_on_close(parts.spool.close)
    return parts


def now() -> datetime:
    """Give the present instant, in UTC: the command line's only clock."""
    return datetime.now(UTC)


def actor(session: Session, acting_as: str | None, role: Role | None = None) -> Actor:
    """Give who acts: the member of staff named by ``--as``, else whoever holds the console.

    :raises NotFound: for an address that is nobody's on the staff.
    :raises NotAllowed: for somebody who lacks *role*.
    """
    found = CONSOLE
    if acting_as is not None:
        found = Actor(staff.by_email(session, acting_as).id, CONSOLE.door)
    if role is not None:
        staff.require(session, found, role)
    return found


def look_again(parts: Parts) -> None:
    """Look for alarms at once, after a change that may have ended one."""
    alarms.look_again(parts.db, parts.settings, now=now())


def text_of(file: Path) -> str:
    """Give the text of a file.

    :raises BadFile: for one that can't be read as UTF-8 text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{file} isn't UTF-8 text; save it as UTF-8."
        raise BadFile(msg) from error
    except OSError as error:
        msg = f"{file} can't be read: {error.strerror}."
        raise BadFile(msg) from error


def answer(value: dict[str, Any] | list[Any], *, as_json: bool, show: Callable[[], None]) -> None:
    """Print *value* as JSON, or let *show* print it for a person."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        show()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose name begins with ``#`` are numbers, aligned to the right."""
    if title:
        click.secho(title, bold=True)
    shown = Table(box=None, pad_edge=False)
    for name in columns:
        shown.add_column(
            name.removeprefix("#"), justify="right" if name.startswith("#") else "left"
        )
    for row in rows:
        # No markup: what people wrote stands as it is, square brackets included.
        shown.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    Console(highlight=False).print(shown)


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


def known(session: Session, hasher: AddressHasher, address: str) -> Recipient:
    """Give who has an address.

    :raises NotFound: for nobody's address; the text doesn't repeat it.
    """
    person = recipients.find(session, hasher, address)
    if person is None:
        msg = "Nobody on file has that address."
        raise NotFound(msg)
    return person
