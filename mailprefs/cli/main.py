"""The commands, found by name and loaded when called, so that ``--help`` answers at once."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from mailprefs.errors import MailprefsError

_PLACES = {
    "init": "setup:init",
    "staff": "setup:staff_group",
    "sender": "setup:sender_group",
    "topic": "setup:topic_group",
    "policy": "setup:policy_group",
    "import": "people:import_people",
    "recipient": "people:recipient_group",
    "subscription": "people:subscription_group",
    "suppression": "people:suppression_group",
    "ledger": "people:ledger_group",
    "campaign": "campaigns:campaign_group",
    "report": "reports:report",
    "run": "running:run",
    "worker": "running:worker",
    "sandbox": "running:sandbox",
}


class _Commands(click.Group):
    """The top-level group; each command's module is imported only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order in which a new user meets them."""
        del ctx
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in _PLACES:
            return None
        module, name = _PLACES[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"mailprefs.cli.{module}"), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mailprefs", message="mailprefs %(version)s")
def commands() -> None:
    """Send newsletters and notices, and keep the promises of the privacy policy.

    Settings are read from MAILPREFS_* variables and from settings.env in the data directory
    (docs/settings.md). Start with `mailprefs init`.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit status. A refusal is one sentence on standard error."""
    try:
        result = commands.main(arguments, standalone_mode=False)
    except MailprefsError as error:
        click.echo(f"mailprefs: {error}", err=True)
        return error.exit_status
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        click.echo("mailprefs: stopped; nothing half done was kept.", err=True)
        return 130
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
