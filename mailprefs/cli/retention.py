"""What is kept no longer than it may be: the rules, and applying them now."""

import click

from mailprefs.app.joining import retention
from mailprefs.cli import console
from mailprefs.jobs.retention import RULES


@click.group("retention")
def retention_group() -> None:
    """Keep everything for as long as it may be, and no longer."""


@retention_group.command("run")
@click.option("--dry-run", is_flag=True, help="Count what is too old, and change nothing.")
@console.type_json
def run(*, dry_run: bool, as_json: bool) -> None:
    """Reduce and delete what is older than the rules allow.

    The service does this by itself each night. It can be stopped at any time, and run again.
    """
    job = retention(console.opened())
    changed = job.now(dry_run=dry_run)

    def show() -> None:
        for rule in RULES:
            kept = job.periods[rule.name]
            click.echo(f"{changed[rule.name]:>12,}  {rule.what}: {kept}, then {rule.then}")

    console.answer(changed, as_json=as_json, show=show)


@retention_group.command("show")
@console.type_json
def show_rules(*, as_json: bool) -> None:
    """List what is kept for how long, and why."""
    job = retention(console.opened())
    document = [
        {
            "rule": rule.name,
            "what": rule.what,
            "kept": str(job.periods[rule.name]),
            "then": rule.then,
            "why": rule.why,
            "longer_because": job.periods[rule.name].because,
        }
        for rule in RULES
    ]

    def show() -> None:
        for one in document:
            click.echo(f"{one['rule']}: {one['what']}")
            click.echo(f"    {one['kept']}, then {one['then']}; {one['why']}")
            if one["longer_because"]:
                click.echo(f"    longer than usual, because {one['longer_because']}")

    console.answer(document, as_json=as_json, show=show)
