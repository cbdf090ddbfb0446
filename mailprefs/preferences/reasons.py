"""Why people left, if they care to say: counted by topic and month, and kept of nobody.

Beside the sums stands only that somebody has answered, so that each leaving is counted once.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.policy import LeavingReason
from mailprefs.preferences.leaving import Leaving, last_leaving
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import LeavingReasonTotal, ReasonGiven


def give(  # noqa: PLR0913 - who, why, and by which clock
    session: Session,
    recipient_id: int,
    reason: LeavingReason,
    *,
    now: datetime,
    window: timedelta,
    zone: str,
) -> bool:
    """Count why somebody left within *window*, once; tell whether it was counted.

    It is of the month that it is in *zone*, and of the topic whose message they left by.
    """
    left = last_leaving(session, recipient_id)
    if left is None or not left.entries or now - left.at > window:
        return False
    given = dialects.insert(session, ReasonGiven).values(recipient_id=recipient_id, left_at=left.at)
    given = given.on_conflict_do_update(
        index_elements=["recipient_id"],
        set_={"left_at": left.at},
        where=ReasonGiven.left_at != left.at,
    )
    if not dialects.changed(session, given):
        return False
    total = dialects.insert(session, LeavingReasonTotal).values(
        topic_id=_topic(session, left),
        month=month(now, zone),
        reason=reason,
        n=1,
    )
    session.execute(
        total.on_conflict_do_update(
            index_elements=["topic_id", "month", "reason"], set_={"n": LeavingReasonTotal.n + 1}
        )
    )
    return True


def is_given(session: Session, recipient_id: int, left_at: datetime) -> bool:
    """Tell whether somebody has given a reason for leaving at that moment."""
    return session.scalar(select(ReasonGiven.left_at).filter_by(recipient_id=recipient_id)) == (
        left_at
    )


def month(now: datetime, zone: str) -> str:
    """Give the month that it is in a zone: 2026-11."""
    return f"{now.astimezone(ZoneInfo(zone)):%Y-%m}"


def _topic(session: Session, left: Leaving) -> int:
    """Give the topic of the message that somebody left by; 0 for none."""
    delivery_id = left.entries[0].entry.delivery_id or 0
    query = select(Campaign.topic_id).where(Campaign.id == delivery_id >> 32)
    return session.scalar(query) or 0
