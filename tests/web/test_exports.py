"""Getting one's data: only who opens one's mailbox can, by a button, once; no scanner can."""

import json
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailprefs.db.database import Database
from mailprefs.policy import DataRequest
from mailprefs.privacy import access, requests
from mailprefs.schema.requests import DataRequestRow
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, request_path

GONE = "This link doesn’t work any more"


@pytest.fixture
def link(parts: Parts, reader: Reader) -> str:
    """Give the path of a link that was mailed to the reader."""
    return request_path(parts, reader, DataRequest.EXPORT)


def test_asking_on_the_preference_page_mails_a_link_to_the_mailbox_on_file_and_shows_nothing(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    """Whoever has a forwarded message has that page: it must not be enough."""
    first, again = (client.post(preferences_path, data={"choice": "export"}) for _ in range(2))
    assert '<h1 id="said" tabindex="-1">Look into your mailbox</h1>' in first.text
    assert first.text == again.text, "it doesn't say whether one went already"
    assert reader.address not in first.text
    with db.reading() as session:
        to = select(DataRequestRow.recipient_id, DataRequestRow.kind)
        assert session.execute(to).all() == [(reader.id, DataRequest.EXPORT)]


def test_a_program_that_opens_the_link_uses_nothing_up_and_sees_no_data(
    client: FlaskClient, db: Database, link: str
) -> None:
    before = snapshot(db)
    for _ in range(3):
        page = client.get(link)
        client.head(link)
        client.options(link)
    assert page.text.count("<button") == 2
    assert "jane" not in page.text.lower()
    assert snapshot(db) == before


def test_the_button_gives_the_file_once(client: FlaskClient, link: str, reader: Reader) -> None:
    given = client.post(link, data={"form": "json"})
    assert given.headers["Content-Disposition"] == 'attachment; filename="data-2026-11-22.json"'
    assert given.headers["Cache-Control"] == "no-store"
    document = json.loads(given.text)
    assert document["data"]["person"][0]["address"] == reader.address
    assert {one["kind"] for one in document["data"]["requests"]} == {"export"}
    for again in (client.post(link, data={"form": "html"}), client.get(link)):
        assert GONE in again.text
        assert "Content-Disposition" not in again.headers
        assert reader.address not in again.text


def test_the_page_to_read_speaks_the_language_of_the_page_with_the_button(
    client: FlaskClient, link: str, reader: Reader
) -> None:
    given = client.post(f"{link}?lang=ar", data={"form": "html"})
    assert given.headers["Content-Disposition"].endswith('.html"')
    assert '<html lang="ar" dir="rtl">' in given.text
    assert reader.address in given.text


def test_a_fault_of_ours_costs_nobody_their_link(
    client: FlaskClient, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError

    with monkeypatch.context() as broken:
        broken.setattr(access, "collect", fail)
        assert client.post(link).status_code == 500
    assert "Content-Disposition" in client.post(link).headers


def test_an_old_a_damaged_and_a_link_for_something_else_give_nothing(
    client: FlaskClient, clock: Clock, parts: Parts, reader: Reader, link: str
) -> None:
    erasing = request_path(parts, reader, DataRequest.ERASE)
    for bad in (f"{link[:-2]}xx", erasing.replace("/e/", "/d/")):
        for answer in (client.get(bad), client.post(bad)):
            assert GONE in answer.text
    clock.now += requests.LINK_HOLDS + timedelta(seconds=1)
    for answer in (client.get(link), client.post(link)):
        assert GONE in answer.text
