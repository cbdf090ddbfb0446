"""Whether mail may go out at the moment, what the limits leave, and going on after a stop."""

from typing import Any, NamedTuple

import click
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.campaigns import states
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
    """Let all sending go on after a stop."""
    parts = console.opened()
    with parts.db.transaction() as session:
        states.start_sending(session, console.actor(session, acting_as), now=console.now())
    click.echo("Sending goes on.")


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
    rows = [
        (use.what, f"{use.used:,} of {use.most:,g} a {use.period}", _goes_on(use))
        for use in found.uses
    ]
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
        return f"The vendor asked to wait until {times.written(paced.wait_until, seconds=True)}."
    full = [use for use in found.uses if use.until and use.name == limits.EVERYTHING]
    # To keep to so many a second is to go; to have used up an hour or a day is to wait.
    spent = [use for use in full if use.period != "second"]
    if spent:
        return spent[0].sentence
    return f"Going at {full[0].most:,g} a second." if full and found.seen.alive else _MAY_GO


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
