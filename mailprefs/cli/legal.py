"""What the law asks, at the console: holds, the register of disclosures, exports for others."""

from pathlib import Path
from typing import Any, Final

import click

from mailprefs import files, privacy, staff, times
from mailprefs.app import Parts
from mailprefs.audit import Actor
from mailprefs.cli import console
from mailprefs.db.database import Gate
from mailprefs.jobs.in_flight import wait_for_calls
from mailprefs.jobs.transfer import Transfer
from mailprefs.policy import Role, Source
from mailprefs.privacy import disclosing, disclosures, holds
from mailprefs.privacy.disclosures import Line, Told
from mailprefs.schema.legal import DisclosureBasis, LegalHold

_BASES: Final = [one.value for one in DisclosureBasis]
_to_whom = click.option("--to", "to_whom", required=True, help="Who gets it.")
_reason = click.option("--reason", required=True, help="Why, in a sentence; it is audited.")
_into = click.argument("file", type=click.Path(path_type=Path))


@click.group("legal")
def legal_group() -> None:
    """Hold, disclose and transfer people's data where the law asks for it."""


@legal_group.command("hold")
@click.argument("address")
@_reason
@console.acting
def hold(address: str, reason: str, acting_as: str | None) -> None:
    """Keep all that is kept of one person, until the hold is lifted.

    No rule deletes anything of them. An erasure that is asked for meanwhile is remembered, and no
    mail goes to them from then on. Write the reason without names: the file number will do.
    """
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        person = console.known(session, parts.hasher, address)
        placed = holds.place(session, person.id, who, reason=reason, now=console.now())
    click.echo(f"Legal hold {placed.id} is in force.")


@legal_group.command("lift")
@click.argument("number", type=int)
@click.option("--because", required=True, help="Why, in a sentence; it is audited.")
@console.acting
def lift(number: int, because: str, acting_as: str | None) -> None:
    """Lift legal hold NUMBER, and do what waited for it.

    An erasure that was asked for meanwhile is done; a sealed copy is deleted.
    """
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        asked = privacy.Asked(Source.STAFF, who, parts.hasher)
        done = privacy.lift(session, number, asked, because=because, now=console.now())
    if done.others:
        click.echo("Lifted. Another hold on the same person goes on.")
    elif done.erased is None:
        click.echo("Lifted. The rules hold for this person again.")
    else:
        wait_for_calls(parts.db, done.erased.calls)
        click.echo(f"Lifted, and the person is erased: the proof is number {done.erased.id}.")


@legal_group.command("holds")
@console.acting
@console.type_json
def list_holds(acting_as: str | None, *, as_json: bool) -> None:
    """List legal holds, those in force first."""
    parts = console.opened()
    with parts.db.reading() as session:
        console.actor(session, acting_as, Role.PRIVACY)
        found = [_hold(one) for one in holds.listed(session)]
    rows = [
        (one["id"], one["reason"], _at(one["placed_at"]), _at(one["lifted_at"]), _waits(one))
        for one in found
    ]
    columns = ["#hold", "reason", "since", "lifted", ""]
    console.answer(found, as_json=as_json, show=lambda: console.table("Legal holds", columns, rows))


@legal_group.command("register")
@click.option("--csv", "as_csv", is_flag=True, help="Print all of it as CSV.")
@click.option("--limit", type=console.LINES, default=100, show_default=True)
@console.acting
@console.type_json
def register(limit: int, acting_as: str | None, *, as_csv: bool, as_json: bool) -> None:
    """List what was disclosed to whom, by basis, newest first.

    What the vendor of the mail got is added up by year.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        console.actor(session, acting_as, Role.PRIVACY)
        lines = disclosures.register(session, limit=None if as_csv else limit)
        names = {person.id: person.name for person, _ in staff.listed(session)}
    if as_csv:
        click.echo(disclosures.as_csv(lines, names), nl=False)
        return
    rows = [
        (_when(one), one.basis.value, one.to_whom, one.fields, one.n, one.reason) for one in lines
    ]
    columns = ["when", "basis", "to", "fields", "#people", "why"]
    console.answer(
        [_line(one) for one in lines],
        as_json=as_json,
        show=lambda: console.table("Disclosures", columns, rows),
    )


@legal_group.command("record")
@click.option("--basis", required=True, type=click.Choice(_BASES))
@_to_whom
@click.option("--fields", required=True, metavar="A,B", help="Which fields, comma-separated.")
@click.option("--people", "n", required=True, type=click.IntRange(min=1), help="Of how many.")
@click.option("--address", help="Whose, where it was one person's.")
@_reason
@console.acting
def record(  # noqa: PLR0913, PLR0917 - one option each
    basis: str,
    to_whom: str,
    fields: str,
    n: int,
    address: str | None,
    reason: str,
    acting_as: str | None,
) -> None:
    """Write down what went to somebody by other means.

    Such as a list for an affiliate.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        whose = None if address is None else console.known(session, parts.hasher, address).id
        told = Told(DisclosureBasis(basis), to_whom, fields.split(","), n, reason, whose)
        number = disclosures.record(session, told, who, now=console.now())
    click.echo(f"Disclosure {number} is on record.")


@legal_group.command("export")
@click.argument("address")
@_into
@_to_whom
@_reason
@console.acting
def export(address: str, file: Path, to_whom: str, reason: str, acting_as: str | None) -> None:
    """Write one person's data into FILE, for an authority.

    All that is kept of them. It stands in the register and in the audit.
    """
    parts = console.opened()
    with files.private(file) as out, parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        person = console.known(session, parts.hasher, address)
        demand = _demand(parts, to_whom, reason, who)
        done = disclosing.of_one(session, person.id, demand)
        out.write(done.content)
    click.echo(f"Disclosure {done.number} is on record; {file} is readable by you alone.")


@legal_group.command("copy")
@click.argument("number", type=int)
@_into
@_to_whom
@_reason
@console.acting
def copy(number: int, file: Path, to_whom: str, reason: str, acting_as: str | None) -> None:
    """Write a hold's sealed copy into FILE, for an authority.

    There is one where a child was erased while the hold is in force.
    """
    parts = console.opened()
    with files.private(file) as out, parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
        demand = _demand(parts, to_whom, reason, who)
        done = disclosing.of_held_child(session, parts.hasher, number, demand)
        out.write(done.content)
    click.echo(f"Disclosure {done.number} is on record; {file} is readable by you alone.")


@legal_group.command("transfer")
@_into
@_to_whom
@_reason
@console.acting
@console.type_json
def transfer(
    file: Path, to_whom: str, reason: str, acting_as: str | None, *, as_json: bool
) -> None:
    """Write everybody's data into FILE, for whoever takes over.

    It is a ZIP archive: people with every choice, the words it was made under, and the policy that
    governs it; README.txt in it says what is where. Nobody is in it who was erased, or asked to be.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        who = console.actor(session, acting_as, Role.PRIVACY)
    made = Transfer(db=parts.db, actor=who, clock=console.now, to_whom=to_whom, reason=reason)
    done = made.write(file)
    said = f"{done.people:,} people are in {file}; disclosure {done.number} is on record."
    console.answer(done._asdict(), as_json=as_json, show=lambda: click.echo(said))


def _demand(parts: Parts, to_whom: str, reason: str, who: Actor) -> disclosing.Demand:
    return disclosing.Demand(to_whom, reason, who, console.now(), parts.settings.time_zone)


def _hold(one: LegalHold) -> dict[str, Any]:
    return {
        "id": one.id,
        "reason": one.reason,
        "placed_at": one.placed_at.isoformat(),
        "lifted_at": one.lifted_at.isoformat() if one.lifted_at else None,
        "erasure_waits": one.erasure_asked_at is not None and one.lifted_at is None,
        "holds_sealed_copy": one.sealed is not None,
    }


def _line(one: Line) -> dict[str, Any]:
    return {
        "number": one.number,
        "from": one.since.isoformat(),
        "until": one.until.isoformat(),
        "basis": one.basis.value,
        "to": one.to_whom,
        "fields": one.fields,
        "people": one.n,
        "reason": one.reason,
        "sha256": one.sha256.hex() if one.sha256 else None,
    }


def _when(one: Line) -> str:
    """Say when: a day, or the first and the last of what is added up."""
    if one.since == one.until:
        return times.written(one.since)
    return f"{one.since:%Y-%m-%d} to {one.until:%Y-%m-%d}"


def _at(instant: str | None) -> str:
    return "" if instant is None else instant[:10]


def _waits(one: dict[str, Any]) -> str:
    return "; ".join(
        said
        for said, holds_so in (
            ("an erasure waits", one["erasure_waits"]),
            ("a sealed copy", one["holds_sealed_copy"]),
        )
        if holds_so
    )
