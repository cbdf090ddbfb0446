"""Campaigns together: a topic's months, and campaigns side by side.

Both are made of released numbers alone. So they tell nothing that the campaigns' own reports don't:
a campaign whose numbers may not be told is in no sum, and how many those are stands beside it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import combinations, groupby
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.errors import BadInput
from mailprefs.policy import MessageClass
from mailprefs.reports import cells, releases, statistic
from mailprefs.reports.campaigns import Opens, Report, opens_of, report
from mailprefs.reports.cells import Shown
from mailprefs.reports.statistic import Difference
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.people import Topic
from mailprefs.schema.reports import Release

MOST_COMPARED: Final = 6
"""Campaigns side by side: more pairs than that nobody reads, and chance would find a winner."""
NEWEST: Final = 500
"""Campaigns, of all topics together, that months are made of: the newest ones."""
_AHEAD: Final = timedelta(hours=14)
"""How far ahead of UTC the clocks of any zone are, at most."""


class Month(NamedTuple):
    """One month of a topic: the campaigns begun in it whose numbers may be told, added up."""

    topic: str
    topic_name: str
    month: str
    campaigns: int
    left_out: int
    measured: int
    reported: int
    confirmed: int

    @property
    def confirmed_rate(self) -> float | None:
        """Give the confirmed share of the measured messages; None without any."""
        return self.confirmed / self.measured if self.measured else None

    @property
    def reported_rate(self) -> float | None:
        """Give the reported share of the measured messages; None without any."""
        return self.reported / self.measured if self.measured else None

    def as_json(self) -> dict[str, Any]:
        """Give the month as JSON; rates to three decimals."""
        rates = {"confirmed_rate": self.confirmed_rate, "reported_rate": self.reported_rate}
        return self._asdict() | {
            name: None if rate is None else round(rate, 3) for name, rate in rates.items()
        }


class Pair(NamedTuple):
    """Two campaigns compared: the difference, or why there is none to tell."""

    one: Report
    other: Report
    difference: Difference | None

    @property
    def verdict(self) -> str:
        """Say in one sentence what follows."""
        if self.difference is None:
            return "Without an estimate for both, nothing can be said."
        if not self.difference.is_certain:
            return "No difference that chance alone couldn’t make."
        more = self.one if self.difference.points > 0 else self.other
        return f"“{more.name}” (campaign {more.campaign_id}) was opened more often."

    def as_json(self) -> dict[str, Any]:
        """Give the pair as JSON; points are shares, so 0.02 are two points of a percent."""
        found = self.difference
        return {
            "campaigns": [self.one.campaign_id, self.other.campaign_id],
            "difference": None if found is None else round(found.points, 3),
            "interval": None if found is None else [round(found.low, 3), round(found.high, 3)],
            "certain": None if found is None else found.is_certain,
            "verdict": self.verdict,
        }


class Listed(NamedTuple):
    """A campaign in the list of reports."""

    campaign: Campaign
    topic: Topic
    opens: Opens | None


def listed(session: Session, *, rounded: bool, limit: int = 100) -> list[Listed]:
    """List the newest campaigns that have gone out, each with what may be told of its opens."""
    rows = session.execute(
        select(Campaign, Topic)
        .join(Topic, Topic.id == Campaign.topic_id)
        .where(Campaign.standing.is_(False), Campaign.first_hand_over_at.is_not(None))
        .order_by(Campaign.first_hand_over_at.desc(), Campaign.id.desc())
        .limit(limit)
    ).all()
    return [
        Listed(
            campaign,
            topic,
            opens_of(releases.stored(session, campaign.id), campaign, rounded=rounded),
        )
        for campaign, topic in rows
    ]


def months(session: Session, *, rounded: bool) -> list[Month]:
    """Give every topic's months, newest first; *rounded* adds up counts in fives.

    A campaign is of the month in which its first message went out, in its own zone. Only the newest
    campaigns are read (``NEWEST``); a month that may have more of them than were read isn't told.
    """
    rows = session.execute(
        select(Campaign, Topic)
        .join(Topic, Topic.id == Campaign.topic_id)
        .outerjoin(Release, Release.campaign_id == Campaign.id)
        .where(
            Campaign.standing.is_(False),
            Campaign.message_class == MessageClass.PROMOTIONAL,
            Campaign.first_hand_over_at.is_not(None),
        )
        .order_by(Campaign.first_hand_over_at.desc())
        .limit(NEWEST + 1)
    ).all()
    cut = _cut(rows[-1].Campaign) if len(rows) > NEWEST else ""
    marked = [
        (topic.slug, topic.name, _month(campaign), _counts(session, campaign, rounded=rounded))
        for campaign, topic in rows
        if _month(campaign) > cut
    ]
    found = []
    # By topic's name, its newest month first; sorting twice keeps the first order within it.
    ordered = sorted(marked, key=lambda one: one[2], reverse=True)
    ordered.sort(key=lambda one: (one[1], one[0]))
    for (slug, name, month), group in groupby(ordered, key=lambda one: one[:3]):
        counts = [one[3] for one in group]
        told = [one for one in counts if one is not None]
        measured, reported, confirmed = (
            sum(column) for column in zip((0, 0, 0), *told, strict=True)
        )
        found.append(
            Month(
                slug, name, month, len(told), len(counts) - len(told), measured, reported, confirmed
            )
        )
    return found


def compared(
    session: Session, numbers: Sequence[int], *, now: datetime, rounded: bool
) -> tuple[list[Report], list[Pair]]:
    """Give the reports of campaigns, and each two of them compared.

    :raises BadInput: for fewer than two, or too many.
    :raises NotFound: for an unknown campaign.
    """
    chosen = list(dict.fromkeys(numbers))
    if not 2 <= len(chosen) <= MOST_COMPARED:
        raise BadInput(f"Choose two campaigns to compare, or up to {MOST_COMPARED}.")
    reports = [report(session, number, now=now, rounded=rounded) for number in chosen]
    return reports, [
        Pair(one, other, _difference(one, other)) for one, other in combinations(reports, 2)
    ]


def _difference(one: Report, other: Report) -> Difference | None:
    first, second = one.opens, other.opens
    if first is None or second is None or not first.estimate or not second.estimate:
        return None
    if first.seen is None or second.seen is None:
        return None
    return statistic.difference(first.seen, second.seen)


def _counts(session: Session, campaign: Campaign, *, rounded: bool) -> tuple[int, int, int] | None:
    """Give measured, reported and confirmed of a campaign, if all of them are told."""
    release = releases.stored(session, campaign.id)
    numbers = release.numbers if release else None
    if numbers is None or numbers.totals is None:
        return None
    totals = numbers.totals
    if totals.confirmed is not Shown.EXACT or totals.reported in {Shown.WITHHELD, Shown.OVER}:
        return None
    seen = cells.rounded(totals.seen) if rounded else totals.seen
    # Where the reported number is told as hardly more than the confirmed one, it counts as that.
    reported = seen.loaded if totals.reported is Shown.EXACT else seen.opened
    return seen.delivered, reported, seen.opened


def _cut(oldest: Campaign) -> str:
    """Give the latest month that a campaign older than this may be of, in whatever zone."""
    begun = oldest.first_hand_over_at
    return "" if begun is None else (begun + _AHEAD).strftime("%Y-%m")


def _month(campaign: Campaign) -> str:
    begun = campaign.first_hand_over_at
    if begun is None:
        return ""
    return begun.astimezone(ZoneInfo(campaign.report_zone)).strftime("%Y-%m")
