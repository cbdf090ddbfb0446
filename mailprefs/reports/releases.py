"""Released numbers: made by the rules, stored, and the only ones that any report shows.

A number that anybody may see is computed once and stored; pages, console, API, files and charts
read what is stored. It is made anew at most once a day, and only when enough deliveries changed
since, so that nobody learns what one person did by looking before and after. Once a campaign has
closed, nothing is made anew: neither a refusal nor an erasure changes what was released.
"""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.audit import Actor
from mailprefs.db import dialects
from mailprefs.reports import cells, counted, tables
from mailprefs.reports.cells import Rule, Shown, Totals
from mailprefs.reports.counted import Sums
from mailprefs.reports.statistic import Seen
from mailprefs.reports.tables import Table
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.reports import Release

EVERY: Final = timedelta(days=1)
"""Numbers are made anew at most so often; the first ones come that long after the first mail."""


class Released(NamedTuple):
    """The numbers of one campaign as they were released, exactly.

    *bits* are what the next release is compared with; they are told to nobody. *totals* is None
    where too few people may be measured; *loads* where too few were counted without being told
    apart, or too few people made them. *by* holds the breakdowns that may be told: day, country and
    client; *hours* by day.
    """

    bits: dict[int, int]
    delivered: int
    totals: Totals | None
    rulesets: frozenset[int]
    loads: int | None
    by: dict[str, Table]
    hours: dict[str, Table]

    def as_json(self) -> dict[str, Any]:
        """Give the numbers as they are stored."""
        totals = self.totals
        return {
            "bits": {str(bits): n for bits, n in self.bits.items()},
            "delivered": self.delivered,
            "totals": None if totals is None else totals._asdict() | {"seen": list(totals.seen)},
            "rulesets": sorted(self.rulesets),
            "loads": self.loads,
            "by": {name: table.as_json() for name, table in self.by.items()},
            "hours": {day: table.as_json() for day, table in self.hours.items()},
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Released":
        """Read what ``as_json`` gave."""
        stored = document["totals"]
        return cls(
            bits={int(bits): n for bits, n in document["bits"].items()},
            delivered=document["delivered"],
            totals=None if stored is None else _totals(stored),
            rulesets=frozenset(document["rulesets"]),
            loads=document["loads"],
            by={name: Table.from_json(table) for name, table in document["by"].items()},
            hours={day: Table.from_json(table) for day, table in document["hours"].items()},
        )


class Stored(NamedTuple):
    """A release as it lies in the store, with when it was made and under which k."""

    released_at: datetime | None
    looked_at: datetime
    frozen_at: datetime | None
    people: int
    numbers: Released | None


NOTHING: Final = Released({}, 0, None, frozenset(), None, {}, {})


def stored(session: Session, campaign_id: int) -> Stored | None:
    """Give the newest release of a campaign; None before the first."""
    row = session.get(Release, campaign_id)
    if row is None:
        return None
    numbers = None if row.numbers is None else Released.from_json(row.numbers)
    return Stored(row.released_at, row.looked_at, row.frozen_at, row.people, numbers)


def ask(session: Session, campaign: Campaign, actor: Actor, *, now: datetime, rule: Rule) -> bool:
    """Release a campaign's numbers because *actor* asks for them; tell whether there are new ones.

    The audit notes who did.
    """
    done = refresh(session, campaign, now=now, rule=rule, asked=True)
    if done:
        audit.record(session, actor, "report.released", ("campaign", campaign.id), now=now)
    return done


def refresh(
    session: Session, campaign: Campaign, *, now: datetime, rule: Rule, asked: bool = False
) -> bool:
    """Make a campaign's numbers anew if that is due and tells of nobody; tell whether it was done.

    The first ones come a day after the first mail, or earlier if somebody *asked* for them. Asking
    is a look like any other, however little it finds, so that nobody can ask until one person more
    has opened.
    """
    before = stored(session, campaign.id)
    if not is_due(campaign, before, now=now, asked=asked):
        return False
    after = look(counted.sums(session, campaign.id), campaign, before, now=now, rule=rule)
    if after is None:
        return False
    is_new = after.released_at == now
    values: dict[str, Any] = {"looked_at": now}
    if before is None or is_new:
        numbers = after.numbers.as_json() if after.numbers else None
        values |= {"released_at": after.released_at, "people": after.people, "numbers": numbers}
    return _keep(session, campaign.id, before, values) and is_new


def look(
    found: Sums, campaign: Campaign, before: Stored | None, *, now: datetime, rule: Rule
) -> Stored | None:
    """Give what is to be stored after a look; None if so few had the mail that none is counted."""
    known = before.numbers if before else None
    made = make(found, campaign, known, now=now, rule=rule)
    if made is not None:
        return Stored(now, now, None, rule.people, made)
    if before is not None:
        return before._replace(looked_at=now)
    return Stored(None, now, None, rule.people, None) if found.delivered >= rule.people else None


def freeze(session: Session, campaign: Campaign, *, now: datetime, rule: Rule) -> None:
    """Make a closed campaign's numbers for the last time, by the same rules, and keep them so."""
    refresh(session, campaign, now=now, rule=rule)
    row = {
        "campaign_id": campaign.id,
        "released_at": None,
        "looked_at": now,
        "frozen_at": now,
        "people": rule.people,
        "numbers": None,
    }
    session.execute(dialects.insert(session, Release).values(row).on_conflict_do_nothing())
    session.execute(
        update(Release)
        .where(Release.campaign_id == campaign.id, Release.frozen_at.is_(None))
        .values(frozen_at=now)
    )


def is_due(
    campaign: Campaign, before: Stored | None, *, now: datetime, asked: bool = False
) -> bool:
    """Tell whether it is time to look at a campaign's numbers."""
    begun = campaign.first_hand_over_at
    if begun is None or not campaign.message_class.may_be_measured:
        return False
    if before is None:
        return asked or now >= begun + EVERY
    return before.frozen_at is None and now >= before.looked_at + EVERY


def make(
    found: Sums, campaign: Campaign, before: Released | None, *, now: datetime, rule: Rule
) -> Released | None:
    """Give the numbers to release to people who know those *before*; None to leave them so."""
    known = before or NOTHING
    totals = _next_totals(found, known, rule)
    loads = _next_loads(found, known.loads, rule)
    if totals is None and loads == known.loads:
        return None
    by, hours = known.by, known.hours
    # A breakdown's total would tell what a number that is left as it was doesn't.
    if totals is not None and totals.confirmed is Shown.EXACT and _is_told_anew(totals, known):
        by, hours = _breakdowns(found, campaign, known, now=now, rule=rule)
    return Released(
        bits=dict(found.bits) if totals else known.bits,
        delivered=found.delivered if totals else known.delivered,
        totals=totals or known.totals,
        rulesets=found.rulesets | known.rulesets,
        loads=loads,
        by=by,
        hours=hours,
    )


def _next_totals(found: Sums, known: Released, rule: Rule) -> Totals | None:
    """Give the totals to tell now; None to leave them as they are."""
    if found.seen.delivered < rule.people:
        return None
    new = cells.totals(found.seen, known.totals, rule)
    if known.totals is None:
        return new
    if counted.changed(known.bits, found.bits) < rule.people:
        return None
    return new if cells.may_follow(new, known.totals, rule) else None


def _is_told_anew(totals: Totals, known: Released) -> bool:
    before = known.totals
    if before is None or before.confirmed is not Shown.EXACT:
        return True
    return totals.seen.opened != before.seen.opened


def _next_loads(found: Sums, known: int | None, rule: Rule) -> int | None:
    """Give the loads to tell now; many loads of a few people would tell of these few."""
    if found.delivered - found.seen.delivered < rule.people:
        return known
    return found.loads if found.loads - (known or 0) >= rule.people else known


def _breakdowns(
    found: Sums, campaign: Campaign, known: Released, *, now: datetime, rule: Rule
) -> tuple[dict[str, Table], dict[str, Table]]:
    wanted = {
        "day": counted.by_day(found, campaign, now, rule),
        "country": counted.by_country(found, rule),
        "client": counted.by_client(found, rule),
    }
    by = {name: tables.told(one, known.by.get(name), rule) for name, one in wanted.items()}
    days = by["day"].cells if by["day"] else {}
    hours = {
        day: tables.told(one, known.hours.get(day), rule)
        for day, one in counted.by_hour(found, campaign, now, rule).items()
        # Hours make their day, so they are told only of a day that is told with just this number.
        if days.get(day) == one.total
    }
    kept = {day: table for day, table in (known.hours | hours).items() if table}
    return {name: table for name, table in by.items() if table}, kept


def _keep(
    session: Session, campaign_id: int, before: Stored | None, values: dict[str, Any]
) -> bool:
    """Store a look at the numbers, unless somebody else was faster; tell whether it was stored."""
    if before is None:
        insert = dialects.insert(session, Release).values(campaign_id=campaign_id, **values)
        return bool(dialects.changed(session, insert.on_conflict_do_nothing()))
    again = (
        update(Release)
        .where(Release.campaign_id == campaign_id, Release.looked_at == before.looked_at)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(dialects.changed(session, again))


def _totals(document: dict[str, Any]) -> Totals:
    return Totals(
        seen=Seen(*document["seen"]),
        split=document["split"],
        confirmed=Shown(document["confirmed"]),
        reported=Shown(document["reported"]),
        least=document["least"],
    )
