"""What is unknown of a campaign: looked at, and decided about."""

from datetime import timedelta

import click
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.campaigns import undecided
from mailprefs.campaigns.undecided import Undecided
from mailprefs.cli import console
from mailprefs.deliveries import unknown as noun
from mailprefs.errors import BadInput, Conflict


@click.command("unknown")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--resend", is_flag=True, help="Send it again; whoever has left since is skipped.")
@click.option("--accept", is_flag=True, help="Take it as sent; nobody is written to again.")
@click.option("--yes", is_flag=True, help="Decide before events had their time to settle it.")
@console.acting
@console.type_json
def unknown(  # noqa: PLR0913 - the options of one command
    campaign_id: int, acting_as: str | None, *, resend: bool, accept: bool, yes: bool, as_json: bool
) -> None:
    """Show what the vendor may have taken or not, or decide about it.

    Whoever did get the message and is sent it again has it twice; that is counted.
    """
    if resend and accept:
        msg = "--resend and --accept are two decisions; give one of them."
        raise BadInput(msg)
    if resend or accept:
        _decide(campaign_id, acting_as, resend=resend, yes=yes, as_json=as_json)
    else:
        _show(campaign_id, as_json=as_json)


def _decide(
    campaign_id: int, acting_as: str | None, *, resend: bool, yes: bool, as_json: bool
) -> None:
    decide = noun.resend if resend else noun.accept
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        seen = _look(session, campaign_id)
        early = seen.early("send it twice" if resend else "leave somebody without it")
        if early and not yes:
            msg = f"{early} To decide now: --yes"
            raise Conflict(msg)
        done = decide(session, campaign_id, who, now=console.now(), up_to=seen.newest)
    console.look_again(parts)
    document = {
        "id": campaign_id,
        "decision": "resent" if resend else "accepted",
        "batches": done.batches,
        "people": done.people,
    }
    people = undecided.in_people(done.people)
    told = f"{people} of campaign {campaign_id} are taken as sent."
    if resend:
        told = (
            f"{people} of whom it was unknown will be sent it again as soon as sending goes on; "
            "whoever has left is skipped."
        )
    console.answer(document, as_json=as_json, show=lambda: click.echo(told))


def _look(session: Session, campaign_id: int) -> Undecided:
    settle_time = console.opened().settings.settle_time
    return undecided.look(session, campaign_id, settle_time=settle_time, now=console.now())


def _show(campaign_id: int, *, as_json: bool) -> None:
    parts = console.opened()
    with parts.db.reading() as session:
        seen = _look(session, campaign_id)
        copies = noun.copies(session, campaign_id)
    settle = timedelta(seconds=parts.settings.settle_time)
    document = {
        "id": campaign_id,
        "people": seen.people,
        "settles_at": seen.settles_at.isoformat() if seen.settles_at else None,
        "last_event_since": seen.heard_at.isoformat() if seen.heard_at else None,
        "second_copies": copies._asdict(),
        "batches": [
            one._asdict()
            | {
                "since": one.since.isoformat(),
                "settles_at": (one.since + settle).isoformat(),
            }
            for one in seen.batches
        ],
    }
    console.answer(document, as_json=as_json, show=lambda: _tell(campaign_id, seen))


def _tell(campaign_id: int, seen: Undecided) -> None:
    if not seen.batches:
        click.echo(f"Nothing of campaign {campaign_id} is unknown: nothing waits for a decision.")
        return
    rows = [
        (one.people, one.calls, one.span(), times.written(one.settles_at), one.why)
        for one in seen.calls
    ]
    console.table("", ["#people", "#calls", "ended", "events may settle it until", "why"], rows)
    click.echo(_until_when(seen))
    click.echo(f"Send it again:    mailprefs campaign unknown {campaign_id} --resend")
    click.echo(f"Take it as sent:  mailprefs campaign unknown {campaign_id} --accept")


def _until_when(seen: Undecided) -> str:
    """Say until when nothing needs doing, or that it is time to decide."""
    by = times.written(seen.settles_at) if seen.settles_at else "then"
    if seen.is_early:
        return (
            f"{seen.heard()} If the vendor's events haven't settled it by {by}, you decide. "
            "Until then nothing needs doing."
        )
    return f"{seen.heard()} The vendor's events haven't settled it by {by}: you decide."
