"""Schedules: what was said in a zone, the choices where that is unclear, and what was missed."""

import zoneinfo
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from mailprefs import audit
from mailprefs.campaigns import progress, schedule, states
from mailprefs.campaigns.schedule import Occurrence
from mailprefs.db.database import Gate
from mailprefs.deliveries import freeze
from mailprefs.errors import BadInput
from mailprefs.schema.campaigns import Campaign, CampaignState
from tests.campaigns.conftest import NOW, House

HOUR = 3_600


def scheduled(house: House, local: str, zone: str, which: Occurrence | None = None) -> int:
    """Send a draft at a local time; give its id."""
    number = house.draft()
    with house.db.transaction() as session:
        due = schedule.instant(local, zone, which)
        states.send(session, number, house.ann, now=NOW, due_at=due, zone=zone)
    return number


def look(house: House, now: datetime, grace: float = HOUR) -> list[int]:
    """Do what a service does with what is due; give what it held."""
    with house.db.transaction() as session:
        held = schedule.hold_missed(session, now=now, grace=grace)
        freeze.begin_due(session, now=now)
    return held


def campaign(house: House, number: int) -> Campaign:
    with house.db.reading() as session:
        return session.get_one(Campaign, number)


def test_of_a_time_that_happens_twice_either_can_be_meant() -> None:
    twice = ("2027-10-31T02:30", "Europe/Berlin")
    first = schedule.instant(*twice, Occurrence.FIRST)
    second = schedule.instant(*twice, Occurrence.SECOND)
    assert first == datetime.fromisoformat("2027-10-31T00:30:00+00:00")
    assert second == datetime.fromisoformat("2027-10-31T01:30:00+00:00")
    with pytest.raises(BadInput) as asked:
        schedule.instant(*twice)
    told = str(asked.value)
    assert "first at 31 Oct 2027, 00:30 UTC, then at 31 Oct 2027, 01:30 UTC" in told
    assert "--occurrence first or --occurrence second" in told


def test_a_time_that_is_skipped_is_told_with_the_ones_beside_it() -> None:
    with pytest.raises(BadInput) as asked:
        schedule.instant("2027-03-28T02:30", "Europe/Berlin", Occurrence.FIRST)
    assert "02:30 doesn't exist in Europe/Berlin on 28 Mar 2027" in str(asked.value)
    assert "Choose 01:30 or 03:30 instead" in str(asked.value)


def test_which_one_is_meant_changes_nothing_where_there_is_one() -> None:
    once = ("2027-07-01T09:00", "Europe/Berlin")
    assert schedule.instant(*once, Occurrence.SECOND) == schedule.instant(*once)


def test_a_schedule_keeps_what_was_said(house: House) -> None:
    number = scheduled(house, "2027-10-31T02:30", "Europe/Berlin", Occurrence.SECOND)
    kept = campaign(house, number)
    assert (kept.due_wall, kept.due_fold, kept.zone) == ("2027-10-31T02:30", 1, "Europe/Berlin")
    with house.db.transaction() as session:
        states.undo(session, number, house.ann, now=NOW)
    kept = campaign(house, number)
    assert (kept.due_wall, kept.due_fold, kept.zone, kept.due_at) == (None, None, None, None)


def test_when_a_zones_rules_change_a_schedule_follows_its_local_time(house: House) -> None:
    """The stored instant is of the old rules here: an hour before what 09:00 is now."""
    number = scheduled(house, "2027-06-01T09:00", "Europe/Berlin")
    other = scheduled(house, "2027-06-01T10:00", "Europe/Berlin")
    meant = campaign(house, number).due_at
    assert meant is not None
    with house.db.transaction() as session:
        session.execute(
            update(Campaign).where(Campaign.id == number).values(due_at=meant - timedelta(hours=1))
        )
        assert schedule.renew(session, now=NOW) == [number]
        assert schedule.renew(session, now=NOW) == []
        (*_, entry) = audit.of(session, ("campaign", number))
    assert campaign(house, number).due_at == meant
    assert entry.action == "campaign.rescheduled"
    assert entry.details["is"] == meant.isoformat()
    assert campaign(house, other).due_wall == "2027-06-01T10:00"


def test_what_is_due_already_or_was_said_without_a_zone_stays(house: House) -> None:
    due = scheduled(house, "2027-06-01T09:00", "Europe/Berlin")
    soon = house.draft()
    with house.db.transaction() as session:
        states.send(session, soon, house.ann, now=NOW, due_at=NOW + timedelta(seconds=60))
        past = NOW - timedelta(minutes=5)
        session.execute(update(Campaign).where(Campaign.id == due).values(due_at=past))
        assert schedule.renew(session, now=NOW) == []
    assert campaign(house, due).due_at == past


def test_found_beyond_the_grace_time_it_waits_for_a_person_with_the_reason(house: House) -> None:
    number = scheduled(house, "2026-11-23T09:00", "Europe/Berlin")
    late = datetime.fromisoformat("2026-11-23T10:00:00+00:00")
    assert look(house, late) == [number]
    held = campaign(house, number)
    assert (held.state, held.paused_from) == (CampaignState.PAUSED, CampaignState.SCHEDULED)
    assert held.paused_reason is not None
    assert "23 Nov 2026, 09:00 CET" in held.paused_reason
    assert "found at 23 Nov 2026, 10:00 UTC" in held.paused_reason
    with house.db.reading() as session:
        (missed,) = progress.missed(session)
        assert (missed.campaign_id, missed.due_at) == (number, held.due_at)
        assert progress.stalled(session, now=late) == []
        assert audit.of(session, ("campaign", number))[-1].action == "campaign.missed"
    assert look(house, late + timedelta(days=1)) == [], "once is enough"


@pytest.mark.parametrize("seconds", [0, 60, HOUR])
def test_within_the_grace_time_it_simply_begins(house: House, seconds: int) -> None:
    number = scheduled(house, "2026-11-23T09:00", "Europe/Berlin")
    due = campaign(house, number).due_at
    assert due is not None
    assert look(house, due + timedelta(seconds=seconds)) == []
    assert campaign(house, number).state is CampaignState.FREEZING


def test_a_send_with_a_short_delay_that_nothing_was_running_for_waits_too(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        due = NOW + timedelta(seconds=60)
        states.send(session, number, house.ann, now=NOW, due_at=due)
    assert look(house, NOW + timedelta(hours=2)) == [number]
    assert "10:31" not in str(campaign(house, number).paused_reason)
    assert "09:31 UTC" in str(campaign(house, number).paused_reason)


def test_going_on_sends_what_was_missed_now(house: House) -> None:
    number = scheduled(house, "2026-11-23T09:00", "Europe/Berlin")
    late = NOW + timedelta(days=2)
    look(house, late)
    with house.db.transaction() as session:
        states.resume(session, number, house.bob, now=late)
    going = campaign(house, number)
    assert (going.state, going.due_at, going.zone) == (CampaignState.SCHEDULED, late, None)
    assert look(house, late + timedelta(seconds=1)) == []
    assert campaign(house, number).state is CampaignState.FREEZING


def test_what_was_missed_can_be_taken_back_or_stopped(house: House) -> None:
    first, second = (scheduled(house, "2026-11-23T09:00", "Europe/Berlin") for _ in range(2))
    late = NOW + timedelta(days=2)
    assert look(house, late) == [first, second]
    with house.db.transaction(Gate.TAKING) as session:
        states.undo(session, first, house.ann, now=late)
        states.cancel(session, second, house.ann, now=late)
    draft = campaign(house, first)
    assert (draft.state, draft.paused_from, draft.paused_reason) == (
        CampaignState.DRAFT,
        None,
        None,
    )
    assert campaign(house, second).state is CampaignState.CANCELLED


def test_every_zone_that_is_offered_can_be_said(house: House) -> None:
    """A schedule at noon exists once in each of them, whatever its rules."""
    del house
    for zone in sorted(zoneinfo.available_timezones()):
        due = schedule.instant("2027-02-10T12:00", zone)
        assert schedule.said(due, zone) == ("2027-02-10T12:00", 0)
