"""Take off what mail clients, gateways and people add to a link before it comes back.

Nothing here decides whether a token is good: it only proposes readings of a text, and the signature
picks the right one. So a generous guess costs a few microseconds and never safety.
"""

import html
import re
from collections.abc import Iterator
from functools import cache
from typing import Final
from urllib.parse import unquote

from mailprefs.links.signing import SIGNATURE_LENGTH

LONGEST: Final = 512
"""Characters looked at; our longest token has 51, the rest is room for what was glued on."""

_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2212\ufe63\uff0d", "-"))
# Quoted replies and forwards break a long link and start the next line with "> ".
_QUOTED_BREAK = re.compile(r"[\r\n]+[>|\s]*")
# Everything that no link holds and a client may put in: white space, control characters, anything
# outside ASCII (zero-width characters, typographic quotes, their bytes read as Latin-1), and the
# "=" of a quoted-printable soft line break (RFC 2045 section 6.7).
_FOREIGN = re.compile(r"[^!-<>-~]+")
_QUOTED_PRINTABLE = re.compile(r"=(2[dDeE]|5[fF]|3[dD]|20|0[aAdD])")
_DOUBLE_CODED = 2


def readings(text: object, lengths: tuple[int, ...]) -> Iterator[str]:
    """Propose the tokens that *text* may have been, likeliest first, each at most once.

    *text* is whatever came after the prefix of the path, of any type; *lengths* are the lengths
    that a payload of this purpose may have, in characters.
    """
    if isinstance(text, bytes):
        text = text[:LONGEST].decode("latin-1")
    if not isinstance(text, str):
        return
    pattern = _pattern(lengths)
    seen: set[str] = set()
    for cleaned in _cleaned(text[:LONGEST]):
        found = pattern.match(cleaned)
        if found is None:
            continue
        payload, signature = (part.replace(" ", "") for part in found.groups())
        # A client that ends a link before a "-" or "_" cuts the last character of one link in 32.
        ends = ("",) if len(signature) == SIGNATURE_LENGTH else ("-", "_")
        for end in ends:
            token = f"{payload}.{signature}{end}"
            if token not in seen:
                seen.add(token)
                yield token


def _cleaned(text: str) -> Iterator[str]:
    """Give *text* with breaks as single spaces, in the ways it may be understood."""
    for _ in range(_DOUBLE_CODED):
        if "%" in text:
            text = unquote(text, errors="replace")
    if "&" in text:
        text = html.unescape(text)
    text = _QUOTED_BREAK.sub(" ", text.translate(_HYPHENS))
    # "=2E" is a dot in quoted-printable, but "=" and "2E" where the text was broken after "=".
    if "=" in text:
        decoded = _QUOTED_PRINTABLE.sub(lambda found: chr(int(found[1], 16)), text)
        yield _FOREIGN.sub(" ", decoded)
    yield _FOREIGN.sub(" ", text)


@cache
def _pattern(lengths: tuple[int, ...]) -> re.Pattern[str]:
    """Build the shape of a token with breaks in it, and with anything but letters around it.

    Every repetition has a fixed count, so that no input makes the match slow. A token starts with
    a letter because its first byte, the format, is small.
    """
    payload = "|".join(rf"(?:[\w-]\ ?){{{length}}}" for length in lengths)
    signature = rf"(?:[\w-]\ ?){{{SIGNATURE_LENGTH - 2}}}[\w-](?:\ ?[\w-])?"
    return re.compile(
        rf"""[^A-Za-z0-9]*          # opening brackets and quotes
        ({payload})\.\ ?({signature})
        [-_]*(?![A-Za-z0-9])        # emphasis marks, then no further letter
        """,
        re.ASCII | re.VERBOSE,
    )
