"""What is kept no longer than it may be: apply the rules now."""

import click

from mailprefs.app.joining import retention
from mailprefs.cli import console
from mailprefs.jobs.retention import RULES


@click.group("retention")
def retention_group() -> None:
    """Keep everything for as long as it may be, and no longer."""


@retention_group.command("run")
@console.type_json
def run(*, as_json: bool) -> None:
    """Reduce and delete what is older than the rules allow.

    The service does this by itself each night. It can be stopped at any time, and run again.
    """
    changed = retention(console.opened()).now()

    def show() -> None:
        for rule in RULES:
            click.echo(f"{changed[rule.name]:>12,}  {rule.says}")

    console.answer(changed, as_json=as_json, show=show)
