"""Erasing: what the marks ask for is done in every table, for one person and for nobody else."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Float,
    Integer,
    LargeBinary,
    Table,
    insert,
    select,
)
from sqlalchemy.orm import Session

from mailprefs import consent, privacy, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.consent import Entry
from mailprefs.db.database import Database, Gate
from mailprefs.policy import Purpose, Source, SuppressionReason
from mailprefs.privacy import Asked
from mailprefs.schema.base import Erasure, UtcDateTime
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.people import Recipient
from mailprefs.schema.tables import metadata
from tests.factories import (
    HASHER,
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
)

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
ASKED = Asked(Source.STAFF, CONSOLE, HASHER)
SENT = "ada@example.org", "bo@example.org"


def personal_tables() -> list[Table]:
    """List the tables of which erasure changes anything."""
    return [
        table
        for table in metadata.sorted_tables
        if any(one.info["mark"].erasure is not Erasure.KEEP for one in table.columns)
    ]


def value(one: Column[Any], number: int) -> object:
    """Give something that fits a column."""
    kinds: list[tuple[type, object]] = [
        (UtcDateTime, NOW),
        (Date, date(2027, 3, 1)),
        (JSON, {"of": number}),
        (LargeBinary, bytes([number]) * 16),
        (Boolean, False),
        (Integer, number),
        (Float, 1.0),
    ]
    for of, sample in kinds:
        if isinstance(one.type, of):
            return sample
    words = getattr(one.type, "_enum_class", None) or getattr(one.type, "enum_class", None)
    if words is not None:
        return next(iter(words))
    return f"t{number}"[: getattr(one.type, "length", None) or 64]


class People:
    """Two people, each with a row in every table that knows people."""

    def __init__(self, session: Session) -> None:
        make_policy(session)
        topic = make_topic(session, "newsletter")
        self.topic_id = topic.id
        words = consent.wording(session, Purpose.PROMOTIONAL_EMAIL, "en", "Yes, please.")
        self.wording_id = words.id
        self.ada, self.bo = (make_recipient(session, address) for address in SENT)
        campaign = make_campaign(session, topic)
        self.deliveries = dict(
            zip(
                (self.ada.id, self.bo.id),
                make_sent(session, campaign, [self.ada, self.bo]),
                strict=True,
            )
        )
        for person in (self.ada, self.bo):
            self._fill(session, person)

    def _fill(self, session: Session, person: Recipient) -> None:
        for table in personal_tables():
            if self.rows(session, table, person):
                continue
            if table.name == "consent_entries":
                entry = Entry(
                    person.id, "promotional_email", None, None, "granted", Source.PAGE, 1, "button",
                    NOW,
                )  # fmt: skip
                consent.append(session, [entry], now=NOW)
                continue
            row = {
                one.name: self._cell(one, person)
                for one in table.columns
                if one.name != "id" or table.name == "deliveries"
            }
            session.execute(table.insert().values(row))

    def _cell(self, one: Column[Any], person: Recipient) -> object:
        known = {
            "recipient_id": person.id,
            "delivery_id": self.deliveries[person.id],
            "address_hash": person.address_hash,
            "topic_id": self.topic_id,
            "policy_version_id": 1,
            "wording_id": self.wording_id,
            "staff_id": None,
            "handled_by": None,
            "sender_hash": person.address_hash,
        }
        return known[one.name] if one.name in known else value(one, person.id)

    def rows(self, session: Session, table: Table, person: Recipient) -> int:
        """Count the rows of a person, by whatever says whose they are."""
        keys = {
            "recipient_id": person.id,
            "delivery_id": self.deliveries[person.id],
            "address_hash": person.address_hash,
        }
        if table.name == "recipients":
            return len(session.execute(select(table.c.id).where(table.c.id == person.id)).all())
        ways = [name for name in keys if name in table.c]
        return max(
            len(session.execute(select(table.c[name]).where(table.c[name] == keys[name])).all())
            for name in ways
        )


@pytest.fixture
def people(db: Database) -> People:
    with db.transaction() as session:
        return People(session)


def erase(db: Database, recipient_id: int) -> privacy.Proof:
    with db.transaction(Gate.TAKING) as session:
        done = privacy.erase(session, recipient_id, ASKED, now=NOW)
        assert done is not None and done.id is not None
        return privacy.by_id(session, done.id)


def test_every_table_that_knows_people_is_filled_for_this_test(
    db: Database, people: People
) -> None:
    with db.reading() as session:
        for table in personal_tables():
            assert people.rows(session, table, people.ada), table.name
    assert len(personal_tables()) >= 14


def test_nothing_of_the_person_is_left_and_everything_of_the_other(
    db: Database, people: People
) -> None:
    with db.reading() as session:
        before = {one.name: people.rows(session, one, people.bo) for one in personal_tables()}
    proof = erase(db, people.ada.id)
    with db.reading() as session:
        for table in personal_tables():
            left = people.rows(session, table, people.ada)
            # The hash that keeps the address out, and nothing else.
            assert left == (table.name == "suppressions"), table.name
            assert people.rows(session, table, people.bo) == before[table.name], table.name
        (kept,) = suppressions.of(session, people.ada.address_hash)
        assert (kept.reason, kept.delivery_id) == (SuppressionReason.ERASED, None)
    expected = {one.name for one in personal_tables()} - {"suppressions"}
    # What is silenced is deleted before the walk, which then finds nothing there.
    silenced = {"opens", "undecided_opens", "measured"}
    assert expected - silenced <= set(proof.removed) <= expected | {"suppressions"}


def test_a_delivery_stays_as_one_of_nobody(db: Database, people: People) -> None:
    erase(db, people.ada.id)
    with db.reading() as session:
        left = session.get_one(Delivery, people.deliveries[people.ada.id])
        assert (left.recipient_id, left.idempotency_key) == (None, None)


def test_the_ledger_verifies_as_before(db: Database, people: People) -> None:
    with db.reading() as session:
        head = consent.head(session)
    erase(db, people.ada.id)
    with db.reading() as session:
        assert consent.verify(session) == head.seq
        assert consent.history(session, people.ada.id) == []


def test_erasing_again_finds_nobody_and_changes_nothing(db: Database, people: People) -> None:
    first = erase(db, people.ada.id)
    with db.transaction(Gate.TAKING) as session:
        assert privacy.erase(session, people.ada.id, ASKED, now=NOW) is None
        assert privacy.erase_address(session, SENT[0].upper(), ASKED, now=NOW) is None
        again = privacy.of(session, HASHER, SENT[0])
    assert again == first


def test_an_address_that_nobody_has_is_kept_out_all_the_same(db: Database) -> None:
    with db.transaction(Gate.TAKING) as session:
        assert privacy.erase_address(session, SENT[0], ASKED, now=NOW) is not None
        found = privacy.of(session, HASHER, SENT[0])
        reasons = [one.reason for one in suppressions.of(session, HASHER.hash(SENT[0]))]
    assert found is not None and found.removed == {}
    assert reasons == [SuppressionReason.ERASED]


def test_it_takes_the_gate(db: Database, people: People) -> None:
    with db.transaction() as session, pytest.raises(RuntimeError, match="TAKING"):
        privacy.erase(session, people.ada.id, ASKED, now=NOW)


def test_an_address_that_is_nobodys_takes_nothing_of_nobodys_along(
    db: Database, people: People
) -> None:
    """A row without a person is not one of somebody unknown."""
    digest = b"of nobody at all"
    with db.transaction() as session:
        row = {
            one.name: value(one, 1)
            for one in metadata.tables["inbound_mails"].columns
            if one.name != "id"
        }
        nobodys = {"recipient_id": None, "sender_hash": None, "handled_by": None, "digest": digest}
        session.execute(insert(InboundRow).values(row | nobodys))
    erase(db, people.ada.id)
    with db.transaction(Gate.TAKING) as session:
        done = privacy.erase_address(session, "cy@example.org", ASKED, now=NOW)
        assert done is not None and done.id is not None
        assert privacy.by_id(session, done.id).removed == {}
        assert session.query(InboundRow).filter_by(digest=digest).count() == 1


def test_what_an_unknown_person_wrote_to_us_goes_with_their_address(db: Database) -> None:
    with db.transaction(Gate.TAKING) as session:
        row = {
            one.name: value(one, 1)
            for one in metadata.tables["inbound_mails"].columns
            if one.name != "id"
        }
        theirs = {"recipient_id": None, "sender_hash": HASHER.hash(SENT[0]), "handled_by": None}
        session.execute(insert(InboundRow).values(row | theirs | {"forward_id": 77}))
        session.execute(insert(SingleValues).values(delivery_id=77, values={"body": "It is me."}))
        assert privacy.erase_address(session, SENT[0], ASKED, now=NOW) is not None
        assert session.query(InboundRow).count() == session.query(SingleValues).count() == 0
