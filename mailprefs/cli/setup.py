"""Setting up an installation: database and keys, staff, senders, topics, the privacy policy."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from sqlalchemy.orm import Session

from mailprefs import audit, staff, subscriptions
from mailprefs.app import Parts, build
from mailprefs.audit import CONSOLE, Actor
from mailprefs.cli import console
from mailprefs.consent.policies import current_policy, publish_policy
from mailprefs.db.migrate import upgrade
from mailprefs.errors import BadFile, NotFound
from mailprefs.keys import new_key
from mailprefs.policy import MessageClass, Role, TrackingMode
from mailprefs.settings import PREFIX, Environment, Settings, is_loopback, load, templates_dir

_CLASSES: Final = [kind.value for kind in MessageClass]
_PLACEHOLDER: Final = {
    MessageClass.PROMOTIONAL: ("Our newsletter", "news"),
    MessageClass.ADMINISTRATIVE: ("Our company", "notices"),
}


@click.command()
@click.option("--admin", metavar="EMAIL", help="First member of staff, with every role.")
@click.option("--name", default="Admin", show_default=True, help="That person's name.")
def init(admin: str | None, name: str) -> None:
    """Make the database and the keys, and a first admin; safe to repeat."""
    settings = load()
    _write_keys(settings)
    parts = build(load())
    upgrade(parts.db)
    with parts.db.transaction() as session:
        _first_senders(session, parts.settings)
        if current_policy(session, console.now()) is None:
            text = (templates_dir() / "policy.md").read_text(encoding="utf-8")
            publish_policy(session, "starting", text, now=console.now())
    click.echo(f"The installation in {settings.data_dir} is ready.")
    if admin is not None:
        _add_staff(parts, admin, name, list(Role), CONSOLE)
    click.echo("Next: mailprefs topic add newsletter --class promotional --name Newsletter")


@click.group("staff")
def staff_group() -> None:
    """Add the people who run this installation, and let them in."""


@staff_group.command("add")
@click.argument("email")
@click.option("--name", default="", help="The person's name.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="May be given more than once.",
)
@console.acting
def add_staff(email: str, name: str, roles: tuple[str, ...], acting_as: str | None) -> None:
    """Add a person; prints a link that signs them in once, within 24 hours."""
    parts = console.opened()
    with parts.db.reading() as session:
        who = console.actor(session, acting_as)
    _add_staff(parts, email, name, [Role(role) for role in roles], who)


@staff_group.command("link")
@click.argument("email")
def link(email: str) -> None:
    """Print a fresh link that signs a person in once, within 24 hours."""
    parts = console.opened()
    with parts.db.transaction() as session:
        person = staff.by_email(session, email)
        path = staff.sign_in_link(session, parts.links, person.id, now=console.now())
    click.echo(parts.settings.base_url + path)


@staff_group.command("list")
@console.type_json
def list_staff(*, as_json: bool) -> None:
    """List the staff with their roles."""
    parts = console.opened()
    with parts.db.reading() as session:
        people = staff.listed(session)
    found = [
        {
            "id": person.id,
            "email": person.email,
            "name": person.name,
            "active": person.active,
            "roles": sorted(roles),
        }
        for person, roles in people
    ]
    rows = [(one.id, one.email, one.name, ", ".join(sorted(roles))) for one, roles in people]
    console.answer(
        found,
        as_json=as_json,
        show=lambda: console.table("Staff", ["#id", "e-mail", "name", "roles"], rows),
    )


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
@console.acting
def set_sender(message_class: str, acting_as: str | None, **changes: str | None) -> None:
    """Change the first sender of a class; messages already frozen keep what they show."""
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        sender = subscriptions.senders(session, MessageClass(message_class))[0]
        given = {field: value for field, value in changes.items() if value is not None}
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
        subscriptions.add_topic(session, new, console.actor(session, acting_as), now=console.now())
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


@click.group("policy")
def policy_group() -> None:
    """Publish versions of the privacy policy."""


@policy_group.command("publish")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--version", required=True, metavar="V", help="Name of this version.")
@console.acting
def publish(file: Path, version: str, acting_as: str | None) -> None:
    """Put a policy text in force from now on; a published text never changes."""
    parts = console.opened()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file} can't be read as UTF-8 text: {type(error).__name__}."
        raise BadFile(msg) from error
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as)
        number = publish_policy(session, version, text, now=console.now())
        audit.record(
            session,
            who,
            "policy.published",
            ("policy_version", number),
            now=console.now(),
            details={"version": version},
        )
    click.echo(f"Version {version} is in force.")


def _write_keys(settings: Settings) -> None:
    """Write the keys that are missing to settings.env, readable by its owner only."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    missing = {
        "TOKEN_KEYS": settings.token_keys,
        "ADDRESS_KEY": settings.address_key,
    }
    lines = [
        f"{PREFIX}{name}={new_key()}\n"
        for name, value in missing.items()
        if not value.get_secret_value()
    ]
    if not lines:
        return
    path = settings.data_dir / "settings.env"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.writelines(lines)


def _first_senders(session: Session, settings: Settings) -> None:
    """Give each class a sender, so that topics can be added; the checks ask for what is missing.

    In the sandbox, where nothing is real, nothing is missing.
    """
    sandbox = settings.environment is Environment.SANDBOX
    host = urlsplit(settings.base_url).hostname or ""
    domain = host if "." in host and not is_loopback(settings.base_url) else "mailprefs.example"
    for message_class, (name, local) in _PLACEHOLDER.items():
        if subscriptions.senders(session, message_class):
            continue
        new = subscriptions.NewSender(
            name=name,
            from_address=f"{local}@{domain}",
            reply_to=settings.contact if "@" in settings.contact else f"hello@{domain}",
            postal_address="1 Example Street, 12345 Exampleton" if sandbox else "",
            base_url=settings.base_url,
            message_class=message_class,
        )
        subscriptions.add_sender(session, new, CONSOLE, now=console.now())


def _add_staff(parts: Parts, email: str, name: str, roles: list[Role], who: Actor) -> None:
    """Add a member of staff and print their first sign-in link; known people get a link only."""
    with parts.db.transaction() as session:
        try:
            person = staff.by_email(session, email)
        except NotFound:
            person = staff.add(session, email, name, roles, who, now=console.now())
        for role in roles:
            staff.grant(session, person.id, role, who, now=console.now())
        path = staff.sign_in_link(session, parts.links, person.id, now=console.now())
    click.echo(f"Sign in once, within 24 hours: {parts.settings.base_url}{path}")
