"""Less mail, a language, undo and "why": what can be chosen beside topics, without scripts."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from mailprefs import consent
from mailprefs.consent import Recorded
from mailprefs.db.database import Database
from mailprefs.policy import Frequency, Purpose, Source
from mailprefs.schema.choices import Wording
from mailprefs.schema.people import Recipient
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed

PAGE = {"page": "1"}


def choose(client: FlaskClient, path: str, **form: str) -> str:
    response = client.post(path, data=form)
    assert response.status_code == 200
    return response.text


def said(page: str) -> str:
    """Give what a page says that happened: its heading, which its title repeats."""
    heading, title = (
        re.search(pattern, page)
        for pattern in (r'<h1 id="said" tabindex="-1">(.*?)</h1>', r"<title>(.*?)</title>")
    )
    assert heading
    assert title
    assert heading[1] == title[1]
    return heading[1]


def undo(client: FlaskClient, path: str, page: str) -> str:
    """Press the page's undo."""
    act = re.search(r'name="act" value="(\w+)"', page)
    assert act, "the page offers no undo"
    return choose(client, path, choice="undo", act=act[1])


def person(db: Database, reader: Reader) -> Recipient:
    with db.reading() as session:
        return session.get_one(Recipient, reader.id)


def ledger(db: Database, reader: Reader) -> list[Recorded]:
    with db.reading() as session:
        return consent.history(session, reader.id)


def reasons(db: Database) -> list[tuple[object, ...]]:
    with db.reading() as session:
        query = text("SELECT topic_id, month, reason, n FROM leaving_reasons ORDER BY reason")
        return [tuple(row) for row in session.execute(query)]


@pytest.mark.parametrize(("days", "day"), [("30", "23 December 2026"), ("90", "21 February 2027")])
def test_a_pause_says_until_when_and_is_undone(  # noqa: PLR0917 - fixtures
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str, days: str, day: str
) -> None:
    page = choose(client, preferences_path, choice="pause", days=days)
    assert said(page) == "Promotional mail is paused"
    assert f"It comes again on {day}, by itself." in page
    assert subscribed(db, reader) == {"newsletter", "events"}
    undone = undo(client, preferences_path, page)
    assert said(undone) == "Undone: everything is as it was before"
    assert person(db, reader).paused_until is None


def test_a_pause_is_ended_early(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    choose(client, preferences_path, choice="pause", days="90")
    assert "Pause for 30 days" not in client.get(preferences_path).text
    page = choose(client, preferences_path, choice="pause", days="0")
    assert said(page) == "The pause is over"
    assert person(db, reader).paused_until is None


def test_a_pause_that_is_over_is_not_shown_as_one(
    client: FlaskClient, clock: Clock, preferences_path: str
) -> None:
    choose(client, preferences_path, choice="pause", days="30")
    clock.now += timedelta(days=31)
    assert "Pause for 30 days" in client.get(preferences_path).text


def test_how_often_is_a_choice_with_its_own_proof(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    page = choose(client, preferences_path, choice="frequency", frequency="weekly")
    assert said(page) == "At most one promotional message a week"
    assert 'value="weekly" checked' in page
    assert person(db, reader).frequency is Frequency.WEEKLY
    (one,) = ledger(db, reader)
    assert (one.entry.purpose, one.entry.source) == (Purpose.FREQUENCY, Source.PREFERENCES)
    assert one.entry.delivery_id == reader.delivery_id
    with db.reading() as session:
        assert one.entry.wording
        words = session.get_one(Wording, one.entry.wording.id)
        assert words.text in page
    again = choose(client, preferences_path, choice="frequency", frequency="weekly")
    assert said(again) == "Nothing to change"
    assert 'name="act"' not in again
    undo(client, preferences_path, page)
    assert person(db, reader).frequency is None


@pytest.mark.parametrize("choice", ["topics", "all_off"])
def test_what_was_just_chosen_can_be_undone_on_the_page(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str, choice: str
) -> None:
    form = {"shown": "newsletter"} if choice == "topics" else {}
    page = choose(client, preferences_path, choice=choice, **form)
    assert "newsletter" not in subscribed(db, reader)
    undo(client, preferences_path, page)
    assert subscribed(db, reader) == {"newsletter", "events"}


def test_an_undo_of_something_else_changes_nothing(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    choose(client, preferences_path, choice="pause", days="30")
    before = snapshot(db)
    for act in ("", "0" * 16, "%", "x" * 10_000):
        page = choose(client, preferences_path, choice="undo", act=act)
        assert said(page) == "Nothing to change"
    assert snapshot(db) == before


def test_a_language_is_kept_and_spoken_from_then_on(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    page = choose(client, preferences_path, choice="language", language="en")
    assert said(page) == "Your language is saved"
    found = person(db, reader)
    assert (found.language, found.language_since is not None) == ("en", True)
    assert '<html lang="en"' in client.get(preferences_path, headers={"Accept-Language": "de"}).text


@pytest.mark.parametrize(
    "form",
    [
        {"choice": "pause"},
        {"choice": "pause", "days": "36500"},
        {"choice": "pause", "days": "-30"},
        {"choice": "frequency", "frequency": "hourly"},
        {"choice": "language", "language": "tlh"},
        {"choice": "language", "language": "x" * 10_000},
        {"choice": "why"},
        {"choice": "why", "why": "You sent me <b>mail</b>"},
    ],
)
@pytest.mark.usefixtures("reader")
def test_a_form_that_is_not_the_pages_changes_nothing_and_says_so(
    client: FlaskClient, db: Database, preferences_path: str, form: dict[str, str]
) -> None:
    before = snapshot(db)
    response = client.post(preferences_path, data=form)
    assert response.status_code == 400
    assert "nothing was" in response.text
    assert snapshot(db) == before


def test_why_somebody_left_is_counted_once_and_kept_of_nobody(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    page = client.post(unsubscribe_path, data=PAGE).text
    assert "Would you tell us why?" in page
    told = choose(client, f"{unsubscribe_path}/why", why="too_many")
    assert said(told) == "Thank you for telling us"
    assert "Would you tell us why?" not in told
    again = choose(client, f"{unsubscribe_path}/why", why="never_signed_up")
    assert said(again) == "Nothing was changed"
    assert reasons(db) == [(reader.topic_id, "2026-11", "too_many", 1)]
    held = {table: rows for table, rows in snapshot(db).items() if table != "leaving_reasons"}
    assert "too_many" not in str(held)


def test_the_preference_page_asks_why_after_everything_was_turned_off(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    assert "Would you tell us why?" not in client.get(preferences_path).text
    page = choose(client, preferences_path, choice="all_off")
    assert "Would you tell us why?" in page
    told = choose(client, preferences_path, choice="why", why="other")
    assert said(told) == "Thank you for telling us"
    assert reasons(db) == [(reader.topic_id, "2026-11", "other", 1)]


def test_who_has_not_left_or_left_long_ago_is_not_asked_and_not_counted(
    client: FlaskClient, clock: Clock, db: Database, unsubscribe_path: str
) -> None:
    choose(client, f"{unsubscribe_path}/why", why="too_many")
    client.post(unsubscribe_path, data=PAGE)
    clock.now += timedelta(days=2)
    assert "Would you tell us why?" not in client.get(unsubscribe_path).text
    choose(client, f"{unsubscribe_path}/why", why="too_many")
    assert reasons(db) == []


def test_one_click_of_somebody_who_pauses_unsubscribes(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str, unsubscribe_path: str
) -> None:
    choose(client, preferences_path, choice="pause", days="30")
    assert client.post(unsubscribe_path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert subscribed(db, reader) == set()
