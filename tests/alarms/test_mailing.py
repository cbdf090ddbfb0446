"""The operator's mail: one for all that is new, through the ledger, and never about a person."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from mailprefs import audience
from mailprefs.db.database import Database
from mailprefs.deliveries import breaker, pace
from mailprefs.jobs.dispatch import Office, Worker
from mailprefs.links import Links
from mailprefs.policy import AddressOrigin, MessageClass, Role
from mailprefs.sandbox.records import Message
from mailprefs.sandbox.server import Sandbox
from mailprefs.schema.deliveries import Delivery, VendorPace
from mailprefs.schema.people import Recipient
from mailprefs.settings import Settings
from mailprefs.vendor.sendgrid import SendGrid
from tests.alarms.conftest import Guard, filling
from tests.factories import make_policy, make_recipient, make_staff, make_topic
from tests.sending import NOW, answer, take_one

OPERATOR = "ops@example.com"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def ready(db: Database) -> None:
    """Make what every single message needs."""
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)


@pytest.fixture
def operated(make_guard: Callable[..., Guard], ready: None) -> Guard:
    return make_guard(alarm_mail=OPERATOR)


def queued(db: Database) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


def carried(db: Database, settings: Settings) -> list[Message]:
    """Let a worker send what is queued to a sandbox; give what arrived there."""
    with Sandbox() as sandbox:
        vendor = SendGrid("SG.any", sandbox.url)
        links = Links((b"k" * 16 + b"0123456789abcdef",))
        worker = Worker(Office(db=db, vendor=vendor, links=links, settings=settings), "worker")
        while worker.send_next() is not None:
            pass
        vendor.close()
        return sandbox.messages


def test_an_alarm_reaches_the_operator_through_the_sandbox(
    db: Database, operated: Guard, settings: Settings
) -> None:
    operated.machine = filling()
    operated.look()
    (mail,) = carried(db, settings)
    assert mail.email == OPERATOR
    assert mail.message_class == "administrative"
    assert mail.subject == "An alarm at mailprefs"
    said = "The disk under the data directory on host-1 has 500 MB of 100 GB left."
    for part in (mail.text, mail.html):
        assert said in part
        assert "(since 22 Nov 2026, 09:31 UTC)" in part
        assert "https://mail.example.com/staff/alarms" in part
        assert "line_" not in part


def test_it_is_mailed_once_and_once_more_when_it_is_over(
    db: Database, operated: Guard, settings: Settings
) -> None:
    operated.machine = filling()
    operated.look()
    (first,) = carried(db, settings)
    for _ in range(3):
        operated.look()
    assert queued(db) == 1
    operated.machine = operated.machine._replace(disks=())
    operated.look()
    operated.look(after=20 * MINUTE)
    operated.look()
    assert queued(db) == 2
    (second,) = carried(db, settings)
    assert first.subject == "An alarm at mailprefs"
    assert second.subject == "An alarm at mailprefs is over"
    assert "(over since 22 Nov 2026, 09:35 UTC)" in second.text


def test_many_alarms_are_one_mail_in_a_quarter_of_an_hour(
    db: Database, operated: Guard, settings: Settings
) -> None:
    operated.machine = filling()
    operated.look()
    carried(db, settings)
    disk = filling().disks[0]
    operated.machine = filling()._replace(
        disks=tuple(disk._replace(holds=f"place {n}") for n in range(7))
    )
    for _ in range(10):
        operated.look()
    assert queued(db) == 1
    operated.look(after=10 * MINUTE)
    assert queued(db) == 2
    (second,) = carried(db, settings)
    assert second.subject == "7 new and 1 over alarms at mailprefs"
    assert second.text.count("The disk under") == 5
    assert "And 3 more." in second.text


def test_nothing_is_queued_while_all_sending_is_stopped(
    db: Database, operated: Guard, settings: Settings
) -> None:
    with db.transaction() as session:
        pace.stop(session, "No credits.")
    operated.look()
    assert queued(db) == 0
    with db.transaction() as session:
        pace.start(session)
    operated.look()
    operated.look(after=6 * MINUTE)
    (mail,) = carried(db, settings)
    assert "All sending is stopped: No credits. (over since" in mail.text


def test_after_an_outage_at_the_end_of_everything_the_mail_itself_is_the_next_try(
    db: Database, operated: Guard
) -> None:
    """Nothing else is left to send, so nothing else would ever find out that calls are answered."""
    long_ago = NOW - timedelta(days=365)
    with db.transaction() as session:
        pace.start(session)
        session.execute(update(VendorPace).values(unclear=3, opened_at=long_ago, probe_at=long_ago))
    operated.look()
    operated.look(after=10 * MINUTE)
    assert queued(db) == 1
    mail = take_one(db)
    assert (mail.picked.template, mail.is_probe) == ("alarm", True)
    answer(db, mail)
    with db.reading() as session:
        assert breaker.show(session).open_since is None


def test_without_an_address_the_admins_are_told(
    db: Database, make_guard: Callable[..., Guard], ready: None, settings: Settings
) -> None:
    guard = make_guard()
    guard.machine = filling()
    with db.transaction() as session:
        make_staff(session, Role.ADMIN, email="marta@example.com")
        make_staff(session, Role.SEND, email="sven@example.com")
        make_staff(session, Role.ADMIN, email="gone@example.com").active = False
    guard.look()
    assert [mail.email for mail in carried(db, settings)] == ["marta@example.com"]


def test_the_operators_address_gets_nothing_else(db: Database, operated: Guard) -> None:
    operated.machine = filling()
    operated.look()
    with db.reading() as session:
        (operator,) = session.query(Recipient)
        assert operator.address_origin is AddressOrigin.UNCONFIRMED
        notice = audience.Audience(1, MessageClass.ADMINISTRATIVE)
        assert session.scalars(audience.eligible(notice, NOW)).all() == []
        alarm = audience.Audience(1, MessageClass.ADMINISTRATIVE, "alarm")
        assert session.scalars(audience.eligible(alarm, NOW)).all() == [operator.id]


def test_an_operator_who_is_a_reader_stays_one(db: Database, operated: Guard) -> None:
    with db.transaction() as session:
        reader = make_recipient(session, OPERATOR)
    operated.machine = filling()
    operated.look()
    with db.reading() as session:
        (found,) = session.query(Recipient)
        assert (found.id, found.address_origin) == (reader.id, AddressOrigin.IMPORTED)


def test_without_a_topic_the_alarm_stands_and_the_log_says_what_is_missing(
    db: Database, make_guard: Callable[..., Guard], caplog: pytest.LogCaptureFixture
) -> None:
    guard = make_guard(alarm_mail=OPERATOR)
    guard.machine = filling()
    guard.look()
    assert len(guard.open_now()) == 1
    assert "mailprefs topic add account" in caplog.text
    assert OPERATOR not in caplog.text
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
    guard.look()
    assert queued(db) == 1
