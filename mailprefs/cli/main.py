"""The commands, found by name and loaded when called, so that ``--help`` answers at once."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final, NamedTuple

import click

from mailprefs.errors import MailprefsError

_STOPPED: Final = 130
"""The exit status of a command that was interrupted (128 + SIGINT, as shells say it)."""
_UNREAD: Final = 141
"""That of one whose output nobody reads any more, as before `| head` (128 + SIGPIPE)."""


class _Place(NamedTuple):
    """Where a command is, and what it does in a line."""

    module: str
    name: str
    line: str


_PLACES: Final = {
    "init": _Place("setup", "init", "Make the database and the keys, and a first admin."),
    "staff": _Place("setup", "staff_group", "Add the people who run this installation."),
    "key": _Place("keys", "key_group", "Keys with which your own programs use the API."),
    "sender": _Place("topics", "sender_group", "Say who messages come from."),
    "topic": _Place("topics", "topic_group", "Add what people can be subscribed to."),
    "policy": _Place("policies", "policy_group", "Publish versions of the privacy policy."),
    "import": _Place("people", "import_people", "Import people from a CSV file."),
    "recipient": _Place("people", "recipient_group", "One person: what is held and chosen."),
    "subscription": _Place("people", "subscription_group", "Where people stand with topics."),
    "suppression": _Place(
        "suppressions", "suppression_group", "Addresses that are not to be mailed."
    ),
    "reconcile": _Place("suppressions", "reconcile", "Compare with the vendor's lists now."),
    "legal": _Place("legal", "legal_group", "Legal holds, disclosures, transfers."),
    "instance": _Place("instance", "instance_group", "Tell a copy from the live installation."),
    "ledger": _Place("ledger", "ledger_group", "Check the consent ledger; keep its head."),
    "campaign": _Place("campaigns", "campaign_group", "Write, check, send and stop campaigns."),
    "sending": _Place("pace", "sending_group", "See why all sending stands, and go on."),
    "report": _Place("reports", "report", "Print what became of a campaign."),
    "release": _Place("reports", "release", "Release numbers that are due; close old campaigns."),
    "retention": _Place("retention", "retention_group", "Delete what is older than it may be."),
    "opens": _Place("opens", "opens_group", "See how fetches of the pixel are judged."),
    "alarms": _Place("alarms", "alarms", "See what stands in the way of the sending."),
    "doctor": _Place("doctor", "doctor", "Check that everything is set up as it should be."),
    "run": _Place("running", "run", "Run the service."),
    "worker": _Place("running", "worker", "Send campaigns without serving pages."),
    "sandbox": _Place("running", "sandbox", "Run a stand-in for the vendor."),
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
        place = _PLACES[cmd_name]
        command: click.Command = getattr(import_module(f"mailprefs.cli.{place.module}"), place.name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Call a command; where nobody reads its output any more, say so by the exit status.

        click would end with 1, which for some commands says what they found.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _UNREAD

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.line) for name, place in _PLACES.items()])


def _show_version(ctx: click.Context, parameter: click.Parameter, asked: object) -> None:
    del parameter
    if asked:
        from mailprefs.settings import version

        click.echo(f"mailprefs {version()}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
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
        click.echo(
            "mailprefs: stopped. What was finished is kept; the same command goes on from there.",
            err=True,
        )
        return _STOPPED
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
