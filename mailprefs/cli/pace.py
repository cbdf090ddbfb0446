"""Whether mail may go out at the moment, what the limits leave, and going on after a stop."""

from typing import Any, NamedTuple

import click
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.campaigns import states
from mailprefs.campaigns.progress import Halt
from mailprefs.cli import console
from mailprefs.deliveries import breaker, calls, limits, pace, presence
from mailprefs.deliveries.breaker import Breaker
from mailprefs.deliveries.calls import Calls
from mailprefs.deliveries.limits import Use
from mailprefs.deliveries.pace import Pace
from mailprefs.deliveries.presence import Seen
from mailprefs.rates import Limits

_NOBODY = "No process that sends is running; start one: mailprefs run, or mailprefs worker."

_MAY_GO = "Mail may go out."
_NOTHING_ELSE = "Nothing else keeps mail from going out."


class _Standing(NamedTuple):
    """How all sending stands."""

    paced: Pace
    broken: Breaker
    calls: Calls | None
    uses: list[Use]
    seen: Seen


@click.group("sending")
def sending_group() -> None:
    """See why all sending stands, and go on once that is mended."""


@sending_group.command("show")
@console.type_json
def show_pace(*, as_json: bool) -> None:
    """Say whether mail may go out now, and if not, why."""
    parts = console.opened()
    with parts.db.reading() as session:
        found = _standing(session, parts.settings.limits)
    console.answer(_document(found), as_json=as_json, show=lambda: _show(found))


@sending_group.command("start")
@console.acting
def start(acting_as: str | None) -> None:
    """Let all sending go on after a stop.

    Where the vendor took nothing for the time being, it is tried again at once.
    """
    parts = console.opened()
    with parts.db.transaction() as session:
        found = _standing(session, parts.settings.limits)
        was_kept = found.paced.stopped_at or _waits(found.paced) or found.broken.open_since
        if was_kept or found.calls:
            states.start_sending(session, console.actor(session, acting_as), now=console.now())
    console.look_again(parts)
    if found.paced.stopped_at:
        click.echo("Sending goes on.")
    elif was_kept:
        click.echo("Sending wasn't stopped. What waited is tried at once.")
    elif found.calls:
        click.echo("Sending wasn't stopped. It goes at full speed again.")
    else:
        click.echo("Sending wasn't stopped; nothing was changed.")


def _standing(session: Session, limited: Limits) -> _Standing:
    return _Standing(
        pace.show(session),
        breaker.show(session),
        calls.show(session),
        limits.show(session, limited),
        presence.show(session),
    )


def _document(found: _Standing) -> dict[str, Any]:
    paced = found.paced
    return {
        "stopped": paced.stopped_reason if paced.stopped_at else None,
        "waits_until": paced.wait_until.isoformat() if paced.wait_until and _waits(paced) else None,
        "breaker": _breaker(found.broken),
        "calls_a_second": round(found.calls.a_second, 2) if found.calls else None,
        "limits": [
            {
                "of": use.name,
                "period": use.period,
                "used": use.used,
                "most": use.most,
                "goes_on_at": use.until.isoformat() if use.until else None,
            }
            for use in found.uses
        ],
        "processes": found.seen.alive,
    }


def _show(found: _Standing) -> None:
    whether = _whether(found)
    if not found.seen.alive:
        click.echo(_NOBODY)
        whether = _NOTHING_ELSE if whether == _MAY_GO else whether
    click.echo(whether)
    if found.calls:
        since = times.written(found.calls.refused_at)
        rate = f"{found.calls.a_second:.1f}"
        click.echo(f"The vendor takes about {rate} calls a second; its refusal at {since} says so.")
    rows = [(use.what, _used(use), _goes_on(use)) for use in found.uses]
    if rows:
        console.table("", ["limit", "used", "next turn"], rows)


def _whether(found: _Standing) -> str:
    """Say whether mail may go out; if not, why."""
    paced = found.paced
    if paced.stopped_at:
        return (
            f"All sending is stopped: {paced.stopped_reason}\n"
            "Once that is mended: mailprefs sending start"
        )
    if found.broken.sentence:
        return found.broken.sentence
    if paced.wait_until and _waits(paced):
        return Halt(None, "", paced.wait_until).sentence
    full = [use for use in found.uses if use.until and use.name == limits.EVERYTHING]
    # To keep to so many a second is to go; to have used up an hour or a day is to wait.
    spent = [use for use in full if use.period != "second"]
    if spent:
        return spent[0].sentence
    return f"Going at {full[0].most:,g} a second." if full and found.seen.alive else _MAY_GO


def _used(use: Use) -> str:
    """Say how much of a limit is used; one by the second, always full while it is kept to, is."""
    if use.period == "second":
        return f"at most {use.most:,g} a second"
    return f"{use.used:,} of {use.most:,g} {'an' if use.period == 'hour' else 'a'} {use.period}"


def _goes_on(use: Use) -> str:
    return times.written(use.until, seconds=True) if use.until else "at once"


def _waits(paced: Pace) -> bool:
    return paced.wait_until is not None and paced.wait_until > console.now()


def _breaker(broken: Breaker) -> dict[str, Any] | None:
    """Give the open breaker as JSON; None while it is closed."""
    if broken.open_since is None:
        return None
    return {
        "open_since": broken.open_since.isoformat(),
        "unclear_in_a_row": broken.unclear,
        "next_probe": broken.next_probe.isoformat() if broken.next_probe else None,
        "probing": broken.is_probing,
    }
