"""What closing a campaign means: nothing more is recorded, and what is known of it is made final.

First the mark, under the gate: whoever counts opens holds the gate too, so that after its commit
nothing is added any more. Then the last release is stored for good, and last the sums are made
coarse: hours of few opens become days, days of few become the rest, and so do countries and mail
programs of few. Each step may be done again and finds what is left to do.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.opens import RECORDED_FOR, turn
from mailprefs.reports import releases
from mailprefs.reports.cells import Rule
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.opens import OpenRollup
from mailprefs.schema.reports import Release
from mailprefs.useragents import Client

REST: Final = "rest"
"""The value under which what is too little to stand alone is counted."""
_DAY: Final = len("2026-03-02")
_OTHERS: Final = str(int(Client.OTHER))

Key = tuple[str, int]
"""A value of a dimension, and a kind."""


def mark(session: Session, *, now: datetime, limit: int) -> list[int]:
    """Close the campaigns whose time is over, a few at a time; give their ids.

    The caller's transaction takes permissions (``Gate.TAKING``), so that no opens are being counted
    for them meanwhile. What the vendor's events take back of opens goes without the gate: it has
    its turn before this or sees the mark.
    """
    require_taking(session)
    turn.take(session)
    ids = list(
        session.scalars(
            select(Campaign.id)
            .where(Campaign.closed_at.is_(None), Campaign.first_hand_over_at <= now - RECORDED_FOR)
            .where(Campaign.standing.is_(False))
            .order_by(Campaign.id)
            .limit(limit)
        )
    )
    session.execute(
        update(Campaign)
        .where(dialects.among(session, Campaign.id, ids))
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
    )
    return ids


def unfinished(session: Session) -> list[int]:
    """List the closed campaigns whose numbers aren't final yet."""
    return list(
        session.scalars(
            select(Campaign.id)
            .outerjoin(Release, Release.campaign_id == Campaign.id)
            .where(Campaign.closed_at.is_not(None), Release.frozen_at.is_(None))
            .order_by(Campaign.id)
        )
    )


def finish(session: Session, campaign_id: int, *, now: datetime, rule: Rule) -> None:
    """Make a closed campaign's numbers final, and its sums coarse; nobody counts meanwhile."""
    turn.take(session)
    campaign = session.get_one(Campaign, campaign_id)
    releases.freeze(session, campaign, now=now, rule=rule)
    for dimension in ("hour", "country", "client"):
        _fold(session, campaign_id, dimension, rule.people)


def folded(dimension: str, counts: Mapping[Key, int], people: int) -> dict[Key, int]:
    """Give *counts* with what is under *people* counted in what is coarser; sums stay the same."""
    found = dict(counts)
    for step in _STEPS[dimension]:
        sums: Counter[Key] = Counter()
        for (value, kind), n in found.items():
            sums[value if n >= people else step(value), kind] += n
        found = dict(sums)
    return found


_STEPS: Final = {
    "hour": (lambda value: value[:_DAY], lambda _: REST),
    "country": (lambda _: REST,),
    "client": (lambda _: _OTHERS,),
}


def _fold(session: Session, campaign_id: int, dimension: str, people: int) -> None:
    of_it = (OpenRollup.campaign_id == campaign_id, OpenRollup.dimension == dimension)
    rows = session.execute(select(OpenRollup.value, OpenRollup.kind, OpenRollup.n).where(*of_it))
    before = {(row.value, row.kind): row.n for row in rows}
    after = folded(dimension, before, people)
    if after == before:
        return
    session.execute(delete(OpenRollup).where(*of_it))
    session.execute(
        dialects.insert(session, OpenRollup),
        [
            {
                "campaign_id": campaign_id,
                "dimension": dimension,
                "value": value,
                "kind": kind,
                "n": n,
            }
            for (value, kind), n in sorted(after.items())
        ],
    )
