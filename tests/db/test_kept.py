"""Kept statements: the same values in and out as SQLAlchemy's own way, on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import StatementError

from mailprefs.db.database import Database
from mailprefs.db.kept import Kept
from mailprefs.policy import AddressOrigin, Choice
from mailprefs.schema.deliveries import VendorPace
from mailprefs.schema.people import Recipient
from tests.factories import make_recipient

AT = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
PACES = VendorPace.metadata.tables[VendorPace.__tablename__]
PEOPLE = Recipient.metadata.tables[Recipient.__tablename__]
WAITS = Kept(select(PACES.c.waits, PACES.c.next_turn_at).where(PACES.c.id == bindparam("row")))
WAIT = Kept(
    insert(PACES).values(
        id=1,
        waits=bindparam("waits", type_=PACES.c.waits.type),
        next_turn_at=bindparam("at", type_=PACES.c.next_turn_at.type),
    )
)
CHOOSE = Kept(
    update(PEOPLE)
    .where(PEOPLE.c.id == bindparam("whose"), PEOPLE.c.open_tracking == Choice.UNKNOWN)
    .values(
        open_tracking=bindparam("choice", type_=PEOPLE.c.open_tracking.type),
        address_origin=AddressOrigin.CONFIRMED,
        created_at=AT,
    )
    .returning(PEOPLE.c.open_tracking, PEOPLE.c.created_at, PEOPLE.c.apple_seen_on)
)


def test_times_and_numbers_come_back_as_they_went_in(db: Database) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    with db.transaction() as session:
        assert WAIT.change(session, {"waits": 3, "at": elsewhere}) == 1
        assert WAITS.row(session, {"row": 1}) == (3, AT)
        assert session.execute(select(PACES.c.waits, PACES.c.next_turn_at)).one() == (3, AT)


def test_words_and_what_always_stands_in_a_statement_are_stored_as_sqlalchemy_stores_them(
    db: Database,
) -> None:
    with db.transaction() as session:
        whose = make_recipient(session, open_tracking=Choice.UNKNOWN).id
        values = {"whose": whose, "choice": Choice.GRANTED}
        assert CHOOSE.rows(session, values) == [(Choice.GRANTED, AT, None)]
        assert CHOOSE.change(session, values) == 0, "it was unknown no longer"
    with db.reading() as session:
        person = session.get_one(Recipient, whose)
    assert person.open_tracking is Choice.GRANTED
    assert person.address_origin is AddressOrigin.CONFIRMED
    assert person.created_at == AT


def test_nothing_found_is_none_and_no_rows(db: Database) -> None:
    with db.reading() as session:
        assert WAITS.row(session, {"row": 2}) is None
        assert list(WAITS.rows(session, {"row": 2})) == []


def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    refused = pytest.raises((ValueError, StatementError), match="without a zone")
    with db.transaction() as session, refused:
        WAIT.change(session, {"waits": 0, "at": AT.replace(tzinfo=None)})


def test_a_missing_value_is_refused_and_never_stored_as_nothing(db: Database) -> None:
    with db.transaction() as session, pytest.raises((KeyError, StatementError)):
        WAIT.change(session, {"at": AT})
