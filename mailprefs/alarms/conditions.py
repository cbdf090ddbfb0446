"""What the facts mean: which alarms there are at this moment. Pure: facts in, conditions out."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mailprefs import machine, times
from mailprefs.alarms.facts import ErasureWaits, Facts
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.machine import Machine

SILENT_AFTER: Final = timedelta(minutes=15)
"""The vendor posts its events every 30 seconds; so long without one, it posts none."""
SPOOL_SHARE: Final = 0.5
UNCOUNTED_AFTER: Final = timedelta(minutes=10)
MOST_SET_ASIDE: Final = 10
"""Events that may be set aside in 24 hours before somebody should look."""
MOST_NIGHTS: Final = 2
"""Nights in a row without a comparison of the vendor's lists before somebody should look."""
_LONGEST: Final = 600

# The vendor's sentences are its own: whatever looks like a person's stays out of logs and mails.
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_IP = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:])"
)
_SECRET = re.compile(r"(?<![\w-])(?=[\w.-]*\d)[\w-][\w.-]{22,}[\w-](?![\w-])")


class Condition(NamedTuple):
    """Something that stands in the way now: of which kind, about what, a sentence, since when."""

    kind: AlarmKind
    subject: str
    sentence: str
    since: datetime


def of_sending(facts: Facts) -> list[Condition]:
    """List what stands in the way of the sending, gravest first."""
    found = [*_of_vendor(facts), *_of_campaigns(facts), *_of_webhook(facts), *_of_lists(facts)]
    if facts.broken:
        found.append(
            Condition(AlarmKind.LEDGER_BROKEN, "", facts.broken.sentence, facts.broken.since)
        )
    if facts.copied:
        found.insert(0, Condition(AlarmKind.IS_A_COPY, "", facts.copied, facts.now))
    if facts.erasures:
        found.append(_of_erasures(facts.erasures))
    found += _of_inbound(facts)
    return [one._replace(sentence=without_people(one.sentence)) for one in found]


def of_machine(seen: Machine, now: datetime) -> list[Condition]:
    """List what stands in the way on one machine."""
    return [*_of_spool(seen, now), *_of_disks(seen, now), *_of_heads(seen, now)]


def without_people(sentence: str) -> str:
    """Give a sentence without anything that looks like an address, an IP address or a key."""
    for pattern, instead in ((_ADDRESS, "(an address)"), (_IP, "(an IP)"), (_SECRET, "(a key)")):
        sentence = pattern.sub(instead, sentence)
    return " ".join(sentence.split())[:_LONGEST]


def _of_vendor(facts: Facts) -> Iterator[Condition]:
    if facts.stopped:
        sentence = f"All sending is stopped: {facts.stopped.reason}"
        yield Condition(AlarmKind.SENDING_STOPPED, "", sentence, facts.stopped.since)
    if facts.breaker:
        since, sentence = facts.breaker
        yield Condition(AlarmKind.BREAKER_OPEN, "", sentence, since)


def _of_campaigns(facts: Facts) -> Iterator[Condition]:
    # What holds up everything is told once, not again for each campaign.
    held_up = facts.stopped is not None or facts.breaker is not None
    for stalled in () if held_up else facts.stalled:
        sentence = f"Campaign {stalled.campaign_id} doesn't move. {stalled.cause}"
        subject = f"campaign {stalled.campaign_id}"
        yield Condition(AlarmKind.CAMPAIGN_STALLED, subject, sentence, stalled.since)
    for waiting in facts.unknown:
        people = "1 person" if waiting.people == 1 else f"{waiting.people:,} people"
        sentence = (
            f"Campaign {waiting.campaign_id}: whether {people} got the message is unknown. "
            "Somebody has to decide whether they get it again."
        )
        subject = f"campaign {waiting.campaign_id}"
        yield Condition(AlarmKind.UNKNOWN_WAITING, subject, sentence, waiting.since)
    for missed in facts.missed:
        sentence = (
            f"Campaign {missed.campaign_id} was missed: it was to begin at "
            f"{times.written(missed.due_at)}, when nothing here was running. It waits until "
            "somebody lets it go or cancels it."
        )
        subject = f"campaign {missed.campaign_id}"
        yield Condition(AlarmKind.SCHEDULE_MISSED, subject, sentence, missed.due_at)


def _of_webhook(facts: Facts) -> Iterator[Condition]:
    since = facts.untold_since
    if since is not None and facts.now - since >= SILENT_AFTER:
        sentence = (
            f"The vendor has taken mail since {times.written(since)}, and its webhook has told "
            "nothing of it. Bounces and complaints aren't known here meanwhile."
        )
        yield Condition(AlarmKind.WEBHOOK_SILENT, "", sentence, since)
    if facts.tracking_seen is not None:
        sentence = (
            "The vendor reported opens or clicks, so it measures our readers. Switch its "
            "tracking off."
        )
        yield Condition(AlarmKind.VENDOR_TRACKING, "", sentence, facts.tracking_seen)
    if facts.set_aside >= MOST_SET_ASIDE:
        sentence = (
            f"{facts.set_aside:,} events of the vendor's webhook couldn't be read in the last 24 "
            "hours and were set aside."
        )
        since = facts.set_aside_since or facts.now
        yield Condition(AlarmKind.EVENTS_SET_ASIDE, "", sentence, since)


def _of_lists(facts: Facts) -> Iterator[Condition]:
    found = facts.uncompared
    if found is not None and found.nights >= MOST_NIGHTS:
        sentence = (
            f"The vendor's suppression lists couldn't be compared for {found.nights} nights in a "
            f"row. {found.reason}"
        )
        yield Condition(AlarmKind.LISTS_NOT_COMPARED, "", sentence, found.since)


def _of_erasures(found: ErasureWaits) -> Condition:
    people = "1 erasure isn't" if found.n == 1 else f"{found.n:,} erasures aren't"
    sentence = f"{people} carried out to the end after a day. {found.reason}"
    return Condition(AlarmKind.ERASURE_WAITS, "", sentence, found.since)


def _of_inbound(facts: Facts) -> Iterator[Condition]:
    found = facts.unforwarded
    if found is not None:
        mails = "1 mail" if found.mails == 1 else f"{found.mails:,} mails"
        sentence = (
            f"{mails} to the mailbox couldn't be passed on to MAILPREFS_CONTACT. Somebody with "
            "the role privacy finds what came in on the staff pages, under Inbound."
        )
        yield Condition(AlarmKind.INBOUND_NOT_FORWARDED, "", sentence, found.since)


def _of_spool(seen: Machine, now: datetime) -> Iterator[Condition]:
    spool, since = seen.spool, seen.spool.waiting_since
    waits = since is not None and now - since >= UNCOUNTED_AFTER
    if spool.share < SPOOL_SHARE and not waits:
        return
    sentence = f"The pixel's spool on {seen.name} is {spool.share:.0%} full."
    if since is not None and waits:
        sentence = (
            f"Pixel hits on {seen.name} have waited to be counted since {times.written(since)}; "
            f"the spool is {spool.share:.0%} full."
        )
    yield Condition(AlarmKind.SPOOL_FILLING, seen.name, sentence, since or now)


def _of_disks(seen: Machine, now: datetime) -> Iterator[Condition]:
    for disk in seen.disks:
        if disk.is_filling:
            sentence = (
                f"The disk under {disk.holds} on {seen.name} has {machine.in_words(disk.free)} of "
                f"{machine.in_words(disk.total)} left."
            )
            yield Condition(
                AlarmKind.DISK_FILLING, f"{seen.name}: {disk.holds}"[:128], sentence, now
            )


def _of_heads(seen: Machine, now: datetime) -> Iterator[Condition]:
    if seen.heads is not None:
        sentence = f"MAILPREFS_LEDGER_HEADS can't be written on {seen.name}: {seen.heads}."
        yield Condition(AlarmKind.HEADS_NOT_KEPT, seen.name, sentence, now)
