"""What happened to a campaign, in the order in which it did: told, never stored a second time.

What somebody did stands in the audit. What became of it by itself stands where it is worked out
from: beginning and end in the campaign, unclear answers with their hand-overs, stops of all sending
in the audit of the vendor's pace, and stalls among the alarms.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.campaigns import undecided
from mailprefs.schema.alarms import Alarm
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver
from mailprefs.schema.staff import AuditEntry
from mailprefs.vendor.message import Verdict
from mailprefs.web.staff import words

_ITSELF: Final = "mailprefs itself"
_SENDING: Final = {
    "sending.stopped": "All sending stopped",
    "sending.started": "All sending let go on",
}


class Event(NamedTuple):
    """One thing that happened: when, what, by whom, and why, where that was said."""

    at: datetime
    what: str
    by: str
    reason: str | None = None


def history(session: Session, campaign: Campaign, names: dict[int, str]) -> list[Event]:
    """List what happened to a campaign, the latest first; *names* are those of the staff, by id."""
    found = [
        _said(entry, words.action(entry.action), names)
        for entry in audit.of(session, ("campaign", campaign.id))
    ]
    if campaign.started_at is not None:
        ends = campaign.finished_at
        found += _course(session, campaign, campaign.started_at)
        found += [
            _said(entry, _SENDING[entry.action], names)
            for entry in audit.of(session, ("vendor", "pace"))
            if entry.action in _SENDING
            and entry.at >= campaign.started_at
            and (ends is None or entry.at <= ends)
        ]
        found += _stalls(session, campaign.id)
    return sorted(found, key=lambda one: one.at)[::-1]


def _said(entry: AuditEntry, what: str, names: dict[int, str]) -> Event:
    nobody = "the console" if entry.door == "console" else _ITSELF
    by = nobody if entry.staff_id is None else names.get(entry.staff_id, nobody)
    return Event(entry.at, what, by, entry.reason)


def _course(session: Session, campaign: Campaign, began: datetime) -> Iterator[Event]:
    """Give when it began, what was answered unclearly, and how it came to rest."""
    yield Event(began, "Campaign: begun", _ITSELF)
    unclear, people, last = session.execute(
        select(
            func.min(HandOver.ended_at),
            # Whoever was unclear a second time is still one person.
            func.coalesce(func.sum(HandOver.n).filter(HandOver.after_id.is_(None)), 0),
            func.max(HandOver.ended_at),
        ).where(HandOver.campaign_id == campaign.id, HandOver.outcome == Verdict.UNCLEAR.value)
    ).one()
    if unclear is not None:
        what = f"Unclear answer: whether {undecided.in_people(people)} got it"
        yield Event(unclear, what, "the vendor")
    if campaign.state is CampaignState.HELD and last is not None:
        yield Event(last, "Campaign: held, as only what is unknown is left", _ITSELF)
    if campaign.state is CampaignState.FINISHED and campaign.finished_at is not None:
        yield Event(campaign.finished_at, "Campaign: finished", _ITSELF)


def _stalls(session: Session, campaign_id: int) -> Iterator[Event]:
    """Give when it stood still, and when it moved again, as far as an alarm told of it."""
    alarms = session.scalars(
        select(Alarm)
        .where(Alarm.kind == AlarmKind.CAMPAIGN_STALLED.value)
        .where(Alarm.subject == f"campaign {campaign_id}")
        .order_by(Alarm.id)
    )
    for alarm in alarms:
        yield Event(alarm.since, "Campaign: stalled", _ITSELF)
        if alarm.cleared_at is not None:
            yield Event(alarm.cleared_at, "Campaign: not stalled any more", _ITSELF)
