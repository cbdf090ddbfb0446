"""Evidence is kept for so long and no longer; sums stay; whoever is killed is made up for."""

import logging
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from mailprefs import consent, opens, periods
from mailprefs.db import dialects
from mailprefs.db.database import Database, Gate
from mailprefs.jobs.retention import Retention, people, stepping
from mailprefs.opens import Fetch, ageing
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    Frequency,
    LegalPurpose,
    MessageClass,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.choices import SuppressionLift
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver, SingleValues
from mailprefs.schema.opens import (
    Measured,
    MeasuredTotal,
    Open,
    OpenRetention,
    OpenRollup,
    SpoolPosition,
    UndecidedOpen,
)
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.consent.test_ledger import entry
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
    subscribe,
)

SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
# Half past midnight in Kolkata: another day than in UTC.
OPENED = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
YEAR = timedelta(days=366)
LOCAL_DAY = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


@pytest.fixture
def ids(db: Database) -> list[int]:
    """Ten people got a campaign and opened it."""
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(
            session, make_topic(session), first_hand_over_at=SENT, report_zone="Asia/Kolkata"
        )
        people = [make_recipient(session) for _ in range(10)]
        sent = make_sent(session, campaign, people, at=SENT)
    count(db, [fetch(one, OPENED) for one in sent])
    return sent


def fetch(delivery_id: int, at: datetime) -> Fetch:
    return Fetch(
        delivery_id >> 32,
        delivery_id,
        at,
        OpenKind.DIRECT,
        Reason.BROWSER,
        RULESET,
        Client.OUTLOOK,
        "DE",
    )


def count(db: Database, fetches: list[Fetch]) -> None:
    with db.transaction(Gate.USING) as session:
        opens.record(session, fetches)


def run(db: Database, now: datetime) -> dict[str, int]:
    return Retention(db=db, zone="UTC", clock=lambda: now).now()


def rows(session: Session) -> list[tuple[Any, ...]]:
    return sorted(
        (row.delivery_id, row.kind, row.reason, row.ruleset, row.first_seen_at, row.country)
        for row in session.query(Open)
    )


def sums(session: Session) -> list[tuple[Any, ...]]:
    cells = session.query(OpenRollup.dimension, OpenRollup.value, OpenRollup.kind, OpenRollup.n)
    totals = session.query(MeasuredTotal.campaign_id, MeasuredTotal.bits, MeasuredTotal.n)
    return sorted(map(tuple, cells)) + sorted(map(tuple, totals))


def test_after_thirty_days_only_kind_and_local_day_are_left(db: Database, ids: list[int]) -> None:
    with db.reading() as session:
        before = sums(session)
    assert run(db, OPENED + timedelta(days=29, hours=23))["details"] == 0
    assert run(db, OPENED + timedelta(days=30, minutes=1))["details"] == 10
    with db.reading() as session:
        for row in session.query(Open):
            assert row.kind == OpenKind.DIRECT
            assert row.first_seen_at == LOCAL_DAY
            assert (row.country, row.client, row.reason, row.ruleset) == (None, 0, 0, 0)
            assert row.policy_version_id == 1
        assert session.query(Measured).count() == 10
        assert sums(session) == before


def test_a_second_run_changes_nothing_and_younger_opens_wait(db: Database, ids: list[int]) -> None:
    later = OPENED + timedelta(days=20)
    count(db, [fetch(ids[0], later)._replace(kind=OpenKind.PROXIED)])
    now = OPENED + timedelta(days=31)
    assert run(db, now)["details"] == 10
    with db.reading() as session:
        before = rows(session)
    assert run(db, now)["details"] == 0
    with db.reading() as session:
        assert rows(session) == before
    assert run(db, later + timedelta(days=31))["details"] == 1


def test_after_thirteen_months_evidence_is_gone_and_sums_stay(db: Database, ids: list[int]) -> None:
    with db.reading() as session:
        before = sums(session)
    assert run(db, datetime(2027, 12, 22, 8, 59, tzinfo=UTC))["evidence"] == 0
    assert run(db, datetime(2027, 12, 22, 9, 1, tzinfo=UTC))["evidence"] == 20
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(Measured).count() == 0
        assert sums(session) == before
    assert set(run(db, datetime(2028, 1, 1, tzinfo=UTC)).values()) == {0}


class Killed(BaseException):
    """As a kill at this moment: whatever wasn't committed is gone."""


@pytest.mark.faults
@pytest.mark.parametrize("months", [2, 14])
@pytest.mark.parametrize("slices", [1, 2, 3])
def test_killed_half_way_and_run_again_leaves_the_same(
    *,
    db: Database,
    ids: list[int],
    monkeypatch: pytest.MonkeyPatch,
    months: int,
    slices: int,
) -> None:
    monkeypatch.setattr(ageing, "WINDOW", 3)
    now = SENT + timedelta(days=31 * months)
    name = "reduce" if months < 13 else "remove"
    step: Callable[..., Any] = getattr(ageing, name)
    left = iter(range(slices))

    def killed(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - passes on
        done = step(*given, **named)
        if next(left, None) is None:
            raise Killed
        return done

    monkeypatch.setattr(ageing, name, killed)
    with pytest.raises(Killed):
        run(db, now)
    with db.reading() as session:
        touched = [row for row in session.query(Open) if row.ruleset == RULESET]
        assert 0 < len(touched) < 10
    monkeypatch.setattr(ageing, name, step)
    run(db, now)
    with db.reading() as session:
        assert [row for row in session.query(Open) if row.ruleset == RULESET] == []
        assert session.query(Open).count() == (10 if months < 13 else 0)
        assert session.query(Measured).count() == (10 if months < 13 else 0)


def test_what_stops_between_slices_goes_on_later(
    db: Database, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ageing, "WINDOW", 3)
    stop = threading.Event()
    stop.set()
    now = OPENED + timedelta(days=31)
    job = Retention(db=db, zone="UTC", clock=lambda: now)
    assert job.now(stop)["details"] < 10
    assert run(db, now)["details"] > 0


def test_a_closed_campaign_that_is_reduced_is_never_read_again(
    db: Database, ids: list[int]
) -> None:
    run(db, OPENED + timedelta(days=31))
    with db.reading() as session:
        assert session.query(OpenRetention).count() == 0
    with db.transaction() as session:
        session.query(Campaign).update({"closed_at": SENT + timedelta(days=90)})
    run(db, SENT + timedelta(days=120, minutes=1))
    with db.reading() as session:
        assert session.query(OpenRetention).one().reduced_at is not None
        assert ageing.with_details(session, SENT + timedelta(days=300)) == []


def test_a_campaign_that_is_not_closed_is_read_again_however_long_ago_it_began(
    db: Database, ids: list[int]
) -> None:
    """Whoever closes campaigns was away; hits of its last days may still lie on disk."""
    run(db, SENT + timedelta(days=200))
    with db.reading() as session:
        assert session.query(OpenRetention).count() == 0
    count(db, [fetch(ids[0], OPENED)._replace(kind=OpenKind.PROXIED)])
    assert run(db, SENT + timedelta(days=201))["details"] == 1


def test_an_open_that_is_counted_late_is_reduced_as_well(db: Database, ids: list[int]) -> None:
    """A machine was away for a month with its hits on disk."""
    now = OPENED + timedelta(days=31)
    run(db, now)
    count(db, [fetch(ids[0], OPENED)._replace(kind=OpenKind.PROXIED)])
    assert run(db, now + timedelta(days=1))["details"] == 1


def test_exact_times_of_undecided_fetches_go_after_three_days(db: Database, ids: list[int]) -> None:
    with db.reading() as session:
        assert session.query(UndecidedOpen).count() == 10
    assert run(db, OPENED + timedelta(days=2, hours=23))["undecided"] == 0
    assert run(db, OPENED + timedelta(days=3, minutes=1))["undecided"] == 10
    with db.reading() as session:
        assert session.query(UndecidedOpen).count() == 0
        assert session.query(Open).count() == 10


def test_how_mail_is_loaded_is_remembered_for_sixty_days(
    db: Database, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_LOOKED_AT", 3)
    with db.transaction() as session:
        session.query(Recipient).update({"apple_seen_on": date(2026, 11, 22)})
    assert run(db, datetime(2027, 1, 21, 23, tzinfo=UTC))["apple"] == 0
    assert run(db, datetime(2027, 1, 22, 1, tzinfo=UTC))["apple"] == 10
    with db.reading() as session:
        assert {one.apple_seen_on for one in session.query(Recipient)} == {None}


def test_however_many_are_found_only_so_many_are_changed_at_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.transaction() as session:
        for _ in range(5):
            make_recipient(session, apple_seen_on=SENT.date())
    monkeypatch.setattr(stepping, "AT_ONCE", 2)
    assert list(stepping.take(db, people.apple(), SENT + YEAR)) == [2, 2, 1]


def test_positions_of_files_that_are_gone_go(db: Database) -> None:
    with db.transaction() as session:
        for number, days in enumerate((99, 101)):
            at = SENT - timedelta(days=days)
            session.add(SpoolPosition(segment=bytes([number]) * 16, position=64, updated_at=at))
    assert run(db, SENT)["positions"] == 1
    with db.reading() as session:
        assert session.query(SpoolPosition).one().segment == bytes(16)


def test_once_a_night_and_by_one_of_all_processes(db: Database, ids: list[int]) -> None:
    clock = [datetime(2027, 1, 5, 3, 59, tzinfo=UTC)]
    job = Retention(db=db, zone="UTC", clock=lambda: clock[0])
    assert job.tonight() is None
    clock[0] += timedelta(minutes=2)
    assert (job.tonight() or {})["details"] == 10
    assert job.tonight() is None
    clock[0] += timedelta(days=1)
    assert job.tonight() is not None


@pytest.fixture
def singles(db: Database) -> list[int]:
    """Seven people got a message of their own, one after the other."""
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(
            session,
            make_topic(session, "account", MessageClass.ADMINISTRATIVE),
            purpose=LegalPurpose.ACCOUNT,
            standing=True,
            template="fresh_link",
        )
        made = []
        for number in range(7):
            at = SENT + timedelta(minutes=number)
            made += make_sent(session, campaign, [make_recipient(session)], modes="o", at=at)
            session.get_one(Delivery, made[-1]).idempotency_key = f"key {number}"
            session.add(SingleValues(delivery_id=made[-1], values={"page_url": "https://a.test"}))
    return made


def test_what_stands_in_a_message_waits_for_as_long_as_it_may_still_go(
    db: Database, singles: list[int]
) -> None:
    """The third is unknown, and the fifth waits: whoever decides, or sends, needs the words."""
    with db.transaction() as session:
        for number, state in ((2, BatchState.UNKNOWN), (4, BatchState.PENDING)):
            (batch,) = session.query(Batch).where(Batch.first_id == singles[number])
            batch.state = state
    assert run(db, SENT + timedelta(days=8))["single_values"] == 5
    with db.reading() as session:
        left = {one.delivery_id for one in session.query(SingleValues)}
        assert left == {singles[2], singles[4]}
        assert session.query(Delivery).where(Delivery.recipient_id.is_(None)).count() == 0


def test_what_was_made_before_and_never_went_is_as_old_as_its_neighbours(
    db: Database, singles: list[int]
) -> None:
    with db.transaction() as session:
        (batch,) = session.query(Batch).where(Batch.first_id == singles[3])
        session.query(HandOver).where(HandOver.id == batch.hand_over_id).delete()
        batch.hand_over_id, batch.state = None, BatchState.CANCELLED
    done = run(db, SENT + timedelta(days=430))
    assert (done["single_values"], done["single_messages"]) == (7, 7)


@pytest.mark.faults
@pytest.mark.parametrize("slices", [1, 2])
def test_any_rule_that_is_killed_half_way_is_made_up_for(
    *, db: Database, singles: list[int], monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    monkeypatch.setattr(stepping, "AT_ONCE", 3)
    now = SENT + timedelta(days=430)
    left = iter(range(slices))

    def killed(*given: Any, **named: Any) -> int:  # noqa: ANN401 - passes on
        if next(left, None) is None:
            raise Killed
        return changed(*given, **named)

    changed = dialects.changed
    monkeypatch.setattr(dialects, "changed", killed)
    with pytest.raises(Killed):
        run(db, now)
    monkeypatch.setattr(dialects, "changed", changed)
    with db.reading() as session:
        assert session.query(SingleValues).count() == 7 - 3 * slices
    run(db, now)
    with db.reading() as session:
        assert session.query(SingleValues).count() == 0
        assert session.query(Delivery).where(Delivery.idempotency_key.is_not(None)).count() == 0
    assert set(run(db, now).values()) == {0}


@pytest.mark.faults
def test_a_process_that_is_killed_in_the_middle_is_made_up_for(
    db: Database, singles: list[int]
) -> None:
    """By kill -9, with a transaction open in which rows are changed already."""
    url = db.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _DIES, url]
    child = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    with db.reading() as session:
        assert session.query(SingleValues).count() == 4
    now = SENT + timedelta(days=430)
    assert run(db, now)["single_values"] == 4
    assert set(run(db, now).values()) == {0}


_DIES = """
import os, signal, sys
from datetime import UTC, datetime
from mailprefs.db import dialects
from mailprefs.db.database import Database
from mailprefs.jobs.retention import Retention, stepping
import mailprefs.schema.tables
stepping.AT_ONCE = 3
changed, calls = dialects.changed, []
def dying(*given, **named):
    rows = changed(*given, **named)
    calls.append(rows)
    if sum(calls) > 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows
dialects.changed = dying
now = datetime(2028, 2, 1, tzinfo=UTC)
Retention(db=Database(sys.argv[1]), zone="UTC", clock=lambda: now).now()
"""


def a_person(db: Database, **columns: Any) -> int:  # noqa: ANN401 - any column
    with db.transaction() as session:
        topic = make_topic(session)
        state = columns.pop("state", SubscriptionState.PENDING)
        since = columns.pop("since", SENT)
        values: dict[str, Any] = {"address_origin": AddressOrigin.UNCONFIRMED, "created_at": SENT}
        values |= columns
        person = make_recipient(session, **values)
        subscribe(session, person, topic, state, since=since)
        return person.id


@pytest.mark.parametrize(
    "more",
    [
        {"address_origin": AddressOrigin.CONFIRMED},
        {"address_origin": AddressOrigin.IMPORTED},
        {"state": SubscriptionState.UNSUBSCRIBED},
        {"state": SubscriptionState.SUBSCRIBED},
        {"since": SENT + timedelta(days=20)},
        {"created_at": SENT + timedelta(days=20)},
        {"open_tracking": Choice.REFUSED},
        {"paused_until": SENT + timedelta(days=1)},
        {"frequency": Frequency.WEEKLY},
    ],
    ids=str,
)
def test_only_who_never_confirmed_and_said_nothing_else_goes(
    db: Database, more: dict[str, Any]
) -> None:
    gone, stays = a_person(db), a_person(db, **more)
    assert run(db, SENT + timedelta(days=29))["unconfirmed"] == 0
    assert run(db, SENT + timedelta(days=31))["unconfirmed"] == 1
    with db.reading() as session:
        assert [one.id for one in session.query(Recipient)] == [stays]
        assert [one.recipient_id for one in session.query(Subscription)] == [stays]
    assert gone != stays


def test_who_never_confirmed_takes_the_confirmation_mail_along(
    db: Database, singles: list[int]
) -> None:
    person = a_person(db)
    with db.transaction() as session:
        session.get_one(Delivery, singles[6]).recipient_id = person
    run(db, SENT + timedelta(days=31))
    with db.reading() as session:
        assert session.get(Recipient, person) is None
        assert session.get(SingleValues, singles[6]) is None
        assert session.get_one(Delivery, singles[6]).recipient_id is None


def test_the_ledger_keeps_the_choices_of_who_is_on_file_and_of_who_chose_lately(
    db: Database,
) -> None:
    with db.transaction() as session:
        known = make_recipient(session).id
        for at, who in ((SENT, known), (SENT, 901), (SENT, 902), (SENT + YEAR, 902)):
            consent.append(session, [entry(who)], now=at)
    with db.reading() as session:
        before = consent.head(session)
    assert run(db, SENT + 3 * YEAR + timedelta(days=3))["ledger"] == 1
    with db.reading() as session:
        assert consent.history(session, 901) == []
        assert [len(consent.history(session, one)) for one in (known, 902)] == [1, 2]
        assert consent.verify(session, [before]) == 4
    assert run(db, SENT + 4 * YEAR + timedelta(days=3))["ledger"] == 2


def test_a_campaign_that_may_still_go_keeps_its_people(db: Database, ids: list[int]) -> None:
    now = SENT + timedelta(days=430)
    assert run(db, now)["links"] == 0
    with db.transaction() as session:
        session.query(Campaign).update({"state": CampaignState.CANCELLED})
    assert run(db, now)["links"] == 10
    with db.reading() as session:
        assert {one.recipient_id for one in session.query(Delivery)} == {None}
        assert {one.id for one in session.query(Delivery)} == set(ids)


def test_a_lift_stays_while_its_address_is_on_file(db: Database) -> None:
    with db.transaction() as session:
        person = make_recipient(session)
        for hashed in (person.address_hash, bytes(16)):
            session.add(
                SuppressionLift(
                    address_hash=hashed,
                    reason=SuppressionReason.HARD_BOUNCE,
                    source=Source.VENDOR,
                    since=SENT,
                    lifted_at=SENT,
                    because="It works again.",
                )
            )
    assert run(db, SENT + 4 * YEAR)["lifts"] == 1
    with db.reading() as session:
        assert session.query(SuppressionLift).one().address_hash == person.address_hash


def test_the_operators_own_period_holds(db: Database, ids: list[int]) -> None:
    own = periods.read("details: 7 days")
    now = OPENED + timedelta(days=8)
    assert Retention(db=db, zone="UTC", clock=lambda: now, periods=own).now()["details"] == 10


def test_the_log_has_counts_and_nothing_else(
    db: Database, ids: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "mailprefs.retention"):
        run(db, OPENED + timedelta(days=31))
    (line,) = caplog.messages
    assert "'details': 10" in line
    assert not re.search(r"@|example|https?:", line)
