"""The consent ledger at the console: check it, keep its head, and make the rows anew from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from mailprefs import audit, consent
from mailprefs.app import Parts
from mailprefs.audit import Actor
from mailprefs.cli import console
from mailprefs.consent.heads import Seal
from mailprefs.db.database import Gate
from mailprefs.errors import BadFile
from mailprefs.jobs.ledger import read_heads
from mailprefs.policy import Role
from mailprefs.preferences import rebuilding
from mailprefs.preferences.rebuilding import Difference

_PEOPLE_AT_ONCE: Final = 20
"""People set right in one transaction: opt-outs wait meanwhile."""
_SHOWN: Final = 20


@click.group("ledger")
def ledger_group() -> None:
    """Check the consent ledger, the history of every choice."""


@ledger_group.command("verify")
@click.option(
    "--against",
    "file",
    type=click.Path(path_type=Path),
    help="A file of heads that was kept outside the database (MAILPREFS_LEDGER_HEADS).",
)
@console.type_json
def verify(file: Path | None, *, as_json: bool) -> None:
    """Check the whole chain.

    Exits 1 and names the first bad entry if it doesn't hold.
    """
    parts = console.opened()
    if file is not None and not file.exists():
        raise BadFile(f"There is no file {file}.")
    kept = read_heads(file, Seal(parts.token_keys))
    with parts.db.reading() as session:
        entries = consent.verify(session, kept)
        head = consent.head(session)
    document = {
        "entries": entries,
        "head": head.entry_hash.hex(),
        "kept_heads": len(kept),
        "verified_at": console.now().isoformat(timespec="seconds"),
    }
    against = f", and so do {len(kept):,} kept heads" if file is not None else ""
    console.answer(
        document,
        as_json=as_json,
        show=lambda: click.echo(
            f"All {entries:,} entries hold{against}; the head is {head.entry_hash.hex()}."
        ),
    )


@ledger_group.command("head")
@console.type_json
def head(*, as_json: bool) -> None:
    """Print where the ledger ends, in one signed line.

    Keep it outside this machine: `mailprefs ledger verify --against FILE` compares the ledger
    with such lines.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        end = consent.head(session)
    signed = Seal(parts.token_keys).sign(end, console.now())
    console.answer(signed.document(), as_json=as_json, show=lambda: click.echo(signed.line()))


@ledger_group.command("rebuild")
@click.option("--dry-run", is_flag=True, help="Say what differs, and change nothing.")
@console.acting
@console.type_json
def rebuild(acting_as: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Make people's rows say what the ledger says.

    Subscriptions, refusals, answers to being measured, pauses, frequencies and chosen languages.
    With --dry-run it exits 1 when anything differs.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        consent.verify(session)
        found = list(rebuilding.differences(session))
    if found and not dry_run:
        _set_right(parts, found, who)
        console.look_again(parts)
    listed = [
        {"recipient": one.recipient_id, "purpose": one.purpose.value, "topic": one.topic_id}
        for one in found
    ]
    console.answer(
        {"differences": listed, "dry_run": dry_run},
        as_json=as_json,
        show=lambda: _show(found, dry_run=dry_run),
    )
    if found and dry_run:
        raise click.exceptions.Exit(1)


def _set_right(parts: Parts, found: Sequence[Difference], who: Actor) -> None:
    """Set people right, a few at a time, each time with its note in the audit."""
    people = sorted({one.recipient_id for one in found})
    for first in range(0, len(people), _PEOPLE_AT_ONCE):
        with parts.db.transaction(Gate.TAKING) as session:
            n = rebuilding.rebuild(session, people[first : first + _PEOPLE_AT_ONCE])
            about, details = ("ledger", 1), {"differences": n}
            audit.record(session, who, "ledger.rebuilt", about, now=console.now(), details=details)


def _show(found: Sequence[Difference], *, dry_run: bool) -> None:
    if not found:
        click.echo("Everybody stands where the ledger says.")
        return
    for one in found[:_SHOWN]:
        what = f"topic {one.topic_id}" if one.topic_id is not None else one.purpose.value
        click.echo(f"recipient {one.recipient_id}: {what}")
    if len(found) > _SHOWN:
        click.echo(f"and {len(found) - _SHOWN:,} more")
    click.echo(f"{len(found):,} things {'differ' if dry_run else 'differed and are set right'}.")
