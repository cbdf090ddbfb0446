"""Fill tags in as the vendor does: in content, subject and reply-to, values within values too."""

import re
from collections.abc import Mapping
from functools import lru_cache

DEEPEST = 4
"""Rounds of filling: a value may hold tags, whose values may hold tags, and so on."""


def fill(text: str, pairs: Mapping[str, str]) -> str:
    """Give *text* with each tag of *pairs* replaced by its value.

    Nothing is escaped, and an unknown tag stays as it is: what a mistake looks like must be seen.
    """
    if not pairs:
        return text
    pattern = _pattern(tuple(pairs))
    for _ in range(DEEPEST):
        filled = pattern.sub(lambda match: pairs[match[0]], text)
        if filled == text:
            break
        text = filled
    return text


@lru_cache(maxsize=256)
def _pattern(tags: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first, so that -name- is never taken for the head of -name-html-.
    return re.compile("|".join(re.escape(tag) for tag in sorted(tags, key=len, reverse=True)))
