"""Why people left, by topic and month, as it may be told: sums about enough people, or nothing.

The rule is the cells' (``cells.Rule``). A month is told once it is over, so that nobody can watch
it grow by one and know whose answer that was; and only if enough people answered in it. Of its
reasons those are told that enough people gave, while at least as many gave another: all others stay
in one sum, into which the smallest told ones are put as well until nothing can be computed from it.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.policy import LeavingReason
from mailprefs.reports import cells
from mailprefs.reports.cells import USUAL, Rule
from mailprefs.schema.choices import LeavingReasonTotal
from mailprefs.schema.people import Topic


class Month(NamedTuple):
    """One month of a topic (None: no message of ours): answers, and what may be told of them.

    ``others`` is how many gave a reason that isn't told.
    """

    topic: str | None
    month: str
    answers: int
    told: dict[LeavingReason, int]
    others: int


def months(
    session: Session, *, before: str, rounded: bool, rule: Rule = USUAL
) -> tuple[list[Month], int]:
    """Give the months before this one that may be told, newest first, and how many may not."""
    rows = session.execute(
        select(
            LeavingReasonTotal.month,
            Topic.name,
            LeavingReasonTotal.topic_id,
            LeavingReasonTotal.reason,
            LeavingReasonTotal.n,
        )
        .outerjoin(Topic, Topic.id == LeavingReasonTotal.topic_id)
        .where(LeavingReasonTotal.month < before)
        .order_by(
            LeavingReasonTotal.month.desc(), Topic.name.nulls_last(), LeavingReasonTotal.topic_id
        )
    ).all()
    found, untold = [], 0
    for (month, name, _), group in groupby(rows, key=lambda row: row[:3]):
        given = {row.reason: row.n for row in group}
        answers = sum(given.values())
        if answers < rule.people:
            untold += 1
            continue
        told = tellable(given, rule)
        others = answers - sum(told.values())
        if rounded:
            told = {reason: cells.fives(n) for reason, n in told.items()}
            answers, others = cells.fives(answers), cells.fives(others)
        found.append(Month(name, month, answers, told, others))
    return found, untold


def tellable(given: Mapping[LeavingReason, int], rule: Rule = USUAL) -> dict[LeavingReason, int]:
    """Give the reasons of one month that may be told apart, the most frequent first."""
    told = {
        reason: n
        for reason, n in sorted(given.items(), key=lambda one: (-one[1], one[0]))
        if n >= rule.fewest
    }
    answers = sum(given.values())
    while told and len(told) < len(LeavingReason) and answers - sum(told.values()) < rule.fewest:
        told.popitem()
    return told
