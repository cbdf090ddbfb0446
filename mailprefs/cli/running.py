"""The service itself: web and jobs in one process, more workers, and the vendor's stand-in."""

from pathlib import Path

import click

from mailprefs.cli import console


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=console.PORT, default=8400, show_default=True, help="Port to listen on."
)
@click.option("--no-worker", is_flag=True, help="Serve pages and pixels only; send nothing.")
def run(host: str, port: int, *, no_worker: bool) -> int:
    """Run the service: pages, pixels, webhooks, and the sending of campaigns."""
    from mailprefs.app import serve

    console.opened()
    click.echo(f"Pages: http://{host}:{port}/staff; end it with Ctrl-C.")
    return 0 if serve(host=host, port=port, worker=not no_worker) else 1


@click.command()
def worker() -> int:
    """Send campaigns and count opens without serving pages.

    On SIGTERM calls in flight finish, the rest is given back, and it exits 0. Told again, it
    hurries.
    """
    from mailprefs.app import work

    return 0 if work(console.opened()) else 1


@click.command()
@click.option(
    "--port",
    type=console.PORT,
    default=8410,
    show_default=True,
    help="Port on 127.0.0.1 to listen on.",
)
@click.option(
    "--store",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the messages; without it they end with the process.",
)
@click.option(
    "--webhook",
    metavar="URL",
    default="http://127.0.0.1:8400/webhooks/sendgrid/events",
    show_default=True,
    help="Where to post signed events to.",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Private key that signs the events; made when missing.",
)
@click.option(
    "--calls-per-second",
    type=console.WholeNumber(1, 1_000_000),
    metavar="N",
    help="Answer 429 to calls beyond so many in a second, as vendors do.",
)
def sandbox(
    port: int,
    store: Path | None,
    webhook: str,
    key_file: Path | None,
    calls_per_second: int | None,
) -> None:
    """Run a stand-in for the vendor on this machine, with a mailbox page to look at."""
    from mailprefs.sandbox.moods import Kind, Mood
    from mailprefs.sandbox.server import serve

    limit = Mood(kind=Kind.TOO_FAST, calls=calls_per_second)
    moods = (limit,) if calls_per_second else ()
    serve(port=port, store=store, webhook=webhook, key_file=key_file, moods=moods)
