"""Campaigns at the console: write, check, test, approve, send, watch, stop."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from mailprefs.campaigns import archive, drafts, review, shown, states, testing
from mailprefs.campaigns.drafts import Company, Draft
from mailprefs.cli import console, sending, unknown
from mailprefs.db.database import Gate
from mailprefs.errors import BadFile
from mailprefs.policy import LegalPurpose
from mailprefs.schema.campaigns import SourceFormat

_FORMATS: Final = {
    ".md": SourceFormat.MARKDOWN,
    ".markdown": SourceFormat.MARKDOWN,
    ".mjml": SourceFormat.MJML,
}


@click.group("campaign")
def campaign_group() -> None:
    """Write, check, send, watch and stop campaigns."""


for _command in (
    sending.send, sending.undo, sending.pause, sending.resume, sending.cancel, sending.wait,
    unknown.unknown,
):  # fmt: skip
    campaign_group.add_command(_command)


@campaign_group.command("create")
@click.option("--topic", required=True, metavar="SLUG", help="The topic, which gives the class.")
@click.option("--subject", required=True)
@click.option(
    "--source", required=True, type=click.Path(path_type=Path), help="FILE.md or FILE.mjml"
)
@click.option("--name", help="Internal name; the subject if not given.")
@click.option(
    "--purpose",
    type=click.Choice([purpose.value for purpose in LegalPurpose]),
    help="Legal purpose of an administrative campaign.",
)
@click.option("--reason", help="Why an administrative campaign is needed, in a sentence.")
@click.option("--public", is_flag=True, help="Give it a public page once it is sent.")
@console.acting
def create(acting_as: str | None, **given: Any) -> None:  # noqa: ANN401 - click's options by name
    """Store a draft; prints its number."""
    parts = console.opened()
    public = given.pop("public")
    draft = Draft(**_changes(**given), public=public)
    with parts.db.transaction() as session:
        number = drafts.create(
            session, draft, console.actor(session, acting_as), company=_company(), now=console.now()
        )
    click.echo(number)


@campaign_group.command("edit")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--subject")
@click.option("--source", type=click.Path(path_type=Path), help="FILE.md or FILE.mjml")
@click.option("--name")
@click.option("--purpose", type=click.Choice([purpose.value for purpose in LegalPurpose]))
@click.option("--reason")
@console.acting
def edit(campaign_id: int, acting_as: str | None, **given: Any) -> None:  # noqa: ANN401 - click's options by name
    """Change a draft and save it again.

    An approval that it had is void. With nothing given it takes up what has changed around it,
    such as the sender's postal address.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        written = drafts.as_stored(session, states.find(session, campaign_id))
        drafts.edit(
            session,
            campaign_id,
            replace(written, **_changes(**given)),
            console.actor(session, acting_as),
            company=_company(),
            now=console.now(),
        )
    click.echo(f"Campaign {campaign_id} is changed; check it again before you send it.")


@campaign_group.command("list")
@console.type_json
def listed(*, as_json: bool) -> None:
    """List the campaigns, newest first."""
    parts = console.opened()
    with parts.db.reading() as session:
        found = shown.listed(session, now=console.now())
    rows = [
        (one.id, one.name, one.message_class.value, one.word, one.counts.frozen, one.counts.sent)
        for one in found
    ]
    console.answer(
        [one.as_json() for one in found],
        as_json=as_json,
        show=lambda: console.table(
            "Campaigns", ["#id", "name", "class", "state", "#frozen", "#sent"], rows
        ),
    )


@campaign_group.command("check")
@click.argument("campaign_id", type=int, metavar="ID")
@console.type_json
def check(campaign_id: int, *, as_json: bool) -> int:
    """Say who would get it, and what stands in the way.

    Exits 1 if anything does.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        done = review.review(session, campaign_id, parts.settings, now=console.now())
    console.answer(done.as_json(), as_json=as_json, show=lambda: _show_review(done))
    return 1 if done.blocks else 0


@campaign_group.command("approve")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--revision", type=int, metavar="N", help="Only if it still is this revision.")
@console.acting
def approve(campaign_id: int, revision: int | None, acting_as: str | None) -> None:
    """Approve a notice that somebody else wrote."""
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        who = console.actor(session, acting_as)
        states.approve(session, campaign_id, who, now=console.now(), revision=revision)
    click.echo(f"Campaign {campaign_id} is approved; an edit would void that.")


@campaign_group.command("publish")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def publish(campaign_id: int, acting_as: str | None) -> None:
    """Give it a public page that everybody can read.

    A draft gets a link to it; of what has begun, only the page changes.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        archive.publish(session, campaign_id, who, company=_company(), now=console.now())
        where = archive.address(session, states.find(session, campaign_id))
    click.echo(f"Campaign {campaign_id} has its public page, once it is sent, at {where}")


@campaign_group.command("withdraw")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def withdraw(campaign_id: int, acting_as: str | None) -> None:
    """Take its public page away, at once."""
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        archive.withdraw(session, campaign_id, who, company=_company(), now=console.now())
    click.echo(f"Campaign {campaign_id} has no public page any more.")


@campaign_group.command("test")
@click.argument("campaign_id", type=int, metavar="ID")
@click.argument("address")
@click.option("--person", metavar="ADDRESS", help="Whose words to use; else an example's.")
@console.acting
def test(campaign_id: int, address: str, person: str | None, acting_as: str | None) -> None:
    """Send one copy to ADDRESS, with inert links.

    It counts nowhere, and its links lead to nobody's choices.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        mailing = testing.prepare(
            session,
            parts.links,
            campaign_id,
            address,
            person=testing.person_of(session, parts.hasher, person),
            actor=console.actor(session, acting_as),
            now=console.now(),
            may_mail=parts.settings.may_mail,
        )
    testing.hand_over(parts.vendor, mailing)
    click.echo("The test is handed over.")


@campaign_group.command("show")
@click.argument("campaign_id", type=int, metavar="ID")
@console.type_json
def show(campaign_id: int, *, as_json: bool) -> None:
    """Show how a campaign stands; the sums always add up."""
    one = _overview(campaign_id)
    console.answer(one.as_json(), as_json=as_json, show=lambda: _show(one))


def _overview(campaign_id: int) -> shown.Overview:
    parts = console.opened()
    with parts.db.reading() as session:
        return shown.overview_under(session, campaign_id, parts.settings, now=console.now())


def _changes(source: Path | None, purpose: str | None, **texts: str | None) -> dict[str, Any]:
    """Give the fields of a draft that were given, the source file read.

    :raises BadFile: for a file that can't be read as UTF-8 text, or of another kind.
    """
    given: dict[str, Any] = {name: text for name, text in texts.items() if text is not None}
    if purpose is not None:
        given["purpose"] = LegalPurpose(purpose)
    if source is not None:
        kind = _FORMATS.get(source.suffix.lower())
        if kind is None:
            msg = f"{source}: a source is Markdown (.md) or MJML (.mjml)."
            raise BadFile(msg)
        given |= {"body": console.text_of(source), "format": kind}
    return given


def _company() -> Company:
    settings = console.opened().settings
    return Company(settings.contact, settings.time_zone)


def _show_review(done: review.Review) -> None:
    click.echo(
        f"Campaign {done.campaign_id} ({done.message_class.value}): "
        f"{done.eligible:,} of {done.chosen:,} people would get it."
    )
    for reason, n in done.kept_out.items():
        click.echo(f"  kept out, {shown.in_words(reason.value)}: {n:,}")
    for one in done.checks:
        mark = "stop" if one.blocks else "note"
        people = "1 person" if one.people == 1 else f"{one.people:,} people"
        click.echo(f"  {mark}  {one.code} ({people}): {one.sentence}")
    if not done.blocks:
        click.echo("Nothing stands in the way.")


def _show(one: shown.Overview) -> None:
    click.echo(
        f"Campaign {one.id}: {one.name} ({one.message_class.value}) {sending.standing(one)}."
    )
    begins = one.begins and f"It begins {one.begins}{one.soon}."
    if one.late:
        begins = f"It was to begin {one.begins}{one.soon}. {one.late}"
    for sentence in (
        None if one.late else one.stands_still,
        one.paused_reason,
        begins,
        one.uncertain,
    ):
        if sentence:
            click.echo(f"  {sentence}")
    console.table("", ["", "#people"], one.lines())
    if one.counts.unknown:
        click.echo(f"See what is unknown, and decide: mailprefs campaign unknown {one.id}")
