"""Versions of the privacy policy at the console: publish, read, tell everybody, prove it."""

import csv
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from mailprefs import audit, consent, times
from mailprefs.app import Parts
from mailprefs.campaigns import schedule
from mailprefs.campaigns.drafts import Company
from mailprefs.cli import console
from mailprefs.errors import BadFile, BadInput
from mailprefs.notices import differences, proof, publishing
from mailprefs.notices.checking import ASKABLE, New, Terms
from mailprefs.notices.differences import Difference, What
from mailprefs.notices.proof import Sums
from mailprefs.notices.versions import asked_anew, notices, standing
from mailprefs.policy import Purpose
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import PolicyState, PolicyVersion

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MARKS: Final = {What.ADDED: "+", What.REMOVED: "-", What.CHANGED: "~", What.SAME: " "}
_AROUND: Final = {What.ADDED: "{{+{}+}}", What.REMOVED: "[-{}-]", What.SAME: "{}"}

_dated = click.option(
    "--effective-from", "date", metavar="DATE", help="2027-06-01, or 2027-06-01T09:00 in the zone."
)
_zoned = click.option("--zone", help="IANA zone of that date; MAILPREFS_TIME_ZONE if not given.")


@click.group("policy")
def policy_group() -> None:
    """Publish versions of the privacy policy, tell everybody of them, and prove it."""


@policy_group.command("publish")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--version", required=True, metavar="V", help="Name of this version.")
@click.option("--material", is_flag=True, help="Everybody is told by mail before it takes effect.")
@click.option("--summary", help="What changes, in a few sentences; needed with --material.")
@_dated
@_zoned
@click.option(
    "--new-consent",
    "purposes",
    multiple=True,
    type=click.Choice([one.value for one in ASKABLE]),
    help="Earlier consent to this ends when it takes effect; may be given more than once.",
)
@click.option("--topic", metavar="SLUG", help="Administrative topic of the notice.")
@click.option("--now", "at_once", is_flag=True, help="Material, and in force before anybody knows.")
@click.option("--reason", help="Why that has to be; needed with --now.")
@console.acting
def publish(  # noqa: PLR0913 - the options of one command
    file: Path,
    version: str,
    *,
    material: bool,
    summary: str | None,
    date: str | None,
    zone: str | None,
    purposes: tuple[str, ...],
    topic: str | None,
    at_once: bool,
    reason: str | None,
    acting_as: str | None,
) -> None:
    """Publish a policy text; it never changes afterwards.

    At once, or at its date. A material one is announced: a draft of its notice is made, which a
    second person approves, and which has to be sent MAILPREFS_POLICY_NOTICE_DAYS before the date.
    While there is nobody to tell, it takes effect like any other.
    """
    if summary is not None and not material:
        raise BadInput("A summary is for a material change; say --material, too.")
    if reason is not None and not at_once:
        raise BadInput("A reason belongs to --now.")
    parts = console.opened()
    new = New(
        version,
        console.text_of(file),
        (summary or "") if material else None,
        _instant(parts, date, zone),
        tuple(map(Purpose, purposes)),
        topic,
        (reason or "") if at_once else None,
    )
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        done = publishing.publish(session, new, who, terms=_terms(parts), now=console.now())
    _tell(parts, done.version, done.notice, is_new=done.is_new)


@policy_group.command("list")
@console.type_json
def list_versions(*, as_json: bool) -> None:
    """List the versions, the newest last."""
    parts = console.opened()
    now = console.now()
    with parts.db.reading() as session:
        current = consent.current_policy(session, now)
        found = [_document(one, current, now) for one in consent.versions(session)]
    rows = [(one["version"], one["standing"], one["effective_from"]) for one in found]
    console.answer(
        found,
        as_json=as_json,
        show=lambda: console.table("Policy versions", ["version", "standing", "from"], rows),
    )


@policy_group.command("show")
@click.argument("version")
@console.type_json
def show(version: str, *, as_json: bool) -> None:
    """Show one version: its text, where it stands, and its notices."""
    parts, now = console.opened(), console.now()
    with parts.db.reading() as session:
        row = consent.version(session, version)
        found = _document(row, consent.current_policy(session, now), now) | {
            "sha256": row.sha256.hex(),
            "summary": row.summary,
            "new_consent": [one.value for one in asked_anew(session, row.id)],
            "notices": [
                {"campaign": one.id, "state": one.state.value} for one in notices(session, row.id)
            ],
            "text": row.text,
        }

    def tell() -> None:
        for name in ("version", "standing", "effective_from", "sha256", "summary"):
            click.echo(f"{name.replace('_', ' ')}: {found[name] or '-'}")
        for one in found["notices"]:
            click.echo(f"notice: campaign {one['campaign']}, {one['state']}")
        click.echo(f"\n{row.text}")

    console.answer(found, as_json=as_json, show=tell)


@policy_group.command("diff")
@click.argument("old")
@click.argument("new")
@console.type_json
def diff(old: str, new: str, *, as_json: bool) -> None:
    """Show what is different between two versions, word by word."""
    parts = console.opened()
    with parts.db.reading() as session:
        found = differences.compare(
            consent.version(session, old).text, consent.version(session, new).text
        )
    document = {
        "changes": found.changes,
        "passages": [
            {
                "what": one.what.value,
                "kind": one.kind,
                "pieces": [{"what": piece.what.value, "text": piece.text} for piece in one.pieces],
            }
            for one in found.passages
        ],
    }
    console.answer(document, as_json=as_json, show=lambda: _show_difference(found))


@policy_group.command("postpone")
@click.argument("version")
@_dated
@_zoned
@console.acting
def postpone(version: str, date: str | None, zone: str | None, acting_as: str | None) -> None:
    """Give an announced version another date.

    Its notice has to be approved again.
    """
    parts = console.opened()
    at = _instant(parts, date, zone)
    if at is None:
        raise BadInput("Say the new date: --effective-from 2027-06-01")
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        notice = publishing.postpone(
            session, version, at, who, terms=_terms(parts), now=console.now()
        )
        row = consent.version(session, version)
    _tell(parts, row, notice, is_new=True)


@policy_group.command("withdraw")
@click.argument("version")
@click.option("--reason", required=True, help="Why, in a sentence; kept in the audit.")
@console.acting
def withdraw(version: str, reason: str, acting_as: str | None) -> None:
    """Give an announced version up before anybody is told of it."""
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        row = publishing.withdraw(session, version, reason, who, now=console.now())
    click.echo(f"Version {row.version} is withdrawn and never comes into force.")


@policy_group.command("notify")
@click.argument("version")
@click.option("--rest", is_flag=True, help="One for those whom no notice has reached yet.")
@console.acting
def notify(version: str, acting_as: str | None, *, rest: bool) -> None:
    """Make a version's waiting notice again, or one for the rest.

    Nobody is told twice.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        terms, now = _terms(parts), console.now()
        if rest:
            notice, is_new = publishing.rest(session, version, who, terms=terms, now=now)
        else:
            notice = publishing.remake(session, version, who, terms=terms, now=now)
            is_new = True
        row = consent.version(session, version)
    _tell(parts, row, notice, is_new=is_new)


@policy_group.command("proof")
@click.argument("version")
@click.option("--csv", "file", type=click.Path(path_type=Path), help="Everybody, one a line.")
@console.acting
@console.type_json
def show_proof(version: str, file: Path | None, acting_as: str | None, *, as_json: bool) -> None:
    """Show who was told of a version, who wasn't and why.

    It leaves a note in the audit.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        publishing.require_role(session, who)
        row = consent.version(session, version)
        audit.record(
            session,
            who,
            "policy.proof_exported" if file else "policy.proof_shown",
            ("policy_version", row.id),
            now=console.now(),
            details={"version": row.version},
        )
    with parts.db.reading() as session:
        found = proof.sums(session, row)
        if file is not None:
            with _private(file) as handle:
                writer = csv.writer(handle)
                writer.writerow(proof.header())
                writer.writerows(map(proof.cells, proof.lines(session, row)))
    console.answer(
        _sums_document(found), as_json=as_json, show=lambda: _show_sums(row.version, found)
    )
    if file is not None:
        click.echo(f"Everybody, by number, is in {file}.", err=as_json)


def _private(file: Path) -> Any:  # noqa: ANN401 - a text file, opened
    """Open a new file that only its owner reads: it says of people what they were sent."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise BadFile(f"{file} can't be written: {error.strerror}.") from error
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _terms(parts: Parts) -> Terms:
    settings = parts.settings
    return Terms(Company(settings.contact, settings.time_zone), settings.policy_notice_days)


def _instant(parts: Parts, date: str | None, zone: str | None) -> datetime | None:
    """Give the instant that is meant; a day begins at midnight."""
    if date is None:
        if zone is not None:
            raise BadInput("A zone belongs to a date: --effective-from 2027-06-01")
        return None
    local = f"{date}T00:00" if _DAY.fullmatch(date) else date
    return schedule.instant(local, zone or parts.settings.time_zone)


def _document(row: PolicyVersion, current: PolicyVersion | None, now: datetime) -> dict[str, Any]:
    return {
        "version": row.version,
        "standing": standing(row, current, now),
        "material": row.is_material,
        "effective_from": row.effective_from.isoformat(timespec="minutes"),
    }


def _tell(parts: Parts, row: PolicyVersion, notice: Campaign | None, *, is_new: bool) -> None:
    """Say where a version stands now, and what comes next."""
    when = times.written(row.effective_from, parts.settings.time_zone)
    if row.state is PolicyState.SETTLED:
        begun = row.effective_from <= console.now()
        click.echo(f"Version {row.version} is in force{'' if begun else f' from {when} on'}.")
    else:
        click.echo(f"Version {row.version} is announced; it takes effect on {when}.")
    if notice is None:
        return
    click.echo(f"Its notice is campaign {notice.id}{'' if is_new else ', as before'}.")
    if notice.approved_at is None:
        click.echo(f"Next: mailprefs campaign approve {notice.id} --as A-SECOND-PERSON")
        click.echo(f"Then: mailprefs campaign send {notice.id}")
    if notice.send_by is not None:
        last = times.written(notice.send_by, parts.settings.time_zone)
        click.echo(f"It has to begin by {last}.")


def _show_difference(found: Difference) -> None:
    """Print what isn't the same, marked by + and -; words likewise."""
    if not found.changes:
        click.echo("Both texts say the same.")
    for one in found.passages:
        if one.what is What.SAME:
            continue
        is_changed = one.what is What.CHANGED
        words = (
            _AROUND[piece.what if is_changed else What.SAME].format(piece.text)
            for piece in one.pieces
        )
        click.echo(f"{_MARKS[one.what]} {' '.join(words)}")


def _sums_document(found: Sums) -> dict[str, Any]:
    return {
        "known": found.known,
        "at_freeze": found.at_freeze,
        "later": found.later,
        "told": found.of(*proof.TOLD),
        "erased": found.erased,
        "outcomes": [
            {"outcome": outcome.value, "reason": reason, "n": n}
            for (outcome, reason), n in found.outcomes.items()
        ],
    }


def _show_sums(version: str, found: Sums) -> None:
    rows = [
        (outcome.value.replace("_", " "), (reason or "").replace("_", " "), n)
        for (outcome, reason), n in found.outcomes.items()
    ]
    if found.erased:
        rows.append(("erased since", "", found.erased))
    rows.append(("everybody", "", found.known))
    console.table(f"Who was told of version {version}", ["outcome", "reason", "#people"], rows)
