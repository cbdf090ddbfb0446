"""What is unknown of a campaign: looked at, and decided about."""

import click

from mailprefs import times
from mailprefs.cli import console
from mailprefs.deliveries import unknown as noun
from mailprefs.deliveries.unknown import Decided, Unknown
from mailprefs.errors import BadInput


@click.command("unknown")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--resend", is_flag=True, help="Send it again; whoever has left since is skipped.")
@click.option("--accept", is_flag=True, help="Take it as sent; nobody is written to again.")
@console.acting
@console.type_json
def unknown(
    campaign_id: int, acting_as: str | None, *, resend: bool, accept: bool, as_json: bool
) -> None:
    """Show what the vendor may have taken or not, or decide about it.

    Whoever did get the message and is sent it again has it twice; that is counted.
    """
    if resend and accept:
        msg = "--resend and --accept are two decisions; give one of them."
        raise BadInput(msg)
    if resend or accept:
        _decide(campaign_id, acting_as, resend=resend, as_json=as_json)
    else:
        _show(campaign_id, as_json=as_json)


def _decide(campaign_id: int, acting_as: str | None, *, resend: bool, as_json: bool) -> None:
    decide = noun.resend if resend else noun.accept
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        done = decide(session, campaign_id, who, now=console.now())
    document = {
        "id": campaign_id,
        "decision": "resent" if resend else "accepted",
        "batches": done.batches,
        "people": done.people,
    }
    said = "are asked about again and sent it" if resend else "are taken as sent"
    console.answer(
        document,
        as_json=as_json,
        show=lambda: click.echo(f"{_people(done)} of campaign {campaign_id} {said}."),
    )


def _people(done: Decided) -> str:
    return "1 person" if done.people == 1 else f"{done.people:,} people"


def _show(campaign_id: int, *, as_json: bool) -> None:
    parts = console.opened()
    with parts.db.reading() as session:
        batches = noun.listed(session, campaign_id)
        copies = noun.copies(session, campaign_id)
    document = {
        "id": campaign_id,
        "people": sum(one.people for one in batches),
        "second_copies": copies._asdict(),
        "batches": [one._asdict() | {"since": one.since.isoformat()} for one in batches],
    }
    console.answer(document, as_json=as_json, show=lambda: _tell(campaign_id, batches))


def _tell(campaign_id: int, batches: list[Unknown]) -> None:
    if not batches:
        click.echo(f"Nothing of campaign {campaign_id} is unknown.")
        return
    rows = [(one.people, times.written(one.since, seconds=True), _reason(one)) for one in batches]
    console.table("", ["#people", "since", "why"], rows)
    click.echo(f"Send it again:    mailprefs campaign unknown {campaign_id} --resend")
    click.echo(f"Take it as sent:  mailprefs campaign unknown {campaign_id} --accept")


def _reason(one: Unknown) -> str:
    return f"{one.reason} It was their second call." if one.is_second else one.reason
