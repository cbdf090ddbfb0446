"""What the demo proves, from the messages that arrived: the stand-in's mailbox, not our ledger."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from demo.readers import PIXEL, Message

_UNRESOLVED = re.compile(r"\{\{|\}\}|\{%|%\}|src=\"\"|href=\"\"|-mp[0-9a-z]{4,}_")
_TRACKING_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class Campaigns(NamedTuple):
    """The numbers of the demo's three campaigns."""

    first: int
    second: int
    notice: int


class Check(NamedTuple):
    """One promise, whether the mailbox bears it out, and the figure that shows it."""

    promise: str
    holds: bool
    figure: str


def checks(
    messages: list[Message],
    campaigns: Campaigns,
    shown: Mapping[int, Mapping[str, Any]],
    left: Mapping[str, datetime],
) -> Iterator[Check]:
    """Check every promise against *messages*.

    *shown* is what ``campaign show`` says of each campaign; *left* is who left promotional mail,
    and when the service had said yes to it.
    """
    arrived = Counter(int(message["custom_args"]["mp_campaign"]) for message in messages)
    for number in campaigns:
        yield _adds_up(number, shown[number], arrived[number])
    copies = Counter((one["custom_args"]["mp_campaign"], one["email"].lower()) for one in messages)
    twice = sum(1 for n in copies.values() if n > 1)
    yield Check("nobody gets a campaign twice", twice == 0, f"{twice} of {len(copies):,} twice")
    yield _nobody_after_leaving(messages, left)
    yield _notice_reaches_who_left(messages, campaigns.notice, left)
    faults = Counter(fault for message in messages for fault in faults_of(message))
    told = ", ".join(f"{fault} ({n})" for fault, n in faults.items()) or "none"
    yield Check(
        "each message carries its class's headers and links, and nothing unresolved",
        not faults and bool(messages),
        f"{len(messages):,} messages looked at, faults: {told}",
    )


def _adds_up(number: int, shown: Mapping[str, Any], arrived: int) -> Check:
    kept_out, skipped, failed = (
        sum(shown[name].values()) for name in ("kept_out", "skipped", "failed")
    )
    places = shown["sent"] + skipped + failed + shown["unknown"] + shown["pending"]
    holds = (
        shown["state"] == "finished"
        and shown["chosen"] == shown["frozen"] + kept_out
        and shown["frozen"] == places
        and shown["sent"] == arrived == shown["mailbox"].get("delivered")
    )
    return Check(
        f"campaign {number}: the counts add up to what arrived",
        holds,
        f"{shown['chosen']:,} chosen = {kept_out:,} kept out + {shown['sent']:,} sent"
        f" + {skipped:,} skipped + {failed:,} failed; {arrived:,} arrived",
    )


def _nobody_after_leaving(messages: list[Message], left: Mapping[str, datetime]) -> Check:
    late = [
        one
        for one in messages
        if one["message_class"] == "promotional"
        and one["email"].lower() in left
        and datetime.fromisoformat(one["accepted_at"]) > left[one["email"].lower()]
    ]
    return Check(
        "no promotional message to anyone after they left",
        not late and bool(left),
        f"{len(left):,} left, {len(late)} got promotional mail afterwards",
    )


def _notice_reaches_who_left(
    messages: list[Message], notice: int, left: Mapping[str, datetime]
) -> Check:
    told = {
        one["email"].lower() for one in messages if one["custom_args"]["mp_campaign"] == str(notice)
    }
    reached = len(left.keys() & told)
    return Check(
        "the notice reaches those who left",
        reached == len(left) > 0,
        f"{reached:,} of {len(left):,} who left got it",
    )


def faults_of(message: Message) -> Iterator[str]:
    """Say what is wrong with one message that arrived."""
    both = message["text"] + message["html"]
    if _UNRESOLVED.search(message["subject"] + both):
        yield "something unresolved"
    if message["tracking_settings"] != _TRACKING_OFF:
        yield "the vendor's tracking isn't off"
    if "/p/" not in message["text"] or "/p/" not in message["html"]:
        yield "no preference link"
    if "Lindenallee 7" not in message["text"] or "Lindenallee 7" not in message["html"]:
        yield "no postal address"
    promotional = message["message_class"] == "promotional"
    yield from (_promotional_faults if promotional else _administrative_faults)(message)


def _promotional_faults(message: Message) -> Iterator[str]:
    headers = message["headers"]
    if headers.get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        yield "no one-click header"
    link, _, mailto = headers.get("List-Unsubscribe", "").partition(", ")
    link = link.strip("<>")
    if not mailto.startswith("<mailto:unsubscribe@in.lindenhof.example?subject=u-"):
        yield "no address to unsubscribe by mail"
    if not link or link not in message["text"] or link not in message["html"]:
        yield "the visible unsubscribe link isn't the header's"
    if message["from_email"] != "news@lindenhof.example":
        yield "the wrong sender"


def _administrative_faults(message: Message) -> Iterator[str]:
    if any(name.startswith("List-") for name in message["headers"]):
        yield "a notice with list headers"
    if PIXEL.search(message["html"]) or "/o/" in message["html"] or "/u/" in message["html"]:
        yield "a notice that is measured or can be unsubscribed from"
    settings = message["mail_settings"]
    if settings.get("bypass_unsubscribe_management") != {"enable": True}:
        yield "a notice that the vendor's unsubscribe list would stop"
    if "bypass_list_management" in settings:
        yield "a notice that goes even to addresses that bounced"
    if message["from_email"] != "notices@lindenhof.example":
        yield "the wrong sender"
