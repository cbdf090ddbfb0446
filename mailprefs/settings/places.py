"""Where this program's own files lie, and which version it is."""

import tomllib
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def templates_dir() -> Path:
    """Give the folder of templates: beside the package in a checkout, inside it in a wheel."""
    return _beside("templates")


def migrations_dir() -> Path:
    """Give the folder of migrations: beside the package in a checkout, inside it in a wheel."""
    return _beside("migrations")


def version() -> str:
    """Give the version of this program: a checkout says it itself, a wheel by its metadata."""
    checkout = _PACKAGE.parent / "pyproject.toml"
    if checkout.is_file():
        found: str = tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]["version"]
        return found
    return metadata.version("mailprefs")


def _beside(name: str) -> Path:
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name
