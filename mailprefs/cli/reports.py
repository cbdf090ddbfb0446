"""Reports at the console: the same released numbers and the same words as on the pages."""

import click

from mailprefs.app.joining import numbers
from mailprefs.cli import console
from mailprefs.errors import MailprefsError
from mailprefs.reports import releases
from mailprefs.reports.breakdowns import MEANING, Breakdown, Part
from mailprefs.reports.campaigns import DEFINITIONS, Opens, Report, find
from mailprefs.reports.campaigns import report as make_report
from mailprefs.reports.cells import Cell, Rule, Shown

_BARS = " ▁▂▃▄▅▆▇█"
_WIDEST = 24


@click.command("report")
@click.argument("campaign_id", type=int, metavar="ID")
@console.acting
@console.type_json
def report(campaign_id: int, *, acting_as: str | None, as_json: bool) -> None:
    """Print what became of a campaign, and what can honestly be said of its opens.

    Numbers about opens are released once a day. The first ones are released a day after the first
    message, or as soon as they are asked for here: asking early uses the day up, so that the next
    ones come a day later at the earliest.
    """
    parts = console.opened()
    rule = Rule(people=parts.settings.least_people)
    with parts.db.transaction() as session:
        campaign, actor = find(session, campaign_id), console.actor(session, acting_as)
        releases.ask(session, campaign, actor, now=console.now(), rule=rule)
    with parts.db.reading() as session:
        made = make_report(session, campaign_id, now=console.now())
    console.answer(made.as_json(), as_json=as_json, show=lambda: _show(made))


@click.command("release")
@console.type_json
def release(*, as_json: bool) -> None:
    """Release the numbers that are due, and close campaigns after 90 days.

    The service does this by itself, every few minutes.
    """
    done = numbers(console.opened()).now()

    def show() -> None:
        click.echo(
            f"{done.released:,} campaigns have new numbers; {done.closed:,} were closed, and "
            f"{done.final:,} have their final numbers now."
        )

    console.answer(done._asdict(), as_json=as_json, show=show)
    if done.failed:
        raise MailprefsError(
            f"Numbers are left for later, of {done.failed:,} campaigns; the log says why."
        )


def _show(made: Report) -> None:
    console.table(
        f"Campaign {made.campaign_id}: {made.name}",
        ["", "#deliveries"],
        [(event.replace("_", " "), n) for event, n in made.mailbox.items()],
    )
    click.echo()
    if made.opens is None:
        click.echo("Administrative mail is never measured.")
    else:
        _show_opens(made.opens, made.zone)


def _show_opens(opens: Opens, zone: str) -> None:
    """Print each rate with what it means, and what the estimate is made of."""
    measured = opens.measured
    title = "Opens" if measured is None else f"Opens, of {measured:,} measured messages"
    click.secho(title, bold=True)
    if measured:
        console.table("", ["", "", "", ""], _rates(opens))
    for line in _beside(opens):
        click.echo(line)
    for one in opens.tables:
        click.echo()
        _show_table(one, zone)
    click.echo()
    for name, meaning in DEFINITIONS.items():
        click.echo(f"{name}: {meaning}")
    if opens.tables:
        click.echo(f"opens: {MEANING}")


def _beside(opens: Opens) -> list[str]:
    """Give what stands beside the rates: when they were released, of whom, made of what."""
    lines = [f"No estimate: {sentence}" for sentence in opens.sentences]
    if opens.label:
        lines.append(f"Each rate is one {opens.label}.")
    if opens.inputs:
        told = ", ".join(f"{letter} {n:,}" for letter, n in opens.inputs.items())
        lines.append(f"Made of: {told}")
    if opens.loads:
        lines.append(f"Loads by people who are never told apart: {opens.loads:,}")
    if opens.released_at is not None:
        final = "Final numbers" if opens.is_final else "Numbers"
        lines.append(f"{final} as of {opens.released_at:%Y-%m-%d %H:%M} UTC")
    return lines


def _rates(opens: Opens) -> list[tuple[str, str, str, str]]:
    rows = [
        ("reported", _words(opens.reported), "", "too high: automatic loads are in it"),
        ("confirmed", _words(opens.confirmed), "", "at least"),
    ]
    if opens.estimate is not None:
        rate, low, high, less, more = opens.estimate
        between = f"{low:.1%} to {high:.1%}"
        wider = f"95 % interval; {less:.1%} to {more:.1%} if people behind Apple’s proxy differ"
        rows.append(("estimated", f"{rate:.1%}", between, wider))
    return rows


def _show_table(one: Breakdown, zone: str) -> None:
    """Print a breakdown: times with a sparkline, all others with bars."""
    title = f"Opens {one.title[0].lower()}{one.title[1:]}"
    if one.name in {"day", "hour"}:
        click.secho(f"{title} ({zone})", bold=True)
        click.echo(f"{sparkline([part.opens for part in one.parts])}  {one.total:,} in all")
    else:
        click.secho(title, bold=True)
    if one.name != "hour":
        most = max((part.opens for part in one.lines), default=1) or 1
        console.table("", ["", "#opens", "#share", ""], [_line(part, most) for part in one.lines])


def _line(part: Part, most: int) -> tuple[str, int, str, str]:
    return part.label, part.opens, f"{part.rate:.1%}", "█" * round(part.opens * _WIDEST / most)


def sparkline(counts: list[int]) -> str:
    """Draw *counts* as one line of bars, the highest of them full."""
    most = max(counts, default=0)
    return "".join(_BARS[-(-n * (len(_BARS) - 1) // most)] if most else _BARS[0] for n in counts)


def _words(cell: Cell) -> str:
    """Say a cell as it may be shown."""
    if cell.rate is None:
        return "withheld, too few people"
    if cell.shown is Shown.EXACT:
        return f"{cell.rate:.1%} ({cell.n:,} of {cell.of:,})"
    return f"{cell.shown.value} {cell.rate:.1%}"
