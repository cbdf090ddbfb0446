"""What the people of the demo do with their mail: open it, leave by header or page, or nothing.

Over HTTP, as mail programs do it, with the user agents that they really send.
"""

import random
import re
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Message = dict[str, Any]

PIXEL = re.compile(r'src="(http[^"]+/o/[^"]+\.gif)"')
_LIST_UNSUBSCRIBE = re.compile(r"<(https?://[^>]+)>")
_APPLE = "Mozilla/5.0"
_GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
_OUTLOOK = (
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; "
    "Microsoft Outlook 16.0.16227; ms-office; MSOffice 16)"
)
_THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0"
_BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)
# Shares of mail programs among readers, roughly as analysts report them.
_PROGRAMS = {_APPLE: 0.42, _GMAIL: 0.34, _OUTLOOK: 0.14, _THUNDERBIRD: 0.10}
READS = 0.38
"""The share of people who really open a newsletter."""
LEAVES_BY_HEADER = 0.035
LEAVES_BY_PAGE = 0.025


class Person(NamedTuple):
    """How one person reads mail."""

    program: str
    reads: bool
    leaves: str


@dataclass
class Acts:
    """What people did: who left, when the service said yes to it, and how many pictures loaded."""

    left: dict[str, datetime] = field(default_factory=dict)
    by_header: int = 0
    by_page: int = 0
    loads: int = 0
    refused: list[str] = field(default_factory=list)


def act(messages: list[Message], *, seed: int) -> Acts:
    """Let everybody who got a message do what they do; give what they did."""
    draw = random.Random(seed)
    people = [(message, _person(draw)) for message in messages]
    acts = Acts()
    with ThreadPoolExecutor(8) as threads:
        for one in threads.map(lambda pair: _live(*pair), people):
            acts.left |= one.left
            acts.by_header += one.by_header
            acts.by_page += one.by_page
            acts.loads += one.loads
            acts.refused += one.refused
    return acts


def _person(draw: random.Random) -> Person:
    chance = draw.random()
    leaves = ""
    if chance < LEAVES_BY_HEADER:
        leaves = "header"
    elif chance < LEAVES_BY_HEADER + LEAVES_BY_PAGE:
        leaves = "page"
    return Person(
        draw.choices(list(_PROGRAMS), list(_PROGRAMS.values()))[0], draw.random() < READS, leaves
    )


def _live(message: Message, person: Person) -> Acts:
    acts = Acts()
    picture = PIXEL.search(message["html"])
    # Apple's proxy loads every picture, whether anybody reads the message or not.
    if picture and (person.reads or person.program == _APPLE or person.leaves == "page"):
        _get(picture[1], person.program)
        acts.loads += 1
    if not person.leaves:
        return acts
    found = _LIST_UNSUBSCRIBE.search(message["headers"].get("List-Unsubscribe", ""))
    if found is None:
        acts.refused.append("a message without List-Unsubscribe")
        return acts
    if person.leaves == "page":
        _get(found[1], _BROWSER)
        acts.by_page += 1
        answer = _post(found[1], {"from": "page"}, _BROWSER)
    else:
        acts.by_header += 1
        answer = _post(found[1], {"List-Unsubscribe": "One-Click"}, "")
    if answer == 200:
        acts.left[message["email"].lower()] = datetime.now(UTC)
    else:
        acts.refused.append(f"an unsubscribe was answered with {answer}")
    return acts


def _get(url: str, agent: str) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": agent})
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _post(url: str, form: dict[str, str], agent: str) -> int:
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data=body, headers={"User-Agent": agent})
    with urllib.request.urlopen(request, timeout=30) as answer:
        status: int = answer.status
        return status
