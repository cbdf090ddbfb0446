"""What messages are made of: senders and topics."""

from typing import Final

import click

from mailprefs import subscriptions
from mailprefs.cli import console
from mailprefs.errors import BadInput
from mailprefs.policy import MessageClass, Role, TrackingMode

_CLASSES: Final = [kind.value for kind in MessageClass]


@click.group("sender")
def sender_group() -> None:
    """Say who messages come from: one sender a class, or one a brand."""


@sender_group.command("list")
@console.type_json
def list_senders(*, as_json: bool) -> None:
    """List the senders."""
    parts = console.opened()
    with parts.db.reading() as session:
        found = [
            {
                "id": one.id,
                "class": one.message_class.value,
                "name": one.name,
                "from": one.from_address,
                "reply_to": one.reply_to,
                "postal_address": one.postal_address,
                "base_url": one.base_url,
            }
            for one in subscriptions.senders(session)
        ]
    rows = [
        (one["id"], one["class"], one["name"], one["from"], one["postal_address"]) for one in found
    ]
    console.answer(
        found,
        as_json=as_json,
        show=lambda: console.table(
            "Senders", ["#id", "class", "name", "from", "postal address"], rows
        ),
    )


@sender_group.command("set")
@click.argument("message_class", type=click.Choice(_CLASSES))
@click.option("--name", help="The name people see.")
@click.option("--from", "from_address", metavar="ADDRESS", help="From address of this class.")
@click.option("--reply-to", metavar="ADDRESS", help="Where answers go, read by a person.")
@click.option("--postal-address", metavar="TEXT", help="Shown on every promotional message.")
@click.option("--base-url", metavar="URL", help="Where the links of its messages lead.")
@click.option("--ip-pool", metavar="NAME", help="The vendor's IP pool of this class.")
@console.acting
def set_sender(message_class: str, acting_as: str | None, **changes: str | None) -> None:
    """Change the first sender of a class.

    Refused while a campaign of its is on its way; a draft has to be saved again to show it.
    """
    given = {field: value for field, value in changes.items() if value is not None}
    if not given:
        msg = "Say what to change: --name, --from, --reply-to, --postal-address or --base-url."
        raise BadInput(msg)
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.ADMIN)
        sender = subscriptions.senders(session, MessageClass(message_class))[0]
        subscriptions.change_sender(session, sender.id, given, who, now=console.now())
    click.echo(f"The {message_class} sender is changed.")


@click.group("topic")
def topic_group() -> None:
    """Add what people can be subscribed to; a topic has one class, for ever."""


@topic_group.command("add")
@click.argument("slug")
@click.option(
    "--class",
    "message_class",
    type=click.Choice(_CLASSES),
    default="promotional",
    show_default=True,
)
@click.option("--name", required=True, help="What people read.")
@click.option("--description", default="", help="One sentence for the preference page.")
@click.option(
    "--tracking",
    type=click.Choice([mode.value for mode in TrackingMode]),
    default="individual",
    show_default=True,
    help="How far opens may be measured at most.",
)
@click.option(
    "--unasked-tracking",
    type=click.Choice(["off", "aggregate"]),
    default="off",
    show_default=True,
    help="The same for people whose consent is needed and not given.",
)
@console.acting
def add_topic(  # noqa: PLR0913, PLR0917 - the options of one command
    slug: str,
    message_class: str,
    name: str,
    description: str,
    tracking: str,
    unasked_tracking: str,
    acting_as: str | None,
) -> None:
    """Add a topic."""
    parts = console.opened()
    new = subscriptions.NewTopic(
        slug,
        name,
        description,
        MessageClass(message_class),
        tracking=TrackingMode(tracking),
        unasked_tracking=TrackingMode(unasked_tracking),
    )
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.ADMIN)
        subscriptions.add_topic(session, new, who, now=console.now())
    click.echo(f"The {message_class} topic {slug} is there.")


@topic_group.command("list")
@console.type_json
def list_topics(*, as_json: bool) -> None:
    """List the topics with their classes."""
    parts = console.opened()
    with parts.db.reading() as session:
        found = [
            {
                "id": one.id,
                "slug": one.slug,
                "name": one.name,
                "class": one.message_class.value,
                "tracking": one.tracking.value,
            }
            for one in subscriptions.topics(session)
        ]
    rows = [(one["slug"], one["name"], one["class"], one["tracking"]) for one in found]
    console.answer(
        found,
        as_json=as_json,
        show=lambda: console.table("Topics", ["topic", "name", "class", "opens measured"], rows),
    )
