"""How a view gets at the installation that it answers for."""

from typing import cast

from flask import Flask, current_app

from mailprefs.web.parts import Parts

_EXTENSION = "mailprefs"


def install(app: Flask, parts: Parts) -> None:
    """Let the views of *app* find *parts*."""
    app.extensions[_EXTENSION] = parts


def here() -> Parts:
    """Give the installation that the present request belongs to."""
    return cast("Parts", current_app.extensions[_EXTENSION])
