"""A mailbox that refuses for now: newsletters pause after the third day, and a delivery ends it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailprefs import events, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Gate
from mailprefs.events import soft
from mailprefs.jobs.retention import Retention
from mailprefs.policy import Scope, Source, SuppressionReason
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.events import SoftBounce
from mailprefs.vendor.message import Event, VendorEvent
from tests.events.conftest import Mailed
from tests.events.reported import addressed, apply, event
from tests.sending import NOW

SOFT = {SuppressionReason.SOFT_BOUNCES}


def blocked(
    mailed: Mailed, which: int, days: float, status: str = "4.2.2", reason: str | None = None
) -> VendorEvent:
    refused = event(mailed.sent[which][0], Event.BOUNCED, days=days, type="blocked", status=status)
    return replace(refused, reason=reason)


def test_three_days_within_the_window_pause_promotional_mail(mailed: Mailed) -> None:
    apply(mailed.db, blocked(mailed, 0, 0), blocked(mailed, 1, 5))
    assert mailed.reasons() == set()
    apply(mailed.db, blocked(mailed, 2, 29))
    assert mailed.reasons() == SOFT
    (stands,) = mailed.suppressed()
    assert stands.scope is Scope.PROMOTIONAL
    assert (stands.created_at, stands.delivery_id) == (NOW + timedelta(days=29), mailed.sent[2][0])
    assert mailed.reasons(1) == set()


@pytest.mark.parametrize("days", [(0, 0.1, 0.2), (0, 5, 31), (0, 0.1, 29), (0, 30, 60)], ids=str)
def test_fewer_days_or_further_apart_pause_nothing(mailed: Mailed, days: tuple[float, ...]) -> None:
    apply(mailed.db, *(blocked(mailed, which, day) for which, day in enumerate(days)))
    assert mailed.reasons() == set()


def test_what_is_about_us_never_counts_against_a_mailbox(mailed: Mailed) -> None:
    apply(
        mailed.db,
        *(blocked(mailed, 0 + day, day, reason="reputation") for day in range(3)),
        *(blocked(mailed, 3 + day, 3 + day, status="5.7.1") for day in range(3)),
    )
    assert mailed.reasons() == set()


def test_a_delivery_in_between_sets_the_count_back(mailed: Mailed) -> None:
    apply(mailed.db, blocked(mailed, 0, 0), blocked(mailed, 1, 1))
    apply(mailed.db, event(mailed.sent[2][0], days=2))
    apply(mailed.db, blocked(mailed, 3, 3), blocked(mailed, 4, 4))
    assert mailed.reasons() == set()
    apply(mailed.db, blocked(mailed, 5, 5))
    assert mailed.reasons() == SOFT


def test_a_delivery_afterwards_takes_the_pause_away(mailed: Mailed) -> None:
    apply(mailed.db, *(blocked(mailed, day, day) for day in range(3)))
    assert mailed.reasons() == SOFT
    apply(mailed.db, event(mailed.sent[4][0], days=10))
    assert mailed.reasons() == set()


def test_a_delivery_that_is_told_late_sets_back_all_the_same(mailed: Mailed) -> None:
    apply(mailed.db, blocked(mailed, 0, 0), blocked(mailed, 1, 1), blocked(mailed, 2, 3))
    apply(mailed.db, event(mailed.sent[4][0], days=2))
    assert mailed.reasons() == set()


def test_a_delivery_that_was_earlier_than_first_told_leaves_three_days_after_it(
    mailed: Mailed,
) -> None:
    apply(mailed.db, event(mailed.sent[0][0], days=8.5))
    apply(mailed.db, blocked(mailed, 1, 6), blocked(mailed, 2, 7), blocked(mailed, 3, 8))
    assert mailed.reasons() == set()
    apply(mailed.db, event(mailed.sent[0][0], days=5))
    assert mailed.reasons() == SOFT
    apply(mailed.db, event(mailed.sent[4][0], days=4))
    assert mailed.reasons() == SOFT, "an older delivery says nothing of what came after it"


def test_a_request_that_broke_off_before_it_decided_is_made_up_for(mailed: Mailed) -> None:
    apply(mailed.db, event(mailed.sent[0][0], days=8.5))
    apply(mailed.db, blocked(mailed, 1, 6), blocked(mailed, 2, 7), blocked(mailed, 3, 8))
    with mailed.db.transaction() as session:
        earlier = addressed(mailed.db, [event(mailed.sent[0][0], days=5)])
        (undecided,) = events.store_and_apply(session, earlier, now=NOW).undecided
    assert mailed.reasons() == set()
    assert undecided.recipient_id == mailed.people[0]
    with mailed.db.transaction(Gate.TAKING) as session:
        assert soft.refused_often(session) == [undecided]
        soft.decide(session, undecided, now=NOW)
        assert soft.refused_often(session) == []
    assert mailed.reasons() == SOFT


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_first_refusal_of_a_delivery_counts_whichever_is_told_first(
    mailed: Mailed, order: tuple[int, int]
) -> None:
    apply(mailed.db, blocked(mailed, 0, order[0]))
    apply(mailed.db, blocked(mailed, 0, order[1]))
    apply(mailed.db, blocked(mailed, 1, 1.1), blocked(mailed, 2, 2))
    assert mailed.reasons() == SOFT


def test_what_staff_have_put_there_no_delivery_takes_away(mailed: Mailed) -> None:
    """By hand it is held back for a reason of the company's own."""
    with mailed.db.transaction() as session:
        held, why = mailed.hashes[0], SuppressionReason.SOFT_BOUNCES
        suppressions.add(session, held, 1, why, Source.STAFF, now=NOW)
    apply(mailed.db, blocked(mailed, 0, 0))
    apply(mailed.db, event(mailed.sent[1][0], days=1))
    assert mailed.reasons() == SOFT
    (stands,) = mailed.suppressed()
    assert (stands.source, stands.created_at) == (Source.STAFF, NOW)


def test_a_campaign_that_began_long_ago_still_delivers(mailed: Mailed) -> None:
    with mailed.db.transaction() as session:
        for campaign in session.query(Campaign):
            campaign.first_hand_over_at = NOW - timedelta(days=90)
    apply(mailed.db, blocked(mailed, 0, 0), blocked(mailed, 1, 1), event(mailed.sent[4][0], days=2))
    apply(mailed.db, blocked(mailed, 2, 3))
    assert mailed.reasons() == set()


def test_a_lift_begins_the_count_anew(mailed: Mailed) -> None:
    apply(mailed.db, *(blocked(mailed, day, day) for day in range(3)))
    with mailed.db.transaction() as session:
        suppressions.lift_by_staff(
            session,
            mailed.hashes[0],
            SuppressionReason.SOFT_BOUNCES,
            CONSOLE,
            because="They made room in the mailbox.",
            now=NOW + timedelta(days=3),
        )
    apply(mailed.db, blocked(mailed, 3, 4), blocked(mailed, 4, 5))
    assert mailed.reasons() == set()
    apply(mailed.db, blocked(mailed, 5, 6))
    assert mailed.reasons() == SOFT


def test_what_cannot_count_is_forgotten_and_who_is_paused_stays_so(mailed: Mailed) -> None:
    apply(mailed.db, *(blocked(mailed, day, day) for day in range(3)))
    other = event(mailed.sent[0][1], Event.BOUNCED)
    apply(mailed.db, replace(other, type="blocked", status="4.2.2"))
    later = NOW + timedelta(days=70)
    job = Retention(db=mailed.db, zone="UTC", clock=lambda: later)
    assert job.now()["soft_bounces"] == 1
    with mailed.db.transaction(Gate.TAKING) as session:
        (held,) = soft.held_back(session)
        soft.decide(session, held, now=later)
    with mailed.db.reading() as session:
        assert {one.recipient_id for one in session.query(SoftBounce)} == {mailed.people[0]}
    assert mailed.reasons() == SOFT, "who is paused stays so until a delivery or a lift"
