"""Whichever way somebody leaves, the answer comes when no request with them can begin any more."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from mailprefs.db.database import Database
from mailprefs.db.dialects import database_time
from mailprefs.deliveries.claim import START_WITHIN
from mailprefs.jobs import in_flight
from mailprefs.policy import Role
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.web.parts import Parts
from tests.fakes import Sleeper
from tests.web.conftest import Reader, subscribed
from tests.web.staff.browsing import Browser


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    made = Sleeper()
    monkeypatch.setattr(in_flight, "time", made)
    return made


@pytest.fixture
def in_a_claim(db: Database, reader: Reader) -> None:
    """Let the reader's message be claimed, and its request not be made yet."""
    with db.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.SENDING))
        session.execute(update(HandOver).values(claimed_at=database_time(session)))


@pytest.mark.usefixtures("in_a_claim")
def test_one_click_is_answered_when_no_request_can_begin(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str, sleeper: Sleeper
) -> None:
    """It is in force before: whoever claims meanwhile leaves them out."""
    sleeper.happens = lambda: seen.append(subscribed(db, reader))
    seen: list[set[str]] = []
    assert client.post(unsubscribe_path).status_code == 200
    assert sleeper.slept > START_WITHIN
    assert seen[0] == set()


@pytest.mark.usefixtures("in_a_claim")
@pytest.mark.parametrize(
    "form",
    [
        {"choice": "all_off"},
        {"choice": "topics", "shown": "newsletter"},
        {"choice": "pause", "days": "30"},
        {"choice": "frequency", "frequency": "weekly"},
    ],
)
def test_a_choice_on_the_preference_page_is_answered_when_no_request_can_begin(
    client: FlaskClient, preferences_path: str, sleeper: Sleeper, form: dict[str, str]
) -> None:
    assert client.post(preferences_path, data=form).status_code == 200
    assert sleeper.slept > START_WITHIN


@pytest.mark.usefixtures("in_a_claim")
def test_staff_are_told_that_it_is_done_when_no_request_can_begin(
    app: Flask, parts: Parts, reader: Reader, sleeper: Sleeper
) -> None:
    browser = Browser(app, parts)
    browser.sign_in_as(Role.SEND)
    browser.post("/staff/people", address=reader.address)
    assert sleeper.slept == 0
    browser.post(f"/staff/people/{reader.id}/less", what="30", asked="asked_by_phone")
    paused = sleeper.slept
    assert paused > START_WITHIN
    browser.post(f"/staff/people/{reader.id}/unsubscribe", asked="asked_by_phone")
    assert sleeper.slept > paused + START_WITHIN


@pytest.mark.usefixtures("reader")
def test_who_is_in_no_request_is_answered_at_once(
    client: FlaskClient, unsubscribe_path: str, sleeper: Sleeper
) -> None:
    assert client.post(unsubscribe_path).status_code == 200
    assert sleeper.slept == 0
