"""Erasing: what the marks ask for is done in every table, for one person and for nobody else."""

import pytest
from sqlalchemy import (
    insert,
)

from mailprefs import consent, privacy, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.policy import Source, SuppressionReason
from mailprefs.privacy import Asked
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.tables import metadata
from tests.factories import (
    HASHER,
)
from tests.privacy.people import NOW, SENT, People, personal_tables, value

ASKED = Asked(Source.STAFF, CONSOLE, HASHER)


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
