"""Evidence is kept for so long and no longer; sums stay; whoever is killed is made up for."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from mailprefs import opens
from mailprefs.db.database import Database, Gate
from mailprefs.jobs import retention
from mailprefs.jobs.retention import Retention, months_before
from mailprefs.opens import Fetch, ageing
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.opens import (
    Measured,
    MeasuredTotal,
    Open,
    OpenRetention,
    OpenRollup,
    SpoolPosition,
    UndecidedOpen,
)
from mailprefs.schema.people import Recipient
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
# Half past midnight in Kolkata: another day than in UTC.
OPENED = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
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
    assert run(db, OPENED + timedelta(days=29, hours=23))["reduced"] == 0
    assert run(db, OPENED + timedelta(days=30, minutes=1))["reduced"] == 10
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
    assert run(db, now)["reduced"] == 10
    with db.reading() as session:
        before = rows(session)
    assert run(db, now)["reduced"] == 0
    with db.reading() as session:
        assert rows(session) == before
    assert run(db, later + timedelta(days=31))["reduced"] == 1


def test_after_thirteen_months_evidence_is_gone_and_sums_stay(db: Database, ids: list[int]) -> None:
    with db.reading() as session:
        before = sums(session)
    assert run(db, datetime(2027, 12, 22, 8, 59, tzinfo=UTC))["deleted"] == 0
    assert run(db, datetime(2027, 12, 22, 9, 1, tzinfo=UTC))["deleted"] == 20
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(Measured).count() == 0
        assert sums(session) == before
    assert set(run(db, datetime(2028, 1, 1, tzinfo=UTC)).values()) == {0}


class Killed(BaseException):
    """As a kill at this moment: whatever wasn't committed is gone."""


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
    assert job.now(stop)["reduced"] < 10
    assert run(db, now)["reduced"] > 0


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
    assert run(db, SENT + timedelta(days=201))["reduced"] == 1


def test_an_open_that_is_counted_late_is_reduced_as_well(db: Database, ids: list[int]) -> None:
    """A machine was away for a month with its hits on disk."""
    now = OPENED + timedelta(days=31)
    run(db, now)
    count(db, [fetch(ids[0], OPENED)._replace(kind=OpenKind.PROXIED)])
    assert run(db, now + timedelta(days=1))["reduced"] == 1


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
    monkeypatch.setattr(retention, "_PEOPLE_AT_ONCE", 3)
    with db.transaction() as session:
        session.query(Recipient).update({"apple_seen_on": date(2026, 11, 22)})
    assert run(db, datetime(2027, 1, 21, 23, tzinfo=UTC))["apple"] == 0
    assert run(db, datetime(2027, 1, 22, 1, tzinfo=UTC))["apple"] == 10
    with db.reading() as session:
        assert {one.apple_seen_on for one in session.query(Recipient)} == {None}


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
    assert (job.tonight() or {})["reduced"] == 10
    assert job.tonight() is None
    clock[0] += timedelta(days=1)
    assert job.tonight() is not None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2027, 12, 22, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)),
        (datetime(2027, 3, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2027, 1, 5, tzinfo=UTC), datetime(2025, 12, 5, tzinfo=UTC)),
    ],
)
def test_thirteen_months_are_months_of_the_calendar(now: datetime, expected: datetime) -> None:
    assert months_before(now, 13) == expected
