"""The bits of ``measured``: all that the statistic needs to know of one delivery."""

from collections.abc import Iterable
from typing import Final

from mailprefs.useragents import OpenKind

DELIVERED: Final = 1
APPLE: Final = 2
"""Its reader's mail is loaded by Apple's privacy proxy, so that nothing shows when it is read."""
HUMAN: Final = 4
"""There is a direct or proxied open."""
FETCHED: Final = 8
"""There is an open of any kind but a scanner's or a bot's."""

HUMAN_KINDS: Final = frozenset(int(kind) for kind in OpenKind if kind.is_human_plausible)
_SAYS_NOTHING: Final = frozenset({int(OpenKind.SCANNER), int(OpenKind.BOT)})
OF_KIND: Final = {
    int(kind): (0 if kind in _SAYS_NOTHING else FETCHED) | (HUMAN if kind in HUMAN_KINDS else 0)
    for kind in OpenKind
}
"""What an open of each kind says; a scanner's or a bot's says nothing of the reader."""


def of_kinds(kinds: Iterable[int]) -> int:
    """Give what opens of these kinds say together."""
    found = 0
    for kind in kinds:
        found |= OF_KIND[kind]
    return found
