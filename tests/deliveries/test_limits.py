"""Limits: counted in recipients, exact with many workers, and never in each other's way."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update

from mailprefs.db import dialects
from mailprefs.db.database import Database
from mailprefs.deliveries import limits, outcome
from mailprefs.deliveries.claim import Claim, Terms
from mailprefs.deliveries.pace import Wait
from mailprefs.policy import MessageClass
from mailprefs.rates import Limits, Rate
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.sending import SendCount
from mailprefs.vendor.message import Outcome, Verdict
from tests.factories import make_policy, make_sender, make_topic
from tests.sending import (
    NOW,
    TERMS,
    answer,
    count,
    freeze_all,
    make_due,
    make_people,
    state_of,
    take,
    take_one,
)

PROMOTIONAL, ADMINISTRATIVE = MessageClass.PROMOTIONAL, MessageClass.ADMINISTRATIVE
SHORTLY = 10.0


def limited(**values: object) -> Terms:
    """Give a worker's terms with these limits."""
    return replace(TERMS, limits=Limits(**values))  # type: ignore[arg-type]  # fields of Limits


def make_campaigns(db: Database, *classes: MessageClass, people: int = 7) -> list[int]:
    """Store frozen campaigns of these classes, each to the same number of people of its own."""
    with db.transaction() as session:
        make_policy(session)
        found = []
        for kind in classes:
            topic = make_topic(session, None, kind)
            if kind is PROMOTIONAL:
                make_people(session, topic, people)
            found.append(make_due(session, topic))
    freeze_all(db)
    return found


def take_all(db: Database, terms: Terms) -> tuple[list[Claim], Wait | None]:
    """Claim and send until nothing may go any more; give the claims, and the wait at the end."""
    claims = []
    while True:
        taken = take(db, terms)
        if isinstance(taken, Claim):
            claims.append(taken)
            answer(db, taken)
        elif taken is None or taken.seconds:
            return claims, taken


def shift(db: Database, **by: timedelta) -> None:
    """Move what was counted into the past."""
    with db.transaction() as session:
        for name, distance in by.items():
            column = getattr(SendCount, name)
            for row in session.query(SendCount).all():
                value = getattr(row, name)
                if value is not None:
                    session.execute(
                        update(SendCount)
                        .where(SendCount.name == row.name)
                        .values({column: value - distance})
                    )


def sizes(claims: list[Claim]) -> list[int]:
    return [len(claim.people) for claim in claims]


@pytest.fixture(autouse=True)
def _not_at_the_turn_of_an_hour() -> None:
    """Let no hour, and no day of India's, end between two claims of a test: wait for the next.

    The time is the database's own, which no test can freeze.
    """
    left = 1_800 - time.time() % 1_800
    if left < SHORTLY:
        time.sleep(left)


@pytest.mark.parametrize("rate", [Rate(0, 5, 0), Rate(0, 0, 5), Rate(0, 9, 5)])
def test_a_limit_is_used_up_to_the_last_recipient_and_then_waits_for_its_end(
    db: Database, rate: Rate
) -> None:
    make_campaigns(db, PROMOTIONAL)
    claims, wait = take_all(db, limited(everything=rate, zone="Asia/Kolkata"))
    assert sizes(claims) == [3, 2], "below the batch size, a claim is smaller"
    assert wait is not None
    longest = 3_600 if rate.hour == 5 else 86_400
    assert 0 < wait.seconds <= longest
    ends = datetime.now(UTC) + timedelta(seconds=wait.seconds)
    # A day in India ends at 18:30 UTC; an hour is the clock's in UTC.
    minute = 0 if rate.hour == 5 else 30
    assert abs((ends - ends.replace(minute=minute, second=0)).total_seconds()) < 30
    if rate.day:
        assert ends.hour == 18


@pytest.mark.parametrize(("rate", "past"), [(Rate(0, 5, 0), {"hour_at": timedelta(hours=1)}),
    (Rate(0, 0, 5), {"day_at": timedelta(days=1)})])  # fmt: skip
def test_the_next_hour_and_the_next_day_have_room_again(
    db: Database, rate: Rate, past: dict[str, timedelta]
) -> None:
    make_campaigns(db, PROMOTIONAL)
    terms = limited(everything=rate)
    assert sum(sizes(take_all(db, terms)[0])) == 5
    shift(db, **past)
    claims, wait = take_all(db, terms)
    assert sum(sizes(claims)) == 2
    assert wait is None, "nothing is left, so nothing waits"


def test_an_exhausted_promotional_limit_holds_no_administrative_mail_back(db: Database) -> None:
    promotional, administrative = make_campaigns(db, PROMOTIONAL, ADMINISTRATIVE)
    with db.transaction() as session:
        # The promotional one goes first, so that its limit is reached before the other is there.
        session.execute(
            update(Campaign)
            .where(Campaign.id == administrative)
            .values(state=CampaignState.PAUSED, paused_from=CampaignState.SENDING)
        )
    terms = limited(classes={PROMOTIONAL: Rate(0, 0, 2)})
    claims, wait = take_all(db, terms)
    assert [claim.held.campaign_id for claim in claims] == [promotional]
    assert isinstance(wait, Wait)
    with db.transaction() as session:
        session.execute(
            update(Campaign)
            .where(Campaign.id == administrative)
            .values(state=CampaignState.SENDING, paused_from=None)
        )
    claims, wait = take_all(db, terms)
    assert {claim.held.campaign_id for claim in claims} == {administrative}
    assert sum(sizes(claims)) == 7
    assert isinstance(wait, Wait), "the promotional one still waits"
    assert count(db, promotional).sent == 2


def test_an_exhausted_administrative_limit_holds_no_promotion_back(db: Database) -> None:
    promotional, administrative = make_campaigns(db, PROMOTIONAL, ADMINISTRATIVE)
    _, wait = take_all(db, limited(classes={ADMINISTRATIVE: Rate(0, 4, 0)}))
    assert count(db, administrative).sent == 4
    assert count(db, promotional).sent == 7
    assert isinstance(wait, Wait)


def test_a_limit_for_all_holds_both_classes_and_the_narrowest_counts(db: Database) -> None:
    promotional, administrative = make_campaigns(db, PROMOTIONAL, ADMINISTRATIVE)
    everything, classes = Rate(0, 0, 9), {PROMOTIONAL: Rate(0, 1, 0)}
    take_all(db, limited(everything=everything, classes=classes))
    assert count(db, administrative).sent == 7
    assert count(db, promotional).sent == 1


def test_a_changed_limit_holds_from_the_next_claim_on(db: Database) -> None:
    (campaign_id,) = make_campaigns(db, PROMOTIONAL, people=12)
    assert sum(sizes(take_all(db, limited(everything=Rate(0, 0, 4)))[0])) == 4
    assert sum(sizes(take_all(db, limited(everything=Rate(0, 0, 9)))[0])) == 5
    claims, wait = take_all(db, limited(everything=Rate(0, 0, 2)))
    assert (claims, wait is not None) == ([], True)
    assert sum(sizes(take_all(db, TERMS)[0])) == 3
    assert count(db, campaign_id).sent == 12


def test_a_slow_rate_that_is_raised_is_not_waited_for_any_more(db: Database) -> None:
    make_campaigns(db, PROMOTIONAL)
    assert len(take_one(db, limited(everything=Rate(0.001, 0, 0))).people) == 1
    wait = take(db, limited(everything=Rate(0.001, 0, 0)))
    assert isinstance(wait, Wait)
    assert 900 < wait.seconds <= 1_000
    faster = take(db, limited(everything=Rate(1.0, 0, 0)))
    assert isinstance(faster, Wait)
    assert faster.seconds <= 1
    shift(db, turn_at=timedelta(seconds=1))
    assert len(take_one(db, limited(everything=Rate(1.0, 0, 0))).people) == 1


def test_what_the_vendor_did_not_take_is_given_back_to_the_limits(db: Database) -> None:
    """Else an hour of refusals would use a day's room up without one mail."""
    (campaign_id,) = make_campaigns(db, PROMOTIONAL)
    terms = limited(everything=Rate(0, 5, 5), classes={PROMOTIONAL: Rate(0, 5, 5)})
    for _ in range(4):
        taken = take_one(db, terms)
        with db.transaction() as session:
            outcome.give_back(session, taken, "It began too late.")
    refused = Outcome(verdict=Verdict.REFUSED_ADDRESS, status=400, refused=(0,))
    answer(db, take_one(db, terms), refused)
    claims, _ = take_all(db, terms)
    assert sum(sizes(claims)) == 5
    counted = count(db, campaign_id)
    assert (counted.sent, counted.failed) == (5, {"refused_address": 1})


def test_what_is_given_back_after_the_hour_is_not_taken_off_the_next_one(db: Database) -> None:
    make_campaigns(db, PROMOTIONAL)
    terms = limited(everything=Rate(0, 3, 0))
    taken = take_one(db, terms)
    answer(db, taken)
    with db.transaction() as session:
        hour_ago = taken.held.claimed_at - timedelta(hours=1)
        limits.give_back(session, ("all",), 3, at=hour_ago)
    assert isinstance(take(db, terms), Wait)


def test_a_new_domain_grows_day_by_day_and_is_free_at_the_end_of_its_plan(db: Database) -> None:
    (campaign_id,) = make_campaigns(db, PROMOTIONAL, people=12)
    terms = limited(ramp=(2, 4))
    claims, wait = take_all(db, terms)
    assert sizes(claims) == [2]
    assert isinstance(wait, Wait)
    assert 86_300 < wait.seconds <= 86_400, "a day of the plan is 24 hours from the first hand-over"
    shift(db, first_at=timedelta(days=1), day_at=timedelta(days=1))
    assert sizes(take_all(db, terms)[0]) == [3, 1]
    shift(db, first_at=timedelta(days=1), day_at=timedelta(days=1))
    assert sum(sizes(take_all(db, terms)[0])) == 6
    assert count(db, campaign_id).sent == 12


def test_the_plan_is_each_domains_own_and_one_with_a_past_needs_none(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        found = []
        for address in ("news@new.example", "news@known.example", "tips@KNOWN.example"):
            sender = make_sender(session, from_address=address)
            topic = make_topic(session, sender_id=sender.id)
            make_people(session, topic, 4)
            found.append(make_due(session, topic))
        old = make_topic(session, sender_id=sender.id)
        past = make_due(session, old, state=CampaignState.FINISHED, due_at=None)
        session.get_one(Campaign, past).first_hand_over_at = NOW - timedelta(days=900)
    freeze_all(db)
    _, wait = take_all(db, limited(ramp=(1, 1)))
    assert [count(db, campaign_id).sent for campaign_id in found] == [1, 4, 4]
    assert isinstance(wait, Wait)


def test_a_single_message_goes_in_spite_of_the_plan_and_is_counted(db: Database) -> None:
    """Somebody waits for it at this moment."""
    administrative, *_ = make_campaigns(db, ADMINISTRATIVE, PROMOTIONAL)
    terms = limited(ramp=(3,))
    take_all(db, terms)
    assert isinstance(take(db, terms), Wait)
    with db.transaction() as session:
        session.execute(
            update(Campaign)
            .where(Campaign.id == administrative)
            .values(standing=True, template="fresh_link")
        )
    assert take_one(db, terms).held.campaign_id == administrative
    with db.reading() as session:
        (use,) = limits.show(session, terms.limits)
    assert (use.used, use.most) == (6, 3)


def test_several_workers_at_once_take_no_more_than_the_limit(db: Database) -> None:
    make_campaigns(db, PROMOTIONAL, people=60)
    terms = limited(everything=Rate(0, 31, 0), classes={PROMOTIONAL: Rate(0, 29, 0)})
    claims: list[Claim] = []

    def work() -> None:
        for _ in range(12):
            taken = take(db, terms)
            if isinstance(taken, Claim):
                claims.append(taken)

    together(*[work] * 4)
    assert sum(sizes(claims)) == 29
    with db.reading() as session:
        (use,) = (one for one in limits.show(session, terms.limits) if one.name == "promotional")
    assert (use.used, use.most) == (29, 29)
    assert use.until is not None


def test_nothing_is_asked_or_counted_where_nothing_is_limited(db: Database) -> None:
    make_campaigns(db, PROMOTIONAL)
    statements: list[str] = []
    event.listen(
        db.engine,
        "before_cursor_execute",
        lambda _c, _cursor, text, *_: statements.append(text),
    )
    answer(db, take_one(db))
    assert statements
    assert not [text for text in statements if "send_counts" in text or "call_pace" in text]


def test_what_is_used_is_shown_with_when_it_goes_on(db: Database) -> None:
    (campaign_id,) = make_campaigns(db, PROMOTIONAL)
    wanted = Limits(everything=Rate(0, 100, 0), classes={PROMOTIONAL: Rate(0, 0, 5)}, ramp=(50,))
    with db.reading() as session:
        assert [(one.used, one.until) for one in limits.show(session, wanted)] == [(0, None)] * 2
    take_all(db, replace(TERMS, limits=wanted))
    with db.reading() as session:
        uses = {(one.what, one.period): one for one in limits.show(session, wanted)}
        reached = limits.reached(session, wanted, session.get_one(Campaign, campaign_id))
        assert limits.reached(session, Limits(), session.get_one(Campaign, campaign_id)) is None
        at = dialects.database_time(session)
    assert (uses["All mail", "hour"].used, uses["All mail", "hour"].until) == (5, None)
    assert uses["New domain mail.example.com", "day"].used == 5
    full = uses["Promotional mail", "day"]
    assert full == reached
    assert full.until is not None
    assert full.until.hour == 0
    assert at < full.until <= at + timedelta(days=1)
    assert full.sentence.startswith(
        "The limit of 5 recipients a day is reached (promotional mail); it goes on at "
    )
    assert state_of(db, campaign_id) is CampaignState.SENDING


def together(*works: Callable[[], None]) -> None:
    """Run these at the same time, each in a thread, and wait for all."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        gate.wait()
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
