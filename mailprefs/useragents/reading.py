"""Read a user-agent string: which rule is the first that matches, and what follows from it."""

import re
from functools import cache, lru_cache
from typing import Final, NamedTuple

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from mailprefs.useragents.kinds import Client, OpenKind, Reason, Verdict
from mailprefs.useragents.tables import (
    BROWSER,
    CLIENTS,
    LONGEST,
    PEOPLE_ALL_THE_SAME,
    RULES,
)

_REMEMBERED = 4096
_NO_STRING: Final = Verdict(OpenKind.UNKNOWN, Reason.NOT_TOLD, Client.UNKNOWN)
_MACHINES = frozenset({OpenKind.BOT, OpenKind.SCANNER, OpenKind.UNKNOWN})
_ONE_LOOK = 25
"""Patterns of the list joined into one: fewer looks, and none takes long to build."""


class Step(NamedTuple):
    """One rule that was asked about a string: what it would say, and the part that it found."""

    reason: Reason
    kind: OpenKind
    found: str | None


def classify(user_agent: str | None) -> Verdict:
    """Give kind, reason and client family of a ``User-Agent`` header; None if there was none.

    Any text is safe; only its first 512 characters count.
    """
    if not user_agent:
        return _NO_STRING
    return _classified(user_agent[:LONGEST])


def kind(user_agent: str | None) -> OpenKind:
    """Give only the kind of a fetch, by its ``User-Agent`` header."""
    return classify(user_agent).kind


def client_family(user_agent: str | None) -> Client:
    """Give only the client family, by its ``User-Agent`` header."""
    return classify(user_agent).client


def steps(user_agent: str | None) -> list[Step]:
    """Give the rules that are asked about a string, in order; the last one decides."""
    text = (user_agent or "")[:LONGEST]
    asked: list[Step] = []
    if not text.strip():
        return [Step(Reason.NOT_TOLD, OpenKind.UNKNOWN, "")]
    for pattern, meant, reason in RULES:
        match = pattern.search(text)
        asked.append(Step(reason, meant, match[0] if match else None))
        if match:
            return asked
    asked.append(Step(Reason.CRAWLER_LISTED, OpenKind.BOT, _crawler(text)))
    if asked[-1].found is None:
        asked.append(Step(Reason.BROWSER, OpenKind.DIRECT, ""))
    return asked


@lru_cache(maxsize=_REMEMBERED)
def _classified(user_agent: str) -> Verdict:
    decided = steps(user_agent)[-1]
    client = _client(user_agent, decided.kind, decided.reason)
    return Verdict(decided.kind, decided.reason, client)


def _client(user_agent: str, found: OpenKind, reason: Reason) -> Client:
    if found in _MACHINES:
        return Client.UNKNOWN
    for pattern, client in CLIENTS:
        if pattern.search(user_agent):
            return client
    if reason is Reason.BROWSER and BROWSER.search(user_agent):
        return Client.BROWSER
    return Client.OTHER


def _crawler(user_agent: str) -> str | None:
    """Give the part of a string by which the public list of crawlers knows it."""
    for pattern in _crawlers():
        match = pattern.search(user_agent)
        if match:
            return match[0]
    return None


@cache
def _crawlers() -> list[re.Pattern[str]]:
    known = [one["pattern"] for one in CRAWLER_USER_AGENTS_DATA]
    patterns = [one for one in known if one not in PEOPLE_ALL_THE_SAME]
    return [
        re.compile("|".join(patterns[start : start + _ONE_LOOK]))
        for start in range(0, len(patterns), _ONE_LOOK)
    ]
