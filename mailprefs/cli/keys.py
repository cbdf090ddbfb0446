"""Keys for programs at the console: make one, list them, take one back."""

from datetime import UTC, datetime, timedelta

import click

from mailprefs import api_keys
from mailprefs.cli import console
from mailprefs.policy import KeyScope, Role

_TODAY = timedelta(days=1)


@click.group("key")
def key_group() -> None:
    """Keys with which your own programs use the API."""


@key_group.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in KeyScope]),
    help="What it may do; may be given more than once.",
)
@click.option(
    "--expires",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="The last day on which it works (UTC), within a year.",
)
@console.acting
def add(name: str, scopes: tuple[str, ...], expires: datetime, acting_as: str | None) -> None:
    """Make a key for the program NAME; prints it once, and never again."""
    parts = console.opened()
    ends = expires.replace(tzinfo=UTC) + _TODAY
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.ADMIN)
        wanted = [KeyScope(scope) for scope in scopes]
        key, text = api_keys.add(session, name, wanted, ends, who, now=console.now())
        number = key.id
    click.echo(text)
    click.echo(f"This is key {number}. It is shown only now; keep it where programs keep secrets.")


@key_group.command("list")
@console.type_json
def list_keys(*, as_json: bool) -> None:
    """List the keys, what each may do, until when, and its last use."""
    parts = console.opened()
    with parts.db.reading() as session:
        keys = api_keys.listed(session)
        found = [
            {
                "id": one.id,
                "name": one.name,
                "scopes": one.scopes,
                "expires_at": one.expires_at.isoformat(timespec="seconds"),
                "revoked": one.revoked_at is not None,
                "last_used_on": one.last_used_on.isoformat() if one.last_used_on else None,
            }
            for one in keys
        ]
    rows = [
        (
            one.id,
            one.name,
            ", ".join(one.scopes),
            "taken back" if one.revoked_at else f"{one.expires_at:%Y-%m-%d %H:%M}",
            str(one.last_used_on or "never"),
        )
        for one in keys
    ]
    console.answer(
        found,
        as_json=as_json,
        show=lambda: console.table("Keys", ["#id", "name", "scopes", "until", "last used"], rows),
    )


@key_group.command("revoke")
@click.argument("number", type=int)
@console.acting
def revoke(number: int, acting_as: str | None) -> None:
    """Take a key back, for good: the next request with it is refused."""
    parts = console.opened()
    with parts.db.transaction() as session:
        who = console.actor(session, acting_as, Role.ADMIN)
        api_keys.revoke(session, number, who, now=console.now())
    click.echo(f"Key {number} is taken back.")
