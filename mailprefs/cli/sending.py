"""Letting campaigns go, watching them, and stopping them."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import click
from rich.progress import Progress

from mailprefs import times
from mailprefs.campaigns import review, schedule, shown, states
from mailprefs.campaigns.schedule import Occurrence
from mailprefs.campaigns.shown import OVERDUE, Overview
from mailprefs.campaigns.undecided import in_people
from mailprefs.cli import console
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, Conflict
from mailprefs.schema.campaigns import CampaignState

# What `campaign wait` exits with; scripts rely on these numbers.
_EXITS: Final = {
    CampaignState.FINISHED: 0,
    CampaignState.HELD: 3,
    CampaignState.PAUSED: 5,
    CampaignState.CANCELLED: 6,
}
_STALLED, _TIMEOUT = 4, 7
_LOOK_AGAIN: Final = 0.5
_TELL_AGAIN: Final = 5.0
_TELL_ANYWAY: Final = 60.0


@click.command("send")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option("--at", metavar="TIME", help="Local time such as 2027-03-28T09:00; needs --zone.")
@click.option("--zone", metavar="ZONE", help="IANA zone of --at, such as Europe/Berlin.")
@click.option(
    "--occurrence",
    type=click.Choice([one.value for one in Occurrence]),
    help="Which one is meant of a time that the zone has twice, as clocks are put back.",
)
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
    occurrence: str | None,
    override: tuple[str, ...],
    reason: str | None,
    acting_as: str | None,
    *,
    at_once: bool,
) -> None:
    """Check the campaign and let it go.

    Until it begins, `mailprefs campaign undo` takes it back.
    """
    if at_once and (at or zone):
        msg = "--now and --at are two times; give one of them."
        raise BadInput(msg)
    parts = console.opened()
    with parts.db.reading() as session:
        done = review.review(session, campaign_id, parts.settings, now=console.now())
    now = console.now()
    delay = 0 if at_once else parts.settings.undo_delay
    due = _due(at, zone, occurrence) or schedule.due_after(now, delay)
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        review.require(session, done, who, overrides=override, reason=reason, now=now)
        states.send(
            session, campaign_id, who, now=now, due_at=due, zone=zone, revision=done.revision
        )
    click.echo(f"Campaign {campaign_id} goes to {done.eligible:,} people {_when(due, zone, now)}.")


@click.command("undo")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def undo(campaign_id: int, acting_as: str | None) -> None:
    """Take a send back while nothing has begun."""
    _act(states.undo, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} is a draft again; nothing was sent.")


@click.command("pause")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def pause(campaign_id: int, acting_as: str | None) -> None:
    """Hold a running campaign; calls in flight finish."""
    _act(states.pause, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} is paused.")


@click.command("resume")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def resume(campaign_id: int, acting_as: str | None) -> None:
    """Go on with a paused campaign."""
    _act(states.resume, campaign_id, acting_as)
    click.echo(f"Campaign {campaign_id} goes on.")


@click.command("cancel")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
def cancel(campaign_id: int, acting_as: str | None) -> None:
    """Stop a campaign for good; whoever wasn't mailed yet is skipped."""
    _act(states.cancel, campaign_id, acting_as)
    with console.opened().db.reading() as session:
        counts = shown.overview(session, campaign_id, now=console.now()).counts
    skipped = counts.skipped.get("cancelled", 0)
    click.echo(
        f"Campaign {campaign_id} is stopped for good: sent to {in_people(counts.sent)}, "
        f"{skipped:,} skipped. Calls in flight finish."
    )


@click.command("wait")
@click.argument("campaign_id", type=int, metavar="ID")
@click.option(
    "--timeout",
    type=click.IntRange(min=0),
    metavar="S",
    help="Give up after this many seconds.",
)
def wait(campaign_id: int, timeout: int | None) -> int:
    """Wait for the end of a campaign.

    Exits 0 finished, 3 held, 4 stalled, 5 paused, 6 cancelled, 7 timeout.
    """
    until = None if timeout is None else time.monotonic() + timeout
    with console.progress() as bar:
        one, status = _watched(campaign_id, until, bar)
    if one.stalled and status == _STALLED:
        click.echo(f"Stalled: {one.stands_still}", err=True)
    click.echo(_sums(one))
    for step in _next_steps(one):
        click.echo(step)
    return status


def _watched(campaign_id: int, until: float | None, bar: Progress) -> tuple[Overview, int]:
    """Look again and again; give how the campaign stands at last, and the exit status of that."""
    parts = console.opened()
    task = bar.add_task(f"Campaign {campaign_id}", total=None)
    tell = _Lines(is_watched=not bar.disable)
    while True:
        with parts.db.reading() as session:
            limited = parts.settings.limits
            one = shown.overview(session, campaign_id, now=console.now(), limited=limited)
        tell.halt(one, bar)
        bar.update(task, total=one.counts.frozen or None, completed=one.done)
        if one.state is CampaignState.DRAFT:
            msg = f"Campaign {campaign_id} is a draft; send it, then wait for it."
            raise Conflict(msg)
        if one.state in _EXITS:
            return one, _EXITS[one.state]
        if one.stalled:
            return one, _STALLED
        if until is not None and time.monotonic() >= until:
            return one, _TIMEOUT
        tell.progress(one)
        time.sleep(_LOOK_AGAIN)


class _Lines:
    """Tells how far a campaign is where no bar is watched: what changed, every few seconds."""

    def __init__(self, *, is_watched: bool) -> None:
        self._is_watched = is_watched
        self._last = ""
        self._told_at: float | None = None
        self._halt: str | None = None

    def halt(self, one: Overview, bar: Progress) -> None:
        """Print once, bar or not, that all sending stands still; and that it goes on."""
        now = one.halt.sentence if one.halt else None
        if now == self._halt or one.state not in states.RUNNING:
            return
        self._halt = now
        bar.console.print(now or "Sending goes on.", markup=False, highlight=False, soft_wrap=True)

    def progress(self, one: Overview) -> None:
        """Print one line, unless it is too soon; what hasn't changed is told once a minute."""
        line = f"Campaign {one.id} {standing(one)}"
        if one.counts.frozen:
            line += f": {one.done:,} of {one.counts.frozen:,} done"
        line += "."
        now, patience = time.monotonic(), _TELL_ANYWAY if line == self._last else _TELL_AGAIN
        if self._is_watched or (self._told_at is not None and now - self._told_at < patience):
            return
        self._last, self._told_at = line, now
        click.echo(line, err=True)


def standing(one: Overview) -> str:
    """Say how a campaign stands, to follow its number: ``is a draft``, ``was missed``."""
    if one.is_missed:
        return f"was {one.word}"
    return f"is {OVERDUE}" if one.late else f"is {states.in_words(one.label)}"


def _sums(one: Overview) -> str:
    """Say in one line where everybody is."""
    counts = one.counts
    skipped, failed = sum(counts.skipped.values()), sum(counts.failed.values())
    return (
        f"Campaign {one.id} {standing(one)}: {counts.frozen:,} frozen = {counts.sent:,} sent"
        f" + {skipped:,} skipped + {failed:,} failed + {counts.unknown:,} unknown"
        f" + {counts.pending:,} pending."
    )


def _next_steps(one: Overview) -> Iterator[str]:
    """Say what to do about a campaign that waits for somebody, with the commands."""
    if one.halt and one.state in states.RUNNING:
        yield one.halt.sentence
    if one.state is CampaignState.PAUSED:
        if one.paused_reason:
            yield one.paused_reason
        yield f"To go on: mailprefs campaign resume {one.id}"
    if one.counts.unknown and one.state not in states.RUNNING:
        yield f"{one.counts.unknown:,} unknown: mailprefs campaign unknown {one.id}"


def _act(act: Callable[..., None], campaign_id: int, acting_as: str | None) -> None:
    """Change one campaign's state; under the gate, because some changes take sending away."""
    parts = console.opened()
    with parts.db.transaction(Gate.TAKING) as session:
        act(session, campaign_id, console.actor(session, acting_as), now=console.now())
    console.look_again(parts)


def _due(at: str | None, zone: str | None, occurrence: str | None) -> datetime | None:
    """Give the instant of a local time in an IANA zone.

    :raises BadInput: for half a schedule, for a local time that the zone skips or has twice, and
        for an occurrence of one that it has once.
    """
    if at is None and zone is None and occurrence is None:
        return None
    if at is None or zone is None:
        msg = "A schedule is a local time and its zone: --at 2027-03-28T09:00 --zone Europe/Berlin."
        raise BadInput(msg)
    which = Occurrence(occurrence) if occurrence else None
    due = schedule.instant(at, zone, which)
    if which is not None and all(schedule.instant(at, zone, one) == due for one in Occurrence):
        msg = f"{zone} has {at} once only; leave --occurrence away."
        raise BadInput(msg)
    return due


def _when(due: datetime, zone: str | None, now: datetime) -> str:
    """Say when a campaign begins: as it was said, in UTC, and how soon that is."""
    seconds = (due - now).total_seconds()
    if seconds <= 0:
        return "now"
    at = times.written(due, seconds=True)
    if zone:
        at = f"{times.written(due, zone)} ({zone}; {at})"
    return f"at {at}, in {times.lasting(seconds)}"
