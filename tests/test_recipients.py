"""Finding a person."""

import pytest

from mailprefs import recipients
from mailprefs.addresses import AddressHasher
from mailprefs.db.database import Database
from mailprefs.errors import BadAddress
from tests.factories import HASHER, make_recipient


@pytest.mark.parametrize(
    "written", ["Ann.Lee@Example.COM", "  ann.lee@example.com\n", "ANN.LEE@EXAMPLE.COM"]
)
def test_a_person_is_found_however_the_address_is_written(db: Database, written: str) -> None:
    with db.transaction() as session:
        ann = make_recipient(session, "ann.lee@example.com")
    with db.reading() as session:
        found = recipients.find(session, HASHER, written)
    assert found is not None
    assert found.id == ann.id


@pytest.mark.parametrize(
    "other", ["ann+news@example.com", "a.nn@example.com", "ann@example.org", "%@example.com"]
)
def test_a_similar_address_is_somebody_else(db: Database, other: str) -> None:
    with db.transaction() as session:
        make_recipient(session, "ann@example.com")
    with db.reading() as session:
        assert recipients.find(session, HASHER, other) is None


def test_without_the_key_nobody_is_found(db: Database) -> None:
    with db.transaction() as session:
        make_recipient(session, "ann@example.com")
    with db.reading() as session:
        assert recipients.find(session, AddressHasher(b"k" * 32, 1), "ann@example.com") is None


def test_a_text_that_is_no_address_is_refused_with_a_reason(db: Database) -> None:
    with db.reading() as session, pytest.raises(BadAddress, match="@-sign"):
        recipients.find(session, HASHER, "ann")


def test_a_number_is_never_used_again(db: Database) -> None:
    with db.transaction() as session:
        gone = make_recipient(session)
        session.delete(gone)
        session.flush()
        after = make_recipient(session)
        assert after.id > gone.id
        assert recipients.by_id(session, gone.id) is None
        assert recipients.by_id(session, after.id) is after
