"""One campaign's report at the console: the same numbers and the same words as on the page."""

import click

from mailprefs.cli import console
from mailprefs.reports.campaigns import DEFINITIONS, Opens
from mailprefs.reports.campaigns import report as make_report
from mailprefs.reports.cells import Cell, Shown


@click.command("report")
@click.argument("campaign_id", type=int, metavar="ID")
@console.type_json
def report(campaign_id: int, *, as_json: bool) -> None:
    """Print what became of a campaign, and what can honestly be said of its opens."""
    parts = console.opened()
    with parts.db.reading() as session:
        made = make_report(session, campaign_id, now=console.now())

    def show() -> None:
        console.table(
            f"Campaign {made.campaign_id}: {made.name}",
            ["", "#deliveries"],
            [(event.replace("_", " "), n) for event, n in made.mailbox.items()],
        )
        if made.opens is None:
            click.echo("Administrative mail is never measured.")
        else:
            _show(made.opens)

    console.answer(made.as_json(), as_json=as_json, show=show)


def _show(opens: Opens) -> None:
    """Print each rate with what it means, and what the estimate is made of."""
    if opens.measured is None:
        click.echo("Opens: too few deliveries were measured to say anything.")
    else:
        click.echo(f"Opens, of {opens.measured:,} delivered messages that were measured:")
    for name, cell in (("reported", opens.reported), ("confirmed", opens.confirmed)):
        click.echo(f"  {name}: {_words(cell)}")
    if opens.estimate is not None:
        rate, low, high, *_ = opens.estimate
        click.echo(f"  estimated: {rate:.1%} (95 % interval {low:.1%} to {high:.1%})")
    for sentence in opens.sentences:
        click.echo(f"  no estimate: {sentence}")
    for name, meaning in DEFINITIONS.items():
        click.echo(f"  {name} means: {meaning}")


def _words(cell: Cell) -> str:
    """Say a cell as it may be shown."""
    if cell.rate is None:
        return "withheld, too few people"
    if cell.shown is Shown.EXACT:
        return f"{cell.rate:.1%} ({cell.n:,} of {cell.of:,})"
    return f"{cell.shown.value} {cell.rate:.1%}"
