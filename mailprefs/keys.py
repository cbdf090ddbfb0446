"""Secret keys: read from a setting, made anew, and refused when anybody could guess them.

A key is at least 32 bytes, written as base64url or as hexadecimal. The sentences here name the
setting and the place in its list, never the text of a key: errors end in logs.
"""

import binascii
import secrets
from base64 import b64decode
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

from mailprefs.errors import BadSetting

KEY_BYTES = 32
"""Shortest key accepted, and the length of a new one, in bytes (256 bits)."""

_HEX = frozenset("0123456789abcdefABCDEF")
# Random keys of 32 bytes have about 30 different bytes and 30 different steps between neighbours;
# fewer than these mean a repeated word, a run (00 01 02 ...) or a keyboard that was leant on.
_FEWEST_BYTES = 16
_FEWEST_STEPS = 8
# Long enough that a random key holds one of them once in ten million times.
_PLACEHOLDERS = ("change", "secret", "example", "placeholder", "password", "replace", "mailprefs")
_ADVICE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


def new_key() -> str:
    """Give a fresh random key of 32 bytes as base64url text, good for any key setting."""
    while True:
        text = secrets.token_urlsafe(KEY_BYTES)
        try:
            parse_one(text, setting="new key")
        except BadSetting:
            continue
        return text


def installation_id(keys: Sequence[bytes]) -> str:
    """Give 16 characters by which an installation knows itself; they tell nothing of its keys.

    It changes with the newest key, so a process that still runs with older ones is told apart.
    """
    # BLAKE2b takes keys of at most 64 bytes (RFC 7693 section 2.1); ours may be longer.
    key = blake2b(keys[-1]).digest()
    return blake2b(b"mailprefs/installation/v1", key=key, digest_size=8).hexdigest()


def parse_one(text: str, *, setting: str) -> bytes:
    """Read one key; *setting* is the name that errors.BadSetting shows when it is unsafe."""
    if "," in text:
        raise BadSetting(f"{setting} takes a single key, and a comma was found; give one key.")
    return _key(text.strip(), setting)


def parse_list(text: str, *, setting: str) -> tuple[bytes, ...]:
    """Read a comma list of keys, in the order given; errors.BadSetting says what is wrong where."""
    if not text.strip():
        raise BadSetting(f"{setting} is empty; {_ADVICE}.")
    parts = [part.strip() for part in text.split(",")]
    keys: list[bytes] = []
    for number, part in enumerate(parts, start=1):
        key = _key(part, f"{setting}, key {number} of {len(parts)},")
        if key in keys:
            first = keys.index(key) + 1
            raise BadSetting(
                f"{setting}, key {number} is the same as key {first}; remove one of the two."
            )
        keys.append(key)
    return tuple(keys)


def check(key: bytes, *, name: str) -> bytes:
    """Give *key* back if nobody can guess it; errors.BadSetting with *name* if it is weak."""
    if len(key) < KEY_BYTES:
        raise BadSetting(
            f"{name} holds {len(key)} bytes and needs at least {KEY_BYTES}; {_ADVICE}."
        )
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if len(set(key)) < _FEWEST_BYTES or len(steps) < _FEWEST_STEPS:
        raise BadSetting(f"{name} repeats itself and could be guessed; {_ADVICE}.")
    return key


def _key(text: str, name: str) -> bytes:
    if not text:
        raise BadSetting(f"{name} is empty; {_ADVICE}.")
    lowered = text.lower()
    if any(word in lowered for word in _PLACEHOLDERS):
        raise BadSetting(f"{name} is a placeholder, not a key; {_ADVICE}.")
    return check(_decoded(text, name), name=name)


def _decoded(text: str, name: str) -> bytes:
    # 64 digits that are all hexadecimal are a hexadecimal key: a random base64url text of that
    # length looks so once in 10 to the 38.
    if len(text) % 2 == 0 and _HEX.issuperset(text):
        return bytes.fromhex(text)
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        msg = f"{name} is neither base64url nor hexadecimal; {_ADVICE}."
    # Outside the handler, so that the decoder's error, which may show the text, isn't chained.
    raise BadSetting(msg)
