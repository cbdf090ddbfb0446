"""A fresh link goes to the mailbox of whoever asked, and the page tells nobody who is known."""

import logging
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from mailprefs.db.database import Database
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, BatchState, Delivery
from mailprefs.schema.people import Topic
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader

PATH = "/fresh-link"


def queued(db: Database) -> list[int | None]:
    """Give to whom fresh links are on their way."""
    with db.reading() as session:
        rows = (
            session.query(Delivery.recipient_id)
            .join(Campaign, Campaign.id == Delivery.campaign_id)
            .join(Batch, Batch.first_id == Delivery.id)
            .where(Campaign.template == "fresh_link", Batch.state == BatchState.PENDING)
            .order_by(Delivery.id)
        )
        return [row.recipient_id for row in rows]


def test_the_form_asks_for_an_address_and_nothing_else(client: FlaskClient, db: Database) -> None:
    before = snapshot(db)
    page = client.get(PATH).text
    assert page.count("<input") == 1
    assert 'type="email"' in page
    assert snapshot(db) == before


def test_a_known_address_gets_one_message_however_it_is_written(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    assert client.post(PATH, data={"address": " Jane.Doe@EXAMPLE.com "}).status_code == 200
    assert queued(db) == [reader.id]


def test_known_and_unknown_addresses_get_the_same_answer(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    known = client.post(PATH, data={"address": reader.address})
    unknown = client.post(PATH, data={"address": "nobody@example.com"})
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert list(known.headers) == list(unknown.headers)
    assert reader.address not in known.text
    assert queued(db) == [reader.id]


def test_an_address_gets_one_message_an_hour_at_most(
    client: FlaskClient, db: Database, reader: Reader, clock: Clock
) -> None:
    """Any hour, not one of the clock's: 9:59 and 10:01 are one."""
    clock.now = clock.now.replace(minute=59)
    for minutes, messages in ((0, 1), (0, 1), (2, 1), (57, 1), (1, 2), (59, 2), (1, 3)):
        clock.now += timedelta(minutes=minutes)
        client.post(PATH, data={"address": reader.address})
        assert len(queued(db)) == messages


def test_the_21st_request_of_an_hour_is_told_to_wait_in_the_same_words(
    client: FlaskClient, reader: Reader
) -> None:
    for number in range(20):
        client.post(PATH, data={"address": f"nobody{number}@example.com"})
    known = client.post(PATH, data={"address": reader.address})
    unknown = client.post(PATH, data={"address": "nobody@example.com"})
    assert known.status_code == unknown.status_code == 429
    assert known.text == unknown.text
    elsewhere = client.post(
        PATH, data={"address": reader.address}, environ_base={"REMOTE_ADDR": "203.0.113.5"}
    )
    assert elsewhere.status_code == 200


def test_what_is_no_address_matches_nobody_and_is_never_echoed(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    for text in (
        "",
        "jane.doe",
        "%@example.com' OR 1=1 --",
        "_ane.doe@example.com%",
        "<svg onload=alert(1)>@example.com",
        "a@b@example.com",
        "x" * 5000,
    ):
        response = client.post(PATH, data={"address": text})
        assert response.status_code in {200, 400}
        assert "<svg" not in response.text
        assert not text or text not in response.text
    assert queued(db) == []


def test_wildcards_are_letters_like_others(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    client.post(PATH, data={"address": "%@example.com"})
    client.post(PATH, data={"address": "jane_doe@example.com"})
    assert queued(db) == []


def test_what_staff_forgot_to_set_up_shows_nobody_who_is_known(
    client: FlaskClient, db: Database, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    with db.transaction() as session:
        session.query(Topic).where(Topic.slug == "account").delete()
    with caplog.at_level(logging.WARNING):
        known = client.post(PATH, data={"address": reader.address})
    unknown = client.post(PATH, data={"address": "nobody@example.com"})
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert "administrative topic" in caplog.text
    assert reader.address not in caplog.text
