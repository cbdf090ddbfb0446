"""What is told late: when a message was delivered, after somebody has opened it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from mailprefs import opens
from mailprefs.db.database import Database, Gate
from mailprefs.opens import DELIVERED, FETCHED, HUMAN, Fetch
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import LOST, Batch, Delivery, HandOver
from mailprefs.schema.events import MailboxFact
from mailprefs.schema.opens import Measured, MeasuredTotal, Open, OpenRollup, UndecidedOpen
from mailprefs.useragents import RULESET, Client, OpenKind, Reason
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

SENT = datetime(2026, 11, 22, 9, 59, tzinfo=UTC)
DIRECT, PROXIED, SCANNER = OpenKind.DIRECT, OpenKind.PROXIED, OpenKind.SCANNER
Cells = dict[tuple[str, str, int], int]


@pytest.fixture
def sent(db: Database) -> int:
    """One person got a campaign and is measured."""
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session), first_hand_over_at=SENT)
        return make_sent(session, campaign, [make_recipient(session)], at=SENT)[0]


def at(seconds: float) -> datetime:
    return SENT + timedelta(seconds=seconds)


def opened(
    db: Database,
    delivery_id: int,
    seconds: float,
    kind: OpenKind = DIRECT,
    place: str | None = None,
) -> None:
    fetch = Fetch(
        delivery_id >> 32,
        delivery_id,
        at(seconds),
        kind,
        Reason.MAIL_CLIENT,
        RULESET,
        Client.OUTLOOK,
        place,
    )
    with db.transaction(Gate.USING) as session:
        opens.record(session, [fetch])


def delivered(db: Database, delivery_id: int, seconds: float) -> None:
    with db.transaction() as session:
        fact = MailboxFact(delivery_id=delivery_id, event="delivered", occurred_at=at(seconds))
        session.merge(fact)
        session.flush()
        opens.delivered(session, [delivery_id])


def end(db: Database, seconds: float | None, **how: str) -> None:
    with db.transaction() as session:
        ended_at = None if seconds is None else at(seconds)
        session.execute(update(HandOver).values(ended_at=ended_at, **how))


def handed_over_again(db: Database) -> None:
    """Make a request of which nobody knew again, an hour later; the first had arrived."""
    with db.transaction() as session:
        first = session.query(HandOver).one()
        again = HandOver(
            batch_id=first.batch_id,
            campaign_id=first.campaign_id,
            message_class=first.message_class,
            vendor="test",
            n=1,
            fields="address",
            modes="i",
            owner="test",
            claimed_at=at(3_600),
            ended_at=at(3_601),
            outcome="accepted",
            after_id=first.id,
        )
        session.add(again)
        session.flush()
        session.query(Batch).update({"hand_over_id": again.id})


def rows(session: Session) -> dict[OpenKind, tuple[Reason, datetime]]:
    return {
        OpenKind(row.kind): (Reason(row.reason), row.first_seen_at) for row in session.query(Open)
    }


def cells(session: Session) -> Cells:
    return {
        (row.dimension, row.value, row.kind): row.n for row in session.query(OpenRollup) if row.n
    }


def totals(session: Session) -> dict[int, int]:
    return {row.bits: row.n for row in session.query(MeasuredTotal) if row.n}


@pytest.mark.parametrize("kind", [DIRECT, PROXIED])
def test_an_open_before_the_delivery_was_a_machines_after_all(
    db: Database, sent: int, kind: OpenKind
) -> None:
    opened(db, sent, 20, kind, "DE")
    with db.reading() as session:
        assert rows(session).keys() == {kind}
        assert totals(session) == {HUMAN | FETCHED: 1}
    delivered(db, sent, 45)
    with db.reading() as session:
        assert rows(session) == {SCANNER: (Reason.TOO_FAST, at(0))}
        assert cells(session) == {
            ("hour", "2026-11-22T09", SCANNER): 1,
            ("client", str(int(Client.UNKNOWN)), SCANNER): 1,
        }
        assert totals(session) == {DELIVERED: 1}
        assert session.query(Measured).one().bits == DELIVERED


def test_a_person_after_the_machine_still_counts(db: Database, sent: int) -> None:
    """Though the second look was no new row when it came, and in another hour."""
    opened(db, sent, 20)
    opened(db, sent, 90, place="AT")
    opened(db, sent, 600, place="CH")
    delivered(db, sent, 45)
    with db.reading() as session:
        assert rows(session) == {
            SCANNER: (Reason.TOO_FAST, at(0)),
            DIRECT: (Reason.MAIL_CLIENT, at(60)),
        }
        assert cells(session) == {
            ("hour", "2026-11-22T09", SCANNER): 1,
            ("client", str(int(Client.UNKNOWN)), SCANNER): 1,
            ("hour", "2026-11-22T10", DIRECT): 1,
            ("client", str(int(Client.OUTLOOK)), DIRECT): 1,
            ("country", "AT", DIRECT): 1,
        }
        assert totals(session) == {DELIVERED | HUMAN | FETCHED: 1}


def test_an_open_after_the_delivery_stands_and_nothing_is_kept_of_it(
    db: Database, sent: int
) -> None:
    opened(db, sent, 60)
    with db.reading() as session:
        assert session.query(UndecidedOpen).one().at == at(60)
        before = cells(session)
    delivered(db, sent, 45)
    with db.reading() as session:
        assert rows(session) == {DIRECT: (Reason.MAIL_CLIENT, at(60))}
        assert cells(session) == before
        assert session.query(UndecidedOpen).count() == 0


def test_what_is_known_at_once_is_judged_at_once(db: Database, sent: int) -> None:
    delivered(db, sent, 45)
    opened(db, sent, 20)
    opened(db, sent, 44.9, PROXIED)
    opened(db, sent, 45, PROXIED)
    with db.reading() as session:
        assert rows(session) == {
            SCANNER: (Reason.TOO_FAST, at(0)),
            PROXIED: (Reason.MAIL_CLIENT, at(0)),
        }
        assert session.query(UndecidedOpen).count() == 0
        assert totals(session) == {DELIVERED | HUMAN | FETCHED: 1}


def test_while_the_request_runs_the_five_seconds_begin_with_it(db: Database, sent: int) -> None:
    """Later fetches count as what they look like, and are looked at again when more is known."""
    end(db, None)
    opened(db, sent, 3)
    opened(db, sent, 4, PROXIED)
    with db.reading() as session:
        assert rows(session) == {
            SCANNER: (Reason.TOO_FAST, at(0)),
            PROXIED: (Reason.MAIL_CLIENT, at(0)),
        }
        assert session.query(UndecidedOpen).one().at == at(4)
    delivered(db, sent, 8)
    with db.reading() as session:
        assert rows(session) == {SCANNER: (Reason.TOO_FAST, at(0))}


@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_lost_worker_makes_no_machine_of_whoever_reads_before_that_is_noticed(
    db: Database,
    sent: int,
    is_told_first: bool,  # noqa: FBT001 - a table
) -> None:
    """The vendor had taken and delivered the message; the lease ran out minutes later."""
    end(db, 180, outcome="unclear", reason=LOST)
    if is_told_first:
        delivered(db, sent, 10)
    opened(db, sent, 12, PROXIED)
    opened(db, sent, 70)
    if not is_told_first:
        delivered(db, sent, 10)
    with db.reading() as session:
        assert rows(session) == {
            SCANNER: (Reason.TOO_FAST, at(0)),
            DIRECT: (Reason.MAIL_CLIENT, at(60)),
        }
        assert session.query(UndecidedOpen).count() == 0
        assert totals(session) == {DELIVERED | HUMAN | FETCHED: 1}


def test_a_hand_over_ends_no_later_than_the_message_was_delivered(db: Database, sent: int) -> None:
    """What came of it was noted late, by an event of it or by a slow answer."""
    end(db, 90)
    delivered(db, sent, 10)
    opened(db, sent, 14, PROXIED)
    opened(db, sent, 15)
    with db.reading() as session:
        assert rows(session).keys() == {SCANNER, DIRECT}


def test_a_first_copys_delivery_says_nothing_of_the_second_request(db: Database, sent: int) -> None:
    handed_over_again(db)
    delivered(db, sent, 2)
    opened(db, sent, 3_603, PROXIED)
    opened(db, sent, 3_607)
    with db.reading() as session:
        assert rows(session).keys() == {SCANNER, DIRECT}


def test_a_first_copy_is_judged_by_its_own_request(db: Database, sent: int) -> None:
    handed_over_again(db)
    opened(db, sent, 3, PROXIED)
    opened(db, sent, 1_800)
    with db.reading() as session:
        assert rows(session).keys() == {SCANNER, DIRECT}


def test_a_closed_campaigns_sums_move_no_more(db: Database, sent: int) -> None:
    opened(db, sent, 20)
    with db.transaction() as session:
        session.query(Campaign).update({"closed_at": at(600)})
    with db.reading() as session:
        before = cells(session)
    delivered(db, sent, 45)
    with db.reading() as session:
        assert rows(session).keys() == {DIRECT}
        assert cells(session) == before
        assert totals(session) == {DELIVERED | HUMAN | FETCHED: 1}


def test_sums_stay_when_the_row_is_gone_already(db: Database, sent: int) -> None:
    opened(db, sent, 20)
    with db.reading() as session:
        before = cells(session)
    with db.transaction(Gate.TAKING) as session:
        person = session.query(Delivery.recipient_id).scalar()
        opens.silence(session, person)
    delivered(db, sent, 45)
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(UndecidedOpen).count() == 0
        assert cells(session) == before
        assert totals(session) == {HUMAN | FETCHED: 1}


def test_a_delivery_that_is_never_told_keeps_no_fetch_for_ever(db: Database, sent: int) -> None:
    """The vendor gives up after three days: later fetches can't come before the delivery."""
    opened(db, sent, 3 * 86_400)
    opened(db, sent, 3 * 86_400 + 1)
    with db.reading() as session:
        assert session.query(UndecidedOpen).count() == 0
        assert rows(session).keys() == {DIRECT}
