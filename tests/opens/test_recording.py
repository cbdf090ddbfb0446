"""What a fetch of a pixel counts for, and for whom nothing is counted."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from mailprefs import opens, preferences
from mailprefs.db.database import Database, Gate
from mailprefs.opens import Fetch
from mailprefs.policy import Choice, Source
from mailprefs.preferences import Door
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.opens import (
    Loads,
    Measured,
    MeasuredTotal,
    Open,
    OpenRollup,
    SilencedDelivery,
)
from mailprefs.schema.people import Recipient
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LATER = SENT + timedelta(minutes=24, seconds=17)
HUMAN, MACHINE = OpenKind.DIRECT, OpenKind.PREFETCHED


def fetch(
    delivery_id: int,
    at: datetime = LATER,
    kind: OpenKind = HUMAN,
    client: Client = Client.OUTLOOK,
) -> Fetch:
    return Fetch(delivery_id >> 32, delivery_id, at, kind, Reason.BROWSER, RULESET, client)


def load(campaign_id: int, at: datetime = LATER, kind: OpenKind = HUMAN) -> Fetch:
    return Fetch(campaign_id, None, at, kind, Reason.BROWSER, RULESET, Client.GMAIL)


@pytest.fixture
def campaign(db: Database) -> Campaign:
    with db.transaction() as session:
        make_policy(session)
        return make_campaign(session, make_topic(session), first_hand_over_at=SENT)


@pytest.fixture
def sent(db: Database, campaign: Campaign) -> list[int]:
    """Three people got the campaign, each measured."""
    with db.transaction() as session:
        people = [make_recipient(session) for _ in range(3)]
        return make_sent(session, session.merge(campaign), people, at=SENT)


def record(db: Database, *fetches: Fetch) -> opens.Counted:
    with db.transaction(Gate.USING) as session:
        return opens.record(session, fetches)


def totals(session: Session) -> dict[int, int]:
    return {row.bits: row.n for row in session.query(MeasuredTotal) if row.n}


def rollup(session: Session) -> dict[tuple[str, str, int], int]:
    return {(row.dimension, row.value, row.kind): row.n for row in session.query(OpenRollup)}


def recount(session: Session, zone_hours: int = 0) -> dict[tuple[str, str, int], int]:
    """Count the rows of ``opens`` themselves, as the rollup should have it."""
    counts: dict[tuple[str, str, int], int] = {}
    for row in session.query(Open):
        local = row.first_seen_at + timedelta(hours=zone_hours)
        for key in (("hour", f"{local:%Y-%m-%dT%H}"), ("client", str(row.client))):
            counts[*key, row.kind] = counts.get((*key, row.kind), 0) + 1
    return counts


def test_an_open_is_kept_to_the_minute_with_the_policy_then_in_force(
    db: Database, sent: list[int]
) -> None:
    assert record(db, fetch(sent[0])) == (1, 0)
    with db.reading() as session:
        row = session.query(Open).one()
        assert row.delivery_id == sent[0]
        assert row.first_seen_at == datetime(2026, 11, 22, 9, 24, tzinfo=UTC)
        assert row.policy_version_id == 1
        assert (row.kind, row.client, row.country) == (HUMAN, Client.OUTLOOK, None)
        assert rollup(session) == {
            ("hour", "2026-11-22T09", HUMAN): 1,
            ("client", str(int(Client.OUTLOOK)), HUMAN): 1,
        }


def test_five_hundred_fetches_of_one_copy_are_one_open(db: Database, sent: list[int]) -> None:
    many = [fetch(sent[0], LATER + timedelta(seconds=n)) for n in range(500)]
    assert record(db, *many).opens == 1
    assert record(db, *many).opens == 0
    with db.reading() as session:
        assert totals(session) == {0: 2, opens.HUMAN | opens.FETCHED: 1}
        assert rollup(session) == recount(session)


def test_a_machine_sets_fetched_and_a_person_afterwards_human(
    db: Database, sent: list[int]
) -> None:
    record(db, fetch(sent[0], kind=MACHINE), fetch(sent[1], kind=OpenKind.PROXIED))
    with db.reading() as session:
        assert totals(session) == {0: 1, opens.FETCHED: 1, opens.HUMAN | opens.FETCHED: 1}
    assert record(db, fetch(sent[0])).opens == 1
    with db.reading() as session:
        assert totals(session) == {0: 1, opens.HUMAN | opens.FETCHED: 2}
        assert rollup(session) == recount(session)


def test_the_sums_are_those_of_the_rows_whatever_the_order(db: Database, sent: list[int]) -> None:
    kinds = (HUMAN, MACHINE, OpenKind.PROXIED, OpenKind.BOT, OpenKind.SCANNER)
    fetches = [
        fetch(one, LATER + timedelta(minutes=37 * n), kind, client)
        for n, one in enumerate(sent)
        for kind in kinds
        for client in (Client.GMAIL, Client.OUTLOOK)
    ]
    record(db, *fetches[::3])
    record(db, *fetches[::2])
    record(db, *reversed(fetches))
    with db.reading() as session:
        assert session.query(Open).count() == len(sent) * len(kinds)
        assert rollup(session) == recount(session)
        measured = [row.bits for row in session.query(Measured)]
        assert totals(session) == {bits: measured.count(bits) for bits in measured}


@pytest.mark.parametrize(
    ("seconds", "kind", "reason"),
    [
        (2, OpenKind.SCANNER, Reason.TOO_FAST),
        (-3, OpenKind.SCANNER, Reason.TOO_FAST),
        (5, HUMAN, Reason.BROWSER),
        (24 * 60, HUMAN, Reason.BROWSER),
    ],
)
def test_nobody_reads_within_five_seconds_of_the_hand_over(
    db: Database, sent: list[int], seconds: int, kind: OpenKind, reason: Reason
) -> None:
    record(db, fetch(sent[0], SENT + timedelta(seconds=seconds)))
    with db.reading() as session:
        row = session.query(Open).one()
        assert (row.kind, row.reason) == (kind, reason)


def test_a_person_after_the_scanner_counts_though_both_come_in_one_batch(
    db: Database, sent: list[int]
) -> None:
    fast = SENT + timedelta(seconds=1)
    record(db, fetch(sent[0], fast, OpenKind.PROXIED), fetch(sent[0], LATER, OpenKind.PROXIED))
    with db.reading() as session:
        assert {row.kind for row in session.query(Open)} == {OpenKind.SCANNER, OpenKind.PROXIED}
        assert totals(session) == {0: 2, opens.HUMAN | opens.FETCHED: 1}


def test_each_delivery_is_judged_by_its_own_hand_over(db: Database, campaign: Campaign) -> None:
    with db.transaction() as session:
        attached = session.merge(campaign)
        early = make_sent(session, attached, [make_recipient(session)], at=SENT)
        late = make_sent(session, attached, [make_recipient(session)], at=LATER)
    soon_after = LATER + timedelta(seconds=1)
    record(db, fetch(early[0], soon_after), fetch(late[0], soon_after))
    with db.reading() as session:
        assert {row.delivery_id: row.kind for row in session.query(Open)} == {
            early[0]: HUMAN,
            late[0]: OpenKind.SCANNER,
        }


@pytest.mark.parametrize("before", [Choice.UNKNOWN, Choice.GRANTED])
def test_whoever_said_no_since_the_mail_leaves_no_trace(
    db: Database, sent: list[int], before: Choice
) -> None:
    """A no deletes what says that a delivery is measured, in the transaction that makes it so."""
    with db.transaction() as session:
        session.query(Recipient).update({"open_tracking": before})
    with db.transaction(Gate.TAKING) as session:
        for person in session.query(Recipient).all():
            door = Door(Source.PREFERENCES, "button")
            preferences.set_tracking(session, person.id, door, granted=False, now=LATER)
    assert record(db, fetch(sent[0])) == (0, 0)
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(OpenRollup).count() == 0


@pytest.mark.parametrize("choice", [Choice.REFUSED, Choice.WITHDRAWN, Choice.OBJECTED])
def test_whose_choice_is_a_no_leaves_no_trace_whatever_else_is_on_file(
    db: Database, sent: list[int], choice: Choice
) -> None:
    with db.transaction() as session:
        session.query(Recipient).update({"open_tracking": choice})
    assert record(db, fetch(sent[0])) == (0, 0)
    assert_nothing_recorded(db)


def test_an_erased_person_leaves_no_trace(db: Database, sent: list[int]) -> None:
    with db.transaction() as session:
        session.query(Recipient).delete()
    assert record(db, fetch(sent[0])) == (0, 0)
    assert_nothing_recorded(db)


def test_a_silenced_delivery_leaves_no_trace_whatever_is_chosen_later(
    db: Database, sent: list[int]
) -> None:
    with db.transaction() as session:
        session.query(Recipient).update({"open_tracking": Choice.GRANTED})
        session.add(SilencedDelivery(delivery_id=sent[0]))
    assert record(db, fetch(sent[0])) == (0, 0)
    assert_nothing_recorded(db)


def test_copies_without_a_measured_row_leave_no_trace(db: Database, campaign: Campaign) -> None:
    """Sent with mode aggregate or off, made up, or of a person who was erased."""
    with db.transaction() as session:
        people = [make_recipient(session) for _ in range(3)]
        ids = make_sent(session, session.merge(campaign), people, modes="aio", at=SENT)
        session.query(Measured).delete()
        session.query(MeasuredTotal).delete()
    assert record(db, *map(fetch, [*ids, (campaign.id << 32) + 999, (77 << 32) + 1])) == (0, 0)
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert rollup(session) == {}


@pytest.mark.parametrize(
    ("closed_at", "at", "expected"),
    [
        (None, SENT + timedelta(days=89, hours=23), 1),
        (None, SENT + timedelta(days=90), 0),
        (SENT + timedelta(days=10), SENT + timedelta(days=11), 0),
    ],
)
def test_a_closed_campaign_counts_nothing_more(
    db: Database, sent: list[int], closed_at: datetime | None, at: datetime, expected: int
) -> None:
    with db.transaction() as session:
        session.query(Campaign).update({"closed_at": closed_at})
    assert record(db, fetch(sent[0], at), load(sent[0] >> 32, at)) == (expected, expected)


def test_hours_and_days_are_those_of_the_campaigns_zone(
    db: Database, campaign: Campaign, sent: list[int]
) -> None:
    with db.transaction() as session:
        session.query(Campaign).update({"report_zone": "Asia/Tokyo"})
    at = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
    record(db, fetch(sent[0], at), load(campaign.id, at))
    with db.reading() as session:
        assert rollup(session) == recount(session, zone_hours=9)
        assert ("hour", "2026-11-23T01", HUMAN) in rollup(session)
        assert session.query(Loads).one().day == date(2026, 11, 23)


def test_loads_are_counted_each_time_and_name_nobody(db: Database, campaign: Campaign) -> None:
    fetches = [load(campaign.id)] * 3 + [load(campaign.id, kind=MACHINE), load(999)]
    assert record(db, *fetches) == (0, 4)
    assert record(db, load(campaign.id)) == (0, 1)
    with db.reading() as session:
        assert {row.kind: row.n for row in session.query(Loads)} == {HUMAN: 4, MACHINE: 1}
        assert session.query(Open).count() == 0


def test_a_delivery_moves_the_same_totals_once(db: Database, sent: list[int]) -> None:
    record(db, fetch(sent[0]))
    with db.transaction() as session:
        assert opens.delivered(session, [*sent[:2], 5 << 32]) == 2
        assert opens.delivered(session, sent[:2]) == 0
    with db.reading() as session:
        seen = opens.DELIVERED | opens.HUMAN | opens.FETCHED
        assert totals(session) == {0: 1, opens.DELIVERED: 1, seen: 1}


def assert_nothing_recorded(db: Database) -> None:
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(OpenRollup).count() == 0
        assert totals(session) == {0: 3}
