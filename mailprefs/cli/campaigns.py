"""Campaigns at the console: write, check, test, approve, send, watch, stop."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from mailprefs.campaigns import drafts, review, shown, states, testing
from mailprefs.campaigns.drafts import Company, Draft
from mailprefs.cli import console
from mailprefs.db.database import Gate
from mailprefs.errors import BadFile, BadInput
from mailprefs.policy import LegalPurpose
from mailprefs.schema.campaigns import CampaignState, SourceFormat

_FORMATS: Final = {
    ".md": SourceFormat.MARKDOWN,
    ".markdown": SourceFormat.MARKDOWN,
    ".mjml": SourceFormat.MJML,
}
# What `campaign wait` exits with; scripts rely on these numbers.
_EXITS: Final = {
    CampaignState.FINISHED: 0,
    CampaignState.HELD: 3,
    CampaignState.PAUSED: 5,
    CampaignState.CANCELLED: 6,
}
_STALLED, _TIMEOUT = 4, 7


@click.group("campaign")
def campaign_group() -> None:
    """Write, check, send, watch and stop campaigns."""


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
@console.acting
def create(acting_as: str | None, **given: Any) -> None:  # noqa: ANN401 - click's options by name
    """Store a draft; prints its number."""
    parts = console.opened()
    draft = _draft(**given)
    with parts.db.transaction() as session:
        number = drafts.create(
            session, draft, console.actor(session, acting_as), company=_company(), now=console.now()
        )
    click.echo(number)


@campaign_group.command("edit")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--topic", required=True, metavar="SLUG")
@click.option("--subject", required=True)
@click.option("--source", required=True, type=click.Path(path_type=Path))
@click.option("--name")
@click.option("--purpose", type=click.Choice([purpose.value for purpose in LegalPurpose]))
@click.option("--reason")
@console.acting
def edit(campaign_id: int, acting_as: str | None, **given: Any) -> None:  # noqa: ANN401 - click's options by name
    """Replace a draft's text; an approval it had is void."""
    parts = console.opened()
    draft = _draft(**given)
    with parts.db.transaction() as session:
        drafts.edit(
            session,
            campaign_id,
            draft,
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
        (one.id, one.name, one.message_class.value, one.label, one.counts.frozen, one.counts.sent)
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
    """Say who would get it, who not and why; exits 1 if anything stands in the way."""
    parts = console.opened()
    with parts.db.reading() as session:
        done = review.review(session, campaign_id, parts.settings)
    console.answer(done.as_json(), as_json=as_json, show=lambda: _show_review(done))
    return 1 if done.blocks else 0


@campaign_group.command("approve")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def approve(campaign_id: int, acting_as: str | None) -> None:
    """Approve an administrative campaign, as somebody who didn't write it."""
    _act(states.approve, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} is approved; an edit would void that.")


@campaign_group.command("test")
@click.argument("campaign_id", type=int, metavar="ID")
@click.argument("address")
@click.option("--person", metavar="ADDRESS", help="Whose words to use; else an example's.")
@console.acting
def test(campaign_id: int, address: str, person: str | None, acting_as: str | None) -> None:
    """Send one copy to ADDRESS; its links lead nowhere and it counts nowhere."""
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
        )
    testing.hand_over(parts.vendor, mailing)
    click.echo("The test is handed over.")


@campaign_group.command("send")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--at", metavar="TIME", help="Local time such as 2027-03-28T09:00; needs --zone.")
@click.option("--zone", metavar="ZONE", help="IANA zone of --at, such as Europe/Berlin.")
@click.option(
    "--now", "at_once", is_flag=True, help="Skip the delay in which a send can be undone."
)
@click.option("--override", multiple=True, metavar="CHECK", help="Send in spite of this check.")
@click.option("--reason", help="Why the override is right, in a sentence; it is audited.")
@console.acting
def send(  # noqa: PLR0913, PLR0917 - the options of one command
    campaign_id: int,
    at: str | None,
    zone: str | None,
    override: tuple[str, ...],
    reason: str | None,
    acting_as: str | None,
    *,
    at_once: bool,
) -> None:
    """Check the campaign and let it go."""
    parts = console.opened()
    now = console.now()
    due = _due(at, zone) or states.due_after(now, 0 if at_once else parts.settings.undo_delay)
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        done = review.review(session, campaign_id, parts.settings)
        review.require(session, done, who, overrides=override, reason=reason, now=now)
        states.send(session, campaign_id, who, now=now, due_at=due, zone=zone)
    click.echo(
        f"Campaign {campaign_id} goes to {done.eligible:,} people at {due:%Y-%m-%d %H:%M:%S} UTC."
    )


@campaign_group.command("undo")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def undo(campaign_id: int, acting_as: str | None) -> None:
    """Take a send back while nothing has begun."""
    _act(states.undo, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} is a draft again; nothing was sent.")


@campaign_group.command("pause")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def pause(campaign_id: int, acting_as: str | None) -> None:
    """Hold a running campaign; calls in flight finish."""
    _act(states.pause, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} is paused.")


@campaign_group.command("resume")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def resume(campaign_id: int, acting_as: str | None) -> None:
    """Go on with a paused campaign."""
    _act(states.resume, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} goes on.")


@campaign_group.command("cancel")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def cancel(campaign_id: int, acting_as: str | None) -> None:
    """Stop a campaign for good; whoever wasn't mailed yet is skipped."""
    _act(states.cancel, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} is cancelled.")


@campaign_group.command("show")
@click.argument("campaign_id", type=int, metavar="ID")
@console.type_json
def show(campaign_id: int, *, as_json: bool) -> None:
    """Show how a campaign stands; the sums always add up."""
    one = _overview(campaign_id)
    console.answer(one.as_json(), as_json=as_json, show=lambda: _show(one))


@campaign_group.command("wait")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--timeout", type=float, metavar="S", help="Give up after this many seconds.")
def wait(campaign_id: int, timeout: float | None) -> int:
    """Wait for the end of a campaign.

    Exits 0 finished, 3 held, 4 stalled, 5 paused, 6 cancelled, 7 timeout.
    """
    until = None if timeout is None else time.monotonic() + timeout
    with console.progress() as bar:
        task = bar.add_task(f"Campaign {campaign_id}", total=None)
        while True:
            one = _overview(campaign_id)
            bar.update(task, total=one.counts.frozen or None, completed=one.done)
            if one.state in _EXITS:
                return _EXITS[one.state]
            if one.stalled:
                click.echo(f"Stalled: {one.stalled}", err=True)
                return _STALLED
            if until is not None and time.monotonic() >= until:
                return _TIMEOUT
            time.sleep(0.5)


def _act(act: Callable[..., None], campaign_id: int, acting_as: str | None) -> None:
    """Change one campaign's state; under the gate, because some changes take sending away."""
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        act(session, campaign_id, console.actor(session, acting_as), now=console.now())


def _overview(campaign_id: int) -> shown.Overview:
    parts = console.opened()
    with parts.db.reading() as session:
        return shown.overview(session, campaign_id, now=console.now())


def _draft(  # noqa: PLR0913 - the options of two commands
    *,
    topic: str,
    subject: str,
    source: Path,
    name: str | None,
    purpose: str | None,
    reason: str | None,
) -> Draft:
    """Read the source file into a draft.

    :raises BadFile: for a file that can't be read as UTF-8 text, or of another kind.
    """
    if source.suffix.lower() not in _FORMATS:
        msg = f"{source}: a source is Markdown (.md) or MJML (.mjml)."
        raise BadFile(msg)
    try:
        body = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{source} can't be read as UTF-8 text: {type(error).__name__}."
        raise BadFile(msg) from error
    return Draft(
        topic=topic,
        subject=subject,
        body=body,
        format=_FORMATS[source.suffix.lower()],
        name=name,
        purpose=LegalPurpose(purpose) if purpose else None,
        reason=reason,
    )


def _company() -> Company:
    settings = console.opened().settings
    return Company(settings.contact, settings.time_zone)


def _due(at: str | None, zone: str | None) -> datetime | None:
    """Give the instant of a local time in an IANA zone.

    :raises BadInput: for half a schedule, and for a local time that the zone skips or has twice.
    """
    if at is None and zone is None:
        return None
    if at is None or zone is None:
        msg = "A schedule is a local time and its zone: --at 2027-03-28T09:00 --zone Europe/Berlin."
        raise BadInput(msg)
    return states.instant(at, zone)


def _show_review(done: review.Review) -> None:
    click.echo(
        f"Campaign {done.campaign_id} ({done.message_class.value}): "
        f"{done.eligible:,} of {done.chosen:,} people would get it."
    )
    for reason, n in done.kept_out.items():
        click.echo(f"  kept out, {reason.value.replace('_', ' ')}: {n:,}")
    for one in done.checks:
        mark = "stop" if one.blocks else "note"
        click.echo(f"  {mark}  {one.code} ({one.people:,} people): {one.sentence}")
    if not done.blocks:
        click.echo("Nothing stands in the way.")


def _show(one: shown.Overview) -> None:
    click.echo(f"Campaign {one.id}: {one.name} ({one.message_class.value}) is {one.label}.")
    if one.stalled:
        click.echo(f"  {one.stalled}")
    console.table("", ["", "#people"], one.lines())
