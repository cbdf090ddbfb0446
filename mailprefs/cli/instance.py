"""`mailprefs instance`: whether this installation may send, and making a copy the live one."""

from pathlib import Path
from typing import Any

import click

from mailprefs import audit, instance
from mailprefs.app.joining import adoption
from mailprefs.cli import console
from mailprefs.db.database import Gate
from mailprefs.jobs.adoption import Adopted
from mailprefs.policy import Role


@click.group("instance")
def instance_group() -> None:
    """Tell a copy or a restored backup from the live installation."""


@instance_group.command("show")
@console.type_json
def show(*, as_json: bool) -> None:
    """Show whether this installation may send, and if not, why."""
    parts = console.opened()
    with parts.db.reading() as session:
        why = instance.examine(session, instance.place(parts.settings))
        known = instance.refusals_known(session)
    document: dict[str, Any] = {"is_live": why is None, "reason": why, "refusals": known}
    said = why or "This is the live installation."
    console.answer(document, as_json=as_json, show=lambda: click.echo(said))


@instance_group.command("join")
@console.acting
def join(acting_as: str | None) -> None:
    """Let this machine work on the same database beside others.

    Not for a copy of the database: that has to be adopted.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.ADMIN)
        instance.join(session, instance.place(parts.settings), now=console.now())
        audit.record(session, who, "instance.joined", ("instance", 1), now=console.now())
    console.look_again(parts)
    click.echo("This machine may send from now on.")


@instance_group.command("adopt")
@click.option(
    "--journal",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The journal of a further machine; may be given more than once.",
)
@click.option("--without-lists", is_flag=True, help="Don't ask for the vendor's lists.")
@console.acting
@console.type_json
def adopt(
    others: tuple[Path, ...], acting_as: str | None, *, without_lists: bool, as_json: bool
) -> None:
    """Make a copy or a restored backup the live installation.

    Refusals since the backup are applied, the vendor's lists are pulled, and whatever was pending
    or sending becomes unknown, for a person to decide. Switch the former installation off first.
    """
    parts = console.opened()
    with parts.db.transaction(Gate.NONE) as session:
        who = console.actor(session, acting_as, Role.ADMIN)
    adopting = adoption(parts, who, with_lists=not without_lists)
    try:
        done = adopting.run(others)
    finally:
        adopting.db.close()
    console.look_again(parts)
    console.answer(done.document(), as_json=as_json, show=lambda: _show(done))


def _show(done: Adopted) -> None:
    rows: list[tuple[str, object]] = [
        (f"refusals applied: {word}", n) for word, n in done.refusals.items()
    ]
    listed = "not asked" if done.listed is None else done.listed
    rows.append(("new from the vendor's lists", listed))
    rows.append(("people whose message is unknown", done.unknown))
    rows += [(f"campaign {was}", f"is draft {now}") for was, now in done.drafts.items()]
    console.table("This is the live installation now", ["", "#"], rows)
    if done.unknown:
        click.echo("Decide about them, campaign by campaign: mailprefs campaign unknown ID")
