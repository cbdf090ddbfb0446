"""What was counted of a campaign's opens, exactly, as it stands in the sums: for releases only.

Sums are read and hardly a row, so that a campaign of ten million takes as long as a small one.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.reports.cells import Rule
from mailprefs.reports.statistic import Seen
from mailprefs.reports.tables import Counted
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import Loads, MeasuredTotal, Open, OpenRollup
from mailprefs.useragents import Client, OpenKind

HOURS_FROM: Final = 10_000
"""Measured people delivered to, at least, for opens to be told by the hour."""
HOURS_FOR: Final = 7
"""Days told by the hour: the first ones."""
SAMPLED: Final = 2_000
"""Rows of opens, of each campaign, that are looked at: sums don't say by which rules they were."""
_PLAUSIBLE: Final = frozenset(int(kind) for kind in OpenKind if kind.is_human_plausible)
_UNTOLD_CLIENTS: Final = frozenset({str(int(Client.UNKNOWN)), str(int(Client.OTHER))})
_CLIENTS: Final = frozenset(str(int(client)) for client in Client)


class Sums(NamedTuple):
    """All that was counted of one campaign.

    *bits*: delivered messages that may be measured, by what is known of them. *delivered*: all
    delivered messages. *hours*, *countries*, *clients*: first opens by people's mail programs and
    by proxies for them. *loads*: by people who are counted without being told apart. *rulesets*:
    the tables of rules that told people from machines, as far as rows that are left say.
    """

    bits: Mapping[int, int]
    delivered: int
    hours: Mapping[str, int]
    countries: Mapping[str, int]
    clients: Mapping[str, int]
    loads: int
    rulesets: frozenset[int]

    @property
    def seen(self) -> Seen:
        """Add up the delivered messages by what the formula asks."""

        def count(having: int, lacking: int = 0) -> int:
            return sum(n for bits, n in self.bits.items() if bits & having and not bits & lacking)

        return Seen(
            delivered=sum(self.bits.values()),
            apple=count(APPLE),
            others_opened=count(HUMAN, lacking=APPLE),
            apple_opened=sum(n for bits, n in self.bits.items() if bits & APPLE and bits & HUMAN),
            loaded=count(FETCHED | HUMAN),
        )

    @property
    def opens(self) -> int:
        """Count the first opens that the breakdowns break down."""
        return sum(self.hours.values())


def sums(session: Session, campaign_id: int) -> Sums:
    """Read the sums of one campaign."""
    bits = session.execute(
        select(MeasuredTotal.bits, MeasuredTotal.n).where(MeasuredTotal.campaign_id == campaign_id)
    )
    delivered = session.scalar(
        select(MailboxTotal.n).where(
            MailboxTotal.campaign_id == campaign_id, MailboxTotal.event == "delivered"
        )
    )
    rollups = _rollups(session, campaign_id)
    loads = session.execute(
        select(Loads.kind, Loads.n).where(Loads.campaign_id == campaign_id)
    ).all()
    return Sums(
        bits={row.bits: row.n for row in bits if row.bits & DELIVERED and row.n},
        delivered=delivered or 0,
        hours=rollups["hour"],
        countries=rollups["country"],
        clients=rollups["client"],
        loads=sum(row.n for row in loads if row.kind in _PLAUSIBLE),
        rulesets=_rulesets(session, campaign_id),
    )


def changed(before: Mapping[int, int], now: Mapping[int, int]) -> int:
    """Give how many delivered messages surely changed: each that did arrived in another sum."""
    return sum(max(n - before.get(bits, 0), 0) for bits, n in now.items())


def by_day(counted: Sums, campaign: Campaign, now: datetime, rule: Rule) -> Counted:
    """Count opens by day, in the campaign's zone."""
    days: Counter[str] = Counter()
    for hour, n in counted.hours.items():
        days[hour[:10]] += n
    first = _local(campaign.first_hand_over_at or now, campaign).date()
    last = _local(now, campaign).date()
    every = frozenset(
        (first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)
    )
    return Counted(
        counts=days,
        total=counted.opens,
        of=counted.seen.delivered,
        least=rule.fewest,
        values=every | days.keys(),
        grows=True,
    )


def by_hour(counted: Sums, campaign: Campaign, now: datetime, rule: Rule) -> dict[str, Counted]:
    """Count opens by hour, for each of the first days; nothing for a small campaign."""
    if counted.seen.delivered < HOURS_FROM:
        return {}
    first = _local(campaign.first_hand_over_at or now, campaign).date()
    latest = _local(now, campaign).strftime("%Y-%m-%dT%H")
    found = {}
    for day in (first + timedelta(days=number) for number in range(HOURS_FOR)):
        hours = {hour: n for hour, n in counted.hours.items() if hour[:10] == day.isoformat()}
        if not hours:
            continue
        found[day.isoformat()] = Counted(
            counts=hours,
            total=sum(hours.values()),
            of=counted.seen.delivered,
            least=rule.fewest,
            values=frozenset(hour for hour in _hours(day) if hour <= latest) | hours.keys(),
            grows=True,
        )
    return found


def by_country(counted: Sums, rule: Rule) -> Counted:
    """Count opens by country; those of no known country are in the rest."""
    of = counted.seen.delivered
    return Counted(counted.countries, counted.opens, of, least=rule.people)


def by_client(counted: Sums, rule: Rule) -> Counted:
    """Count opens by mail program; others and unknown ones are in the rest."""
    told = {value: n for value, n in counted.clients.items() if value not in _UNTOLD_CLIENTS}
    return Counted(told, counted.opens, counted.seen.delivered, least=rule.people, values=_CLIENTS)


def _rollups(session: Session, campaign_id: int) -> dict[str, Counter[str]]:
    """Add up the rollups of people's opens, by dimension and value."""
    found: dict[str, Counter[str]] = {name: Counter() for name in ("hour", "country", "client")}
    rows = session.execute(
        select(OpenRollup.dimension, OpenRollup.value, OpenRollup.kind, OpenRollup.n).where(
            OpenRollup.campaign_id == campaign_id
        )
    )
    for dimension, value, kind, n in rows:
        counts = found.get(dimension)
        if counts is not None and kind in _PLAUSIBLE:
            counts[value] += n
    return {name: +counts for name, counts in found.items()}


def _rulesets(session: Session, campaign_id: int) -> frozenset[int]:
    """Give the tables of rules that told people from machines in a campaign's first messages.

    Whom they went to has nothing to do with when they were opened. So if one open in two hundred
    was counted by another table, not one among so many rows is hardly ever to be had.
    """
    some = (
        select(Open.ruleset)
        .where(Open.delivery_id.between(campaign_id << 32, (campaign_id + 1 << 32) - 1))
        .order_by(Open.delivery_id)
        .limit(SAMPLED)
        .subquery()
    )
    # Old rows have none any more; what was known of them stands in the releases of their time.
    return frozenset(session.scalars(select(some.c.ruleset).distinct())) - {0}


def _hours(day: date) -> list[str]:
    return [f"{day.isoformat()}T{hour:02}" for hour in range(24)]


def _local(moment: datetime, campaign: Campaign) -> datetime:
    return moment.astimezone(ZoneInfo(campaign.report_zone))
