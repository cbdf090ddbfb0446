"""What every page knows: its language, whom to write to, and where its stylesheet is."""

from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from flask import Flask, url_for

from mailprefs.settings import Settings
from mailprefs.web import speaking

STATIC_FOLDER = Path(__file__).with_name("static")
_YEAR = 31_536_000


def install(app: Flask, settings: Settings) -> None:
    """Give all templates of *app* what they share."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _YEAR
    shared: dict[str, Any] = {
        "asset": asset,
        "contact": settings.contact,
        "contact_url": contact_url(settings.contact),
    }
    app.context_processor(lambda: shared)
    speaking.install(app)
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def asset(name: str) -> str:
    """Give the address of a static file; it changes with the file, so browsers may keep it."""
    return url_for("static", filename=name, v=_digest(name))


def contact_url(contact: str) -> str | None:
    """Give where a click on the contact leads: a mail, a page, or nowhere for a plain text."""
    if contact.startswith(("https://", "http://")):
        return contact
    if contact.count("@") == 1 and not any(mark in contact for mark in " <>?&"):
        return f"mailto:{contact}"
    return None


@cache
def _digest(name: str) -> str:
    return blake2b((STATIC_FOLDER / name).read_bytes(), digest_size=6).hexdigest()
