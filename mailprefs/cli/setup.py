"""Setting up an installation: database and keys, the first senders, and the staff."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import staff, subscriptions
from mailprefs.addresses import normalise
from mailprefs.app import Parts
from mailprefs.audit import CONSOLE, Actor
from mailprefs.cli import console
from mailprefs.consent.policies import current_policy, publish_policy
from mailprefs.db.database import Database
from mailprefs.db.migrate import upgrade
from mailprefs.db.version import pending
from mailprefs.errors import BadSetting, Conflict, NotFound
from mailprefs.keys import new_key
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.people import Recipient
from mailprefs.settings import PREFIX, Environment, Settings, is_loopback, load, templates_dir

_PLACEHOLDER: Final = {
    MessageClass.PROMOTIONAL: ("Our newsletter", "news"),
    MessageClass.ADMINISTRATIVE: ("Our company", "notices"),
}


@click.command()
@click.option("--admin", metavar="EMAIL", help="First member of staff, with every role.")
@click.option("--name", default="", help="That person's name.")
def init(admin: str | None, name: str) -> None:
    """Make the database and the keys, and a first admin; safe to repeat."""
    settings = load()
    if admin is not None:
        normalise(admin)
    _write_keys(settings)
    parts = console.open_now()
    upgrade(parts.db)
    if admin is not None:
        _check_first(parts, admin)
    with parts.db.transaction() as session:
        _first_senders(session, parts.settings)
        if current_policy(session, console.now()) is None:
            text = console.text_of(templates_dir() / "policy.md")
            publish_policy(session, "starting", text, now=console.now())
        has_topics = bool(subscriptions.topics(session))
    click.echo(f"The installation in {parts.settings.data_dir} is ready.")
    if admin is not None:
        _add_staff(parts, admin, name, list(Role), CONSOLE)
    if not has_topics:
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
    """Add a person; prints their first sign-in link.

    It works once, within 24 hours.
    """
    parts = console.opened()
    with parts.db.reading() as session:
        who = console.actor(session, acting_as, Role.ADMIN)
    _add_staff(parts, email, name, [Role(role) for role in roles], who)


@staff_group.command("link")
@click.argument("email")
def link(email: str) -> None:
    """Print a fresh link that signs a person in.

    It works once, within 24 hours.
    """
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


def _check_first(parts: Parts, email: str) -> None:
    """Let only the first admin in by ``init``: who comes later is added by a name of their own.

    :raises Conflict: where somebody else is on the staff, with the way to add this one.
    """
    with parts.db.reading() as session:
        people = staff.listed(session)
    known = normalise(email).key
    if not people or any(
        person.email == known and person.active and Role.ADMIN in roles for person, roles in people
    ):
        return
    msg = (
        "This installation has its staff already, and init makes only the first admin. To add "
        "somebody: mailprefs staff add ADDRESS --role admin"
    )
    raise Conflict(msg)


def _write_keys(settings: Settings) -> None:
    """Write the keys that are missing to settings.env, readable by its owner only.

    :raises BadSetting: when people are on file already: their links and suppressions hang on the
        keys that are missing, and new ones would cut them off without anybody noticing.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = {"TOKEN_KEYS": settings.token_keys, "ADDRESS_KEY": settings.address_key}
    missing = [f"{PREFIX}{name}" for name, key in keys.items() if not key.get_secret_value()]
    if not missing:
        return
    if _knows_people(settings):
        msg = (
            f"{' and '.join(missing)} of this installation can't be found, and people are on file "
            f"whose links and suppressions need them; restore {settings.data_dir}/settings.env "
            "from its backup."
        )
        raise BadSetting(msg)
    _append(
        settings.data_dir / "settings.env", "".join(f"{name}={new_key()}\n" for name in missing)
    )


def _knows_people(settings: Settings) -> bool:
    db = Database(settings.database)
    try:
        if pending(db):
            return False
        with db.reading() as session:
            return session.scalar(select(Recipient.id).limit(1)) is not None
    finally:
        db.close()


def _append(path: Path, lines: str) -> None:
    """Add lines to a file that nobody else may read, on lines of their own."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "rb+") as file:
        os.fchmod(descriptor, 0o600)
        before = file.read()
        torn = b"" if before.endswith(b"\n") or not before else b"\n"
        file.write(torn + lines.encode())


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
    """Add a member of staff and print their first sign-in link; known people get the roles too."""
    with parts.db.transaction() as session:
        try:
            person = staff.by_email(session, email)
        except NotFound:
            person = staff.add(session, email, name, roles, who, now=console.now())
        for role in roles:
            staff.grant(session, person.id, role, who, now=console.now())
        path = staff.sign_in_link(session, parts.links, person.id, now=console.now())
    click.echo(f"Sign in once, within 24 hours: {parts.settings.base_url}{path}")
