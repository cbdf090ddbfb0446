"""Calculate the reference numbers of a scripted event file, by hand as it were.

    tests/reference/calculate.py [FILE]

It shares no line with mailprefs: only Python's own library, the rules as docs/analytics.md tells
them, and one person after the other. A test compares what it prints with the product's reports.
"""

import json
import sys
from collections import Counter
from datetime import datetime, timedelta
from math import sqrt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

EVENTS = Path(__file__).with_name("events.jsonl")
PEOPLE = ("direct", "proxied")
NOT_PEOPLES = ("scanner", "bot")


def calculate(file: Path = EVENTS) -> dict[str, Any]:
    """Give the numbers of each campaign in the file."""
    events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {
        event["campaign"]: of_campaign(event, events)
        for event in events
        if event["what"] == "handed_over"
    }


def of_campaign(begun: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the numbers of one campaign, adding up what each person did."""
    mine = [event for event in events if event["campaign"] == begun["campaign"]]
    start, zone = moment(begun), ZoneInfo(begun["zone"])
    sums: Counter[str] = Counter()
    days: Counter[str] = Counter()
    clients: Counter[str] = Counter()
    countries: Counter[str] = Counter()
    for person in range(1, begun["people"] + 1):
        theirs = [event for event in mine if event.get("person") == person]
        first = first_of_each_kind(theirs, start)
        for kind in PEOPLE:
            if kind in first:
                days[moment(first[kind]).astimezone(zone).date().isoformat()] += 1
                clients[first[kind]["client"]] += 1
                if first[kind]["country"]:
                    countries[first[kind]["country"]] += 1
        if any(event["what"] == "delivered" for event in theirs):
            add_up(sums, first)
    return {
        **{letter: sums[letter] for letter in "DMNHCF"},
        **rates(sums),
        "days": dict(sorted(days.items())),
        "clients": dict(sorted(clients.items())),
        "countries": dict(sorted(countries.items())),
        "opens": sum(days.values()),
    }


def first_of_each_kind(theirs: list[dict[str, Any]], start: datetime) -> dict[str, dict[str, Any]]:
    """Give a person's first hit of each kind, as far as it counts; machines by what they are."""
    refused = [moment(event) for event in theirs if event["what"] == "refused"]
    delivered = [moment(event) for event in theirs if event["what"] == "delivered"]
    found: dict[str, dict[str, Any]] = {}
    for event in sorted(theirs, key=moment):
        at = moment(event)
        if event["what"] != "hit" or at >= start + timedelta(days=90):
            continue
        if refused and at >= min(refused):
            continue
        kind = event["kind"]
        too_fast = at < start + timedelta(seconds=5) or (delivered and at < min(delivered))
        if kind in PEOPLE and too_fast:
            kind = "scanner"
        found.setdefault(kind, event)
    return found


def add_up(sums: Counter[str], first: dict[str, dict[str, Any]]) -> None:
    """Count a person to whom the message was delivered in the letters of the formula."""
    sums["D"] += 1
    behind_apple = first.get("prefetched", {}).get("reason") == "apple_privacy"
    opened = any(kind in first for kind in PEOPLE)
    sums["M" if behind_apple else "N"] += 1
    if opened:
        sums["C" if behind_apple else "H"] += 1
    if any(kind not in NOT_PEOPLES for kind in first):
        sums["F"] += 1


def rates(sums: Counter[str]) -> dict[str, float]:
    """Give reported, confirmed and estimated rates, with Wilson's interval for N * D / M."""
    d, m, n, h, c, f = (sums[letter] for letter in "DMNHCF")
    z = 1.959964
    size = n * d / m
    p = h / n
    centre = (p + z * z / 2 / size) / (1 + z * z / size)
    half = z * sqrt(p * (1 - p) / size + z * z / 4 / size / size) / (1 + z * z / size)
    least, most = (h + c) / d, (h + m) / d
    return {
        "reported": f / d,
        "confirmed": least,
        "estimated": max(p, least),
        "low": max(centre - half, least),
        "high": min(max(centre + half, least), most),
    }


def moment(event: dict[str, Any]) -> datetime:
    """Give when something happened."""
    return datetime.fromisoformat(event["at"])


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    json.dump(calculate(given), sys.stdout, indent=2)
    sys.stdout.write("\n")
