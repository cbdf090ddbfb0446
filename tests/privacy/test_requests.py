"""Asking for one's data or to be erased: one mail a day, to the mailbox on file, good once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from mailprefs.db.database import Database
from mailprefs.errors import NotFound
from mailprefs.links import Links
from mailprefs.policy import DataRequest, MessageClass
from mailprefs.privacy import requests
from mailprefs.schema.deliveries import SingleValues
from mailprefs.schema.requests import DataRequestRow
from tests.factories import make_policy, make_recipient, make_topic

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LINKS = Links([b"0123456789abcdef" * 2])
BASE = "https://mail.example.com"
EXPORT = DataRequest.EXPORT
NEARLY = requests.LINK_HOLDS - timedelta(seconds=1)


@pytest.fixture
def ada(db: Database) -> int:
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        return make_recipient(session, "ada@example.org").id


def ask(db: Database, recipient_id: int, *, now: datetime = NOW) -> bytes | None:
    """Ask for an export; give the random number of the link in the mail, if one is queued."""
    with db.transaction() as session:
        made = requests.ask(session, LINKS, BASE, recipient_id, EXPORT, now=now)
        if made is None:
            return None
        url = session.get_one(SingleValues, made).values["request_url"]
    return LINKS.read_request(EXPORT, url.removeprefix(f"{BASE}/d/"))


def redeem(db: Database, nonce: bytes, *, now: datetime = NOW) -> int | None:
    with db.transaction() as session:
        return requests.redeem(session, EXPORT, nonce, now=now)


def test_a_link_is_good_once_and_looking_at_it_uses_nothing_up(db: Database, ada: int) -> None:
    nonce = ask(db, ada)
    assert nonce is not None
    for _ in range(3):
        with db.reading() as session:
            assert requests.whose(session, EXPORT, nonce, now=NOW + NEARLY) == ada
    assert redeem(db, nonce, now=NOW + NEARLY) == ada
    assert redeem(db, nonce, now=NOW + NEARLY) is None
    with db.reading() as session:
        assert requests.whose(session, EXPORT, nonce, now=NOW + NEARLY) is None
        kept = session.scalars(select(DataRequestRow)).one()
        assert (kept.asked_at, kept.used_at) == (NOW, NOW + NEARLY)
        assert nonce not in bytes(kept.nonce_hash)


def test_a_link_ends_after_three_days(db: Database, ada: int) -> None:
    nonce = ask(db, ada)
    assert nonce is not None
    assert redeem(db, nonce, now=NOW + requests.LINK_HOLDS) is None


def test_a_link_for_one_thing_does_nothing_else(db: Database, ada: int) -> None:
    nonce = ask(db, ada)
    assert nonce is not None
    with db.transaction() as session:
        assert requests.redeem(session, DataRequest.ERASE, nonce, now=NOW) is None
        assert requests.redeem(session, EXPORT, bytes(16), now=NOW) is None
    assert redeem(db, nonce) == ada


def test_one_mail_a_day_goes_out_however_often_somebody_asks(db: Database, ada: int) -> None:
    asked = [ask(db, ada, now=NOW + timedelta(hours=hour)) for hour in (0, 1, 23, 25)]
    assert [one is not None for one in asked] == [True, False, False, True]
    with db.reading() as session:
        assert len(session.scalars(select(DataRequestRow)).all()) == 2


def test_nobody_known_is_asked_for_nothing(db: Database, ada: int) -> None:
    with pytest.raises(NotFound):
        ask(db, ada + 1)
    with db.reading() as session:
        assert session.scalars(select(DataRequestRow)).all() == []
