"""A person's value made fit for every part of a message: one line, nothing hidden, not too long."""

import unicodedata
from html import escape
from typing import Final

from mailprefs.rendering.content import VALUE_BYTES

SHORT: Final = VALUE_BYTES // 6
"""Characters that always fit: six bytes is the most that one becomes when it is escaped."""
# Characters that embed, override or isolate a direction; in a name they'd turn the rest of a line.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def cleaned(raw: str | None, mark: str) -> tuple[str, str] | None:
    """Give an unusual value, plain and escaped, once it is fit for a message; None for nothing."""
    value = clean(raw, mark) if raw else ""
    return (value, escape(value)) if value else None


def clean(raw: str, mark: str) -> str:
    """Give a person's value fit for every part: one line, no control characters, no mark."""
    value = raw.strip()
    if len(value) <= SHORT and value.isprintable() and mark not in value:
        return value
    value = "".join(map(_harmless, value))
    value = " ".join(value.split())
    while mark in value:
        value = value.replace(mark, "")
    return _cut(value)


def _harmless(character: str) -> str:
    """Give a space for what breaks a line, nothing for what can't be sent or turns text around."""
    category = unicodedata.category(character)
    if category in {"Cc", "Zl", "Zp"}:
        return " "
    return "" if category == "Cs" or character in _TURNING else character


def _cut(value: str) -> str:
    """Shorten a value whose escaped bytes are too many, and show that by an ellipsis."""
    if len(escape(value[: VALUE_BYTES + 1]).encode()) <= VALUE_BYTES:
        return value
    kept, room = 0, VALUE_BYTES - len("…".encode())
    for character in value:
        room -= len(escape(character).encode())
        if room < 0:
            break
        kept += 1
    return value[:kept].rstrip() + "…"
