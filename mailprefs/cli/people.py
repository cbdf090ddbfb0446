"""Recipients at the console: import them, look one up, record their choices."""

import re
import shlex
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.progress import TextColumn
from sqlalchemy.orm import Session

from mailprefs import audit, files, languages, preferences, privacy, times
from mailprefs.app.joining import erasures
from mailprefs.cli import console
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, NotFound
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import ImportResult
from mailprefs.jobs.imports.run import Progress as Step
from mailprefs.jobs.imports.run import run as run_import
from mailprefs.jobs.in_flight import wait_for_calls, wait_for_requests
from mailprefs.policy import Frequency, Role, Source, SubscriptionState
from mailprefs.preferences import Applied, Door, Wish
from mailprefs.privacy import access
from mailprefs.schema.imports import ImportedAs

_SHOWN: Final = 10
_CLEANED_LATER: Final = "not cleaned yet; `mailprefs run` and `worker` go on with it"
_PUT_OFF: Final = (
    "A legal hold is in force, so the erasure is remembered, and done when the hold is lifted. "
    "From now on no mail goes to this person. For a child, say --child: that is done at once."
)
_NEVER_PROVED: Final = (
    "That address was kept out as erased before there was a proof of it; there is nothing to show."
)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--topic", required=True, metavar="SLUG")
@click.option("--source", required=True, help="Where these people agreed (or said no), in words.")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="COLUMN=FIELD",
    help="What a column is: email, first_name, last_name, language, region, zone, an "
    "attribute's name, or - to leave it out.",
)
@click.option(
    "--as",
    "imported_as",
    type=click.Choice([word.value for word in ImportedAs]),
    default="subscribed",
    show_default=True,
    help="What the file says of its people.",
)
@click.option("--dry-run", is_flag=True, help="Count exactly, write nothing.")
@click.option("--acting-as", metavar="STAFF", help="Who imports, by e-mail address.")
@console.type_json
def import_people(  # noqa: PLR0913, PLR0917 - the options of one command
    file: Path,
    topic: str,
    source: str,
    pairs: tuple[str, ...],
    imported_as: str,
    acting_as: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import people from a CSV file; never makes a yes of a no."""
    parts = console.opened()
    order = ImportOrder(
        topic=topic,
        source=source,
        imported_as=ImportedAs(imported_as),
        mapping=dict(map(_pair, pairs)),
        dry_run=dry_run,
    )
    with parts.db.reading() as session:
        who = console.actor(session, acting_as, Role.DRAFT)
    with console.progress(TextColumn("{task.fields[rows]:,} rows")) as bar:
        task = bar.add_task("Importing", total=1.0, rows=0)

        def step(now: Step) -> None:
            if now.resumed_at and not bar.tasks[0].completed:
                bar.console.print(_going_on(now.resumed_at), soft_wrap=True, highlight=False)
            bar.update(task, total=now.size or 1, completed=now.bytes, rows=now.rows)

        result = run_import(
            parts.db, file, order, hasher=parts.hasher, actor=who, clock=console.now, progress=step
        )
    console.answer(
        _import_document(result),
        as_json=as_json,
        show=lambda: _show_import(result, dry_run=dry_run),
    )


@click.group("recipient")
def recipient_group() -> None:
    """One person: what is held and what they chose."""


@recipient_group.command("show")
@click.argument("address")
@console.acting
@console.type_json
def show_recipient(address: str, acting_as: str | None, *, as_json: bool) -> None:
    """Show what is held about one person, and what they chose.

    Whoever looks somebody up leaves a note in the audit.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        person = console.known(session, parts.hasher, address)
        subject = ("recipient", person.id)
        audit.record(session, who, "recipient.looked_up", subject, now=console.now())
        standing = preferences.current(session, person.id)
        wished = preferences.wished(session, person.id, now=console.now())
    topics = {one.slug: one.state.value if one.state else None for one in standing.topics}
    held_back = [
        {"reason": one.reason.value, "scope": one.scope.value, "since": one.since.isoformat()}
        for one in standing.held_back
    ]
    document: dict[str, Any] = {
        "id": person.id,
        "address": person.address,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "attributes": person.attributes,
        "region": person.region,
        "language": person.language,
        "address_origin": person.address_origin.value,
        "open_tracking": person.open_tracking.value,
        "promotional_email": standing.promotional.value,
        "topics": topics,
        "suppressions": held_back,
        "wishes": {one.purpose.value: _wish(one) for one in wished},
    }
    console.answer(document, as_json=as_json, show=lambda: _show_recipient(document))


@recipient_group.command("export")
@click.argument("address")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--html", "as_page", is_flag=True, help="A page to read, instead of JSON.")
@console.acting
def export_recipient(address: str, file: Path, acting_as: str | None, *, as_page: bool) -> None:
    """Write all that is stored about one person, for them.

    It goes into FILE. For an authority there is `mailprefs legal export`.
    """
    parts = console.opened()
    zone, now = parts.settings.time_zone, console.now()
    with files.private(file) as out, parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        person = console.known(session, parts.hasher, address)
        made = access.collect_by_staff(session, person.id, who, zone=zone, now=now)
        said = languages.best(made.language)
        text = access.as_html(made, said) if as_page else access.as_json(made)
        out.write(text.encode())
    click.echo(f"Written; {file} is readable by you alone.")


@recipient_group.command("erase")
@click.argument("address")
@click.option("--child", is_flag=True, help="The person is under 13. No legal hold waits.")
@console.acting
@console.type_json
def erase_recipient(address: str, acting_as: str | None, *, child: bool, as_json: bool) -> None:
    """Erase a person everywhere, the vendor included; for good.

    What comes out says how many rows of which tables went, and names nobody. Nothing is mailed to
    the person, and why they were erased is stored nowhere: not even that it was a child. Calling it
    again is no fault, and shows how far it is. While a legal hold is in force it is remembered, and
    done when the hold is lifted; a child's is done at once.
    """
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        asked = privacy.Asked(Source.STAFF, who, parts.hasher, child)
        done = privacy.erase_address(session, address, asked, now=console.now())
    if done is not None:
        wait_for_calls(parts.db, done.calls)
    if done is not None and done.id is None:
        console.answer({"is_put_off": True}, as_json=as_json, show=lambda: click.echo(_PUT_OFF))
        return
    erasures(parts).now()
    with parts.db.reading() as session:
        found = privacy.of(session, parts.hasher, address)
    if found is None:
        raise NotFound(_NEVER_PROVED)
    console.answer(found.document(), as_json=as_json, show=lambda: _show_erased(found))


@recipient_group.command("pause")
@click.argument("address")
@click.option(
    "--days",
    type=click.Choice([str(days) for days in preferences.PAUSES]),
    required=True,
    help="For how long; it ends by itself.",
)
@console.acting
def pause_recipient(address: str, days: str, acting_as: str | None) -> None:
    """Hold back all promotional mail to one person who asked for it.

    Only they can end it early.
    """
    _ask_for_less(
        address,
        acting_as,
        lambda session, number, door: preferences.set_pause(
            session, number, int(days), door, now=console.now()
        ),
    )


@recipient_group.command("weekly")
@click.argument("address")
@console.acting
def recipient_weekly(address: str, acting_as: str | None) -> None:
    """Send one promotional message a week at most to one person.

    They asked for it, and only they can take that back.
    """
    _ask_for_less(
        address,
        acting_as,
        lambda session, number, door: preferences.set_frequency(
            session, number, Frequency.WEEKLY, door, now=console.now()
        ),
    )


@click.group("subscription")
def subscription_group() -> None:
    """Where people stand with topics."""


@subscription_group.command("set")
@click.argument("address")
@click.argument("slug")
@click.argument("state", type=click.Choice(["subscribed", "unsubscribed"]))
@console.acting
def set_subscription(address: str, slug: str, state: str, acting_as: str | None) -> None:
    """Record one person's choice for one topic.

    It never makes a yes of their own no.
    """
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        person = console.known(session, parts.hasher, address)
        done = preferences.set_by_staff(
            session, person.id, slug, SubscriptionState(state), who, now=console.now()
        )
        recipient_id = person.id
    if state == SubscriptionState.UNSUBSCRIBED:
        wait_for_requests(parts.db, recipient_id)
    now = "now" if done.has_changed else "already"
    click.echo(f"That person is {now} {state} ({slug}).")


def _show_erased(found: privacy.Proof) -> None:
    rows: list[tuple[str, object]] = [
        (f"rows of {table}", n) for table, n in found.removed.items()
    ] or [("rows", "none: nobody here had that address")]
    took, cleaned = found.vendor_took_at, found.cleaned_at
    rows.append(("the vendor", f"took the order {times.written(took)}" if took else found.failure))
    rows.append(("the files", f"cleaned {times.written(cleaned)}" if cleaned else _CLEANED_LATER))
    console.table(f"Erasure {found.id}, {times.written(found.erased_at)}", ["", ""], rows)


def _ask_for_less(
    address: str, acting_as: str | None, choose: Callable[[Session, int, Door], Applied]
) -> None:
    """Record a wish for less mail on somebody's behalf, in force when this returns."""
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        recipient_id = console.known(session, parts.hasher, address).id
        done = choose(session, recipient_id, Door(Source.STAFF, who.door, actor=who))
    wait_for_requests(parts.db, recipient_id)
    click.echo("Done: it holds from now on." if done.has_changed else "It was so already.")


def _wish(one: Wish) -> dict[str, str]:
    return {"is": one.word, "since": one.since.isoformat(), "source": one.source.value}


def _show_recipient(document: dict[str, Any]) -> None:
    """Print a person field by field; what there is nothing of is left out."""
    rows: list[tuple[str, object]] = []
    for name, value in document.items():
        title = name.replace("_", " ")
        if name == "wishes":
            rows += [
                (key, f"{one['is']}, since {_at(one['since'])}, by {one['source']}")
                for key, one in value.items()
            ]
        elif isinstance(value, dict):
            rows += [(f"{title}: {key}", part or "never asked") for key, part in value.items()]
        elif isinstance(value, list):
            rows += [(f"{title}: {one['reason']}", f"since {_at(one['since'])}") for one in value]
        elif value is not None:
            rows.append((title, str(value)))
    console.table("", ["", ""], rows)


def _at(instant: object) -> str:
    """Write an instant of a JSON answer for people."""
    return times.written(datetime.fromisoformat(str(instant)))


def _pair(text: str) -> tuple[str, str]:
    column, sign, field = text.rpartition("=")
    if not sign:
        msg = f"--map takes COLUMN=FIELD, not {text!r}."
        raise BadInput(msg)
    return column, field


def _import_document(result: ImportResult) -> dict[str, Any]:
    return {
        "id": result.import_id,
        **result.counts.document(),
        "encoding": result.encoding,
        "delimiter": result.delimiter,
        "columns": result.columns,
        "left_out": list(result.left_out),
        "resumed_at": result.resumed_at,
        "refusals": [
            {"line": one.line, "field": one.field, "reason": one.reason} for one in result.refusals
        ],
    }


def _going_on(rows: int) -> str:
    return f"An earlier run of this import stopped; going on at row {rows + 1:,}."


def _not_taken(names: Sequence[str]) -> str:
    """Say which columns stay behind, and how one of them is kept."""
    example = next((name for name in names if _field(name)), None)
    told = f"The column {names[0]} is" if len(names) == 1 else f"The columns {_listed(names)} are"
    if example is None:
        return f"{told} not taken (see --map)."
    keep = shlex.quote(f"{example}={_field(example)}")
    return f"{told} not taken; to keep {'it' if len(names) == 1 else 'one'}: --map {keep}"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"


def _field(column: str) -> str:
    """Give the attribute's name that a column suggests; "" where it suggests none."""
    plain = unicodedata.normalize("NFKD", column.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_0123456789")[:64]


def _show_import(result: ImportResult, *, dry_run: bool) -> None:
    click.echo(f"Read as {result.encoding}, separated by {result.delimiter}.")
    if result.left_out:
        click.echo(_not_taken(result.left_out))
    counted = result.counts
    rows = [
        ("added", counted.added),
        ("updated", counted.updated),
        ("unchanged", counted.unchanged),
        ("duplicate in file", counted.duplicate_in_file),
    ]
    rows += [
        (f"kept out: {reason.replace('_', ' ')}", n)
        for reason, n in sorted(counted.kept_out.items())
    ]
    rows.append(("refused", counted.refused))
    console.table("Dry run: nothing was written" if dry_run else "Imported", ["", "#rows"], rows)
    for one in result.refusals[:_SHOWN]:
        place = f"line {one.line}" + (f", {one.field}" if one.field else "")
        click.echo(f"  {place}: {one.reason}")
    if counted.refused > _SHOWN:
        click.echo(f"  ... and {counted.refused - _SHOWN:,} more (--json lists them).")
