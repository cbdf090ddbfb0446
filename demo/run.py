"""The demo: a company with 1,200 people, two newsletters, people who leave, and a notice to all.

Everything is real but the people and the vendor: the commands are those of the README, the mail
goes over HTTP through the adapter that talks to SendGrid, and the summary at the end is computed
from the messages that arrived. ``--exit`` ends after it, with status 1 if a promise wasn't kept.
"""

import argparse
import json
import shlex
import signal
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from demo import people, proof, readers
from demo.installation import DemoError, Installation

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / ".demo"
MARTA, ILSE = "marta@lindenhof.example", "ilse@lindenhof.example"
_ADDRESS = "Lindenhof Garden, Lindenallee 7, 12345 Lindenau, Germany"
_TOPICS = (
    ("newsletter", "promotional", "Newsletter", "What to do in the garden, every second week."),
    (
        "product-updates",
        "promotional",
        "Product updates",
        "New seeds and tools, a few times a year.",
    ),
    ("account", "administrative", "Account", "Orders, invoices and your account."),
    ("legal", "administrative", "Legal", "Changes of terms and of the privacy policy."),
)
# The service takes loads within five seconds of the hand-over for a scanner's.
_BEFORE_READING = 6.0
_REFUSED_SHOWN = 3
_SUBJECTS = ("The quiet weeks", "The first frost", "We have changed our privacy policy")
_REASON = "The policy promises to tell everybody by e-mail when it changes materially."

out = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end after the summary")
    wants = parser.parse_args(arguments)
    # A plain `kill` ends the servers too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Installation(FOLDER) as installation:
            kept = play(installation)
            if not wants.exit:
                show_pages(installation)
                out.print("\n[bold]It keeps running; end it with Ctrl-C.[/bold]")
                installation.wait()
            return 0 if kept else 1
    except DemoError as error:
        out.print(f"[red]The demo stopped:[/red] {error}")
        return 1
    except KeyboardInterrupt:
        return 0


def play(installation: Installation) -> bool:
    """Play every scene; tell whether every promise was kept."""
    out.rule("[bold]mailprefs: a company, its readers, and a promise[/bold]")
    set_up(installation)
    bring_people(installation)
    first = send(installation, "newsletter", _SUBJECTS[0], "first_newsletter.md")
    left = read(installation, first, seed=1)
    second = send(installation, "newsletter", _SUBJECTS[1], "second_newsletter.md")
    left |= read(installation, second, seed=2)
    notice = send_notice(installation)
    time.sleep(1.5)
    return summary(installation, proof.Campaigns(first, second, notice), left)


def set_up(installation: Installation) -> None:
    """Make database and keys, senders, topics of both classes, two people, the policy."""
    scene("Setting up: database, keys, senders, four topics, two people on the staff")
    installation.start_sandbox()
    installation.call("init", "--admin", MARTA, "--name", "Marta Linden")
    for kind, local in (("promotional", "news"), ("administrative", "notices")):
        installation.call(
            *("sender", "set", kind, "--name", "Lindenhof Garden"),
            *("--from", f"{local}@lindenhof.example", "--reply-to", "hello@lindenhof.example"),
            *("--postal-address", _ADDRESS),
        )
    for slug, kind, name, description in _TOPICS:
        installation.call(
            "topic", "add", slug, "--class", kind, "--name", name, "--description", description
        )
    roles = [word for role in ("approve", "analyse", "privacy") for word in ("--role", role)]
    installation.call("staff", "add", ILSE, "--name", "Ilse Baum", *roles)
    installation.call("policy", "publish", str(HERE / "policy.md"), "--version", "2026-10")


def bring_people(installation: Installation) -> None:
    """Import the export of the old tool, with all that is wrong in it, then start the service."""
    file = people.write(installation.folder / "people.csv")
    scene(
        f"Importing {file.path.name}: {file.people:,} people, {file.duplicates} twice, "
        f"{file.broken} broken rows"
    )
    imported = installation.ask(
        "import",
        str(file.path),
        "--topic",
        "newsletter",
        "--map",
        "Plan=plan",
        "--source",
        "Box on the order form, not ticked beforehand, since 2024",
    )
    told = {name: imported[name] for name in ("added", "duplicate_in_file", "refused")}
    say(", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in told.items()))
    for one in imported["refusals"][:_REFUSED_SHOWN]:
        say(f"line {one['line']}: {one['reason']}", indent=4)
    if (more := imported["refused"] - _REFUSED_SHOWN) > 0:
        say(f"and {more:,} more, each told with its line and its reason", indent=4)
    installation.start_service()


def send(installation: Installation, topic: str, subject: str, source: str) -> int:
    """Write, check and send a newsletter; give its number."""
    scene(f"Sending the newsletter “{subject}”")
    number = installation.call(
        "campaign",
        "create",
        "--topic",
        topic,
        "--subject",
        subject,
        "--source",
        str(HERE / source),
        "--as",
        MARTA,
    )
    checked = installation.ask("campaign", "check", number)
    say(f"{checked['eligible']:,} of {checked['chosen']:,} people would get it")
    release(installation, subject, number, checked["eligible"])
    return int(number)


def send_notice(installation: Installation) -> int:
    """Let one person write a notice, and the other approve it; send it to everybody."""
    scene("A notice to everybody, written by Marta, approved by Ilse")
    number = installation.call(
        "campaign",
        "create",
        "--topic",
        "legal",
        "--subject",
        _SUBJECTS[2],
        "--source",
        str(HERE / "notice.md"),
        "--purpose",
        "policy_change",
        "--reason",
        _REASON,
        "--as",
        MARTA,
    )
    installation.call("campaign", "approve", number, "--as", MARTA, allowed=(1,))
    say("Marta can't approve what she wrote")
    installation.call("campaign", "approve", number, "--as", ILSE)
    checked = installation.ask("campaign", "check", number)
    release(installation, _SUBJECTS[2], number, checked["eligible"])
    return int(number)


def release(installation: Installation, subject: str, number: str, people_to_reach: int) -> None:
    """Send a checked campaign; show the vendor's stand-in taking the messages in."""
    before = accepted(installation)
    installation.call("campaign", "send", number, "--now", "--as", MARTA)
    columns = (TextColumn("  {task.description}"), BarColumn(24), MofNCompleteColumn())
    with Progress(*columns, console=out) as bar:
        task = bar.add_task(subject, total=people_to_reach)
        until = time.monotonic() + 120
        while (done := accepted(installation) - before) < people_to_reach:
            if time.monotonic() > until:
                raise DemoError(f"After two minutes {done:,} of {people_to_reach:,} had arrived.")
            bar.update(task, completed=done)
            time.sleep(0.2)
        bar.update(task, completed=done)
    installation.call("campaign", "wait", number, "--timeout", "60")


def read(installation: Installation, campaign: int, *, seed: int) -> dict[str, Any]:
    """Let people open the newsletter, and some of them leave; give who left and when."""
    time.sleep(_BEFORE_READING)
    mine = [
        one for one in mailbox(installation) if one["custom_args"]["mp_campaign"] == str(campaign)
    ]
    acts = readers.act(mine, seed=seed)
    say(
        f"{acts.loads:,} pictures loaded, {acts.by_header} people left by one click in their mail "
        f"program, {acts.by_page} on the page"
    )
    for refusal in acts.refused:
        say(f"[red]{refusal}[/red]")
    return dict(acts.left)


def summary(installation: Installation, campaigns: proof.Campaigns, left: dict[str, Any]) -> bool:
    """Print what arrived, promise by promise; tell whether all hold."""
    out.print()
    out.rule("[bold]What arrived, by the mailbox of the vendor’s stand-in[/bold]")
    shown = {number: installation.ask("campaign", "show", str(number)) for number in campaigns}
    kept = True
    for check in proof.checks(mailbox(installation), campaigns, shown, left):
        mark = "[green]✓[/green]" if check.holds else "[red]✗[/red]"
        row = Table.grid(padding=(0, 1))
        row.add_row("", mark, check.promise)
        row.add_row("", "", f"[dim]{check.figure}[/dim]")
        out.print(row)
        kept = kept and check.holds
    ledger = installation.ask("ledger", "verify")
    say(f"The consent ledger's {ledger['entries']:,} entries hold.")
    return kept


def show_pages(installation: Installation) -> None:
    """Print the addresses of the pages to look at."""
    promotional = next(
        one for one in mailbox(installation) if one["message_class"] == "promotional"
    )
    unsubscribe = promotional["headers"]["List-Unsubscribe"].split(">")[0].strip("<")
    # Numbers about opens come after a day, or when somebody asks; here nobody waits that long.
    for number in ("1", "2"):
        installation.call("report", number)
    out.print()
    out.rule("[bold]Pages to look at[/bold]")
    for name, address in (
        ("Sign in as Marta (once)", installation.call("staff", "link", MARTA)),
        ("Sign in as Ilse (once)", installation.call("staff", "link", ILSE)),
        ("Campaigns", f"{installation.url}/staff/campaigns"),
        ("Report of the first", f"{installation.url}/staff/reports/1"),
        ("Mailbox: what arrived", f"{installation.mailbox}/mailbox"),
        ("A reader’s unsubscribe page", unsubscribe),
        ("The privacy policy", f"{installation.url}/policy"),
    ):
        out.print(f"  {name}\n    {address}", soft_wrap=True)
    show_commands(installation)


def show_commands(installation: Installation) -> None:
    """Print lines to paste into another terminal: commands on this very installation."""
    installation.write_command()
    out.print("\n[bold]Commands to try in another terminal[/bold]")
    for words in ("campaign show 1", "report 1", "alarms", "--help"):
        out.print(f"  {shlex.quote(str(installation.command))} {words}", soft_wrap=True)


def mailbox(installation: Installation) -> list[readers.Message]:
    """Give every message that the vendor's stand-in took, oldest first."""
    found: list[readers.Message] = []
    while True:
        after = found[-1]["id"] if found else 0
        query = urllib.parse.urlencode({"after": after, "limit": 1000})
        page = _answer(f"{installation.mailbox}/sandbox/messages?{query}")["messages"]
        if not page:
            return found
        found += page


def accepted(installation: Installation) -> int:
    """Give how many recipients the vendor's stand-in has taken so far."""
    taken: int = _answer(f"{installation.mailbox}/sandbox/requests?limit=1")["accepted"]
    return taken


def scene(title: str) -> None:
    """Print the title of what comes next."""
    out.print(f"\n[bold]{title}[/bold]")


def say(text: str, *, indent: int = 2) -> None:
    """Print one thing that happened; its further lines begin where its first does."""
    out.print(Padding(text, (0, 0, 0, indent), expand=False))


def _answer(url: str) -> Any:  # noqa: ANN401 - whatever JSON the sandbox answers
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
