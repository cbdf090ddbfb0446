"""The preference page: topics, all promotional mail, and measuring, each a choice of its own."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from mailprefs import consent
from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.policy import Choice, Purpose, Source, SuppressionReason
from mailprefs.schema.choices import Suppression, Wording
from mailprefs.schema.opens import Measured, SilencedDelivery
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.web.parts import Parts
from tests.factories import make_topic
from tests.snapshots import snapshot
from tests.web.conftest import Reader, subscribed

SHOWN = ["newsletter", "events", "offers"]


def tick(client: FlaskClient, path: str, *topics: str, shown: list[str] | None = None) -> str:
    form = {"choice": "topics", "topic": list(topics), "shown": SHOWN if shown is None else shown}
    response = client.post(path, data=form)
    assert response.status_code == 200
    return response.text


def choose(client: FlaskClient, path: str, **form: str) -> str:
    response = client.post(path, data=form)
    assert response.status_code == 200
    return response.text


def tracking(db: Database, reader: Reader) -> Choice:
    with db.reading() as session:
        person = session.get(Recipient, reader.id)
        assert person is not None
        return person.open_tracking


def test_the_page_shows_choices_and_no_address(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    before = snapshot(db)
    response = client.get(preferences_path)
    page = response.text
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert "j***@e***.com" in page
    assert reader.address not in page
    for topic in SHOWN:
        assert f'value="{topic}"' in page
    # Two topics, as often as we write, and measured.
    assert page.count("checked") == 4
    assert "Your account" in page
    assert "hello@example.com" in page
    assert '<html lang="en" dir="ltr">' in page
    assert "<script" not in page
    assert "style=" not in page
    assert snapshot(db) == before


def test_topics_are_set_as_ticked(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    assert "Your topics are saved" in tick(client, preferences_path, "events", "offers")
    assert subscribed(db, reader) == {"events", "offers"}
    assert "Nothing to change" in tick(client, preferences_path, "events", "offers")


def test_unticking_everything_ends_these_topics_and_is_no_no_to_all(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    tick(client, preferences_path)
    assert subscribed(db, reader) == set()
    with db.reading() as session:
        assert session.query(Suppression).count() == 0


def test_a_topic_that_the_form_did_not_show_stays_as_it_is(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    """As when a topic was added, or a proxy lost a part of the form."""
    tick(client, preferences_path, shown=["offers"])
    assert subscribed(db, reader) == {"newsletter", "events"}
    tick(client, preferences_path, shown=[])
    assert subscribed(db, reader) == {"newsletter", "events"}


def test_all_off_holds_for_topics_that_come_later(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    page = choose(client, preferences_path, choice="all_off")
    assert "<title>All promotional mail is off</title>" in page
    assert subscribed(db, reader) == set()
    with db.transaction() as session:
        assert session.query(Suppression).one().reason is SuppressionReason.UNSUBSCRIBED
        make_topic(session, "later")
    assert subscribed(db, reader) == set()
    assert "All promotional mail to you is off" in client.get(preferences_path).text


def test_an_empty_form_after_all_off_lifts_nothing(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    choose(client, preferences_path, choice="all_off")
    tick(client, preferences_path)
    with db.reading() as session:
        assert session.query(Suppression).count() == 1


def test_a_tick_after_all_off_brings_back_that_topic_only(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    choose(client, preferences_path, choice="all_off")
    tick(client, preferences_path, "events")
    assert subscribed(db, reader) == {"events"}


def test_measuring_is_refused_for_old_mail_too_and_apart_from_topics(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    page = choose(client, preferences_path, choice="measuring", measuring="no")
    assert "Opens aren’t measured any more" in page
    assert tracking(db, reader) is Choice.REFUSED
    assert subscribed(db, reader) == {"newsletter", "events"}
    with db.reading() as session:
        assert session.query(SilencedDelivery).one().delivery_id == reader.delivery_id
        assert session.query(Measured).count() == 0
    assert "Thank you" in choose(client, preferences_path, choice="measuring", measuring="yes")
    assert tracking(db, reader) is Choice.GRANTED


def test_each_choice_keeps_the_words_that_were_shown(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    page = client.get(preferences_path).text
    tick(client, preferences_path, "newsletter")
    choose(client, preferences_path, choice="all_off")
    choose(client, preferences_path, choice="measuring", measuring="no")
    choose(client, preferences_path, choice="pause", days="30")
    choose(client, preferences_path, choice="frequency", frequency="weekly")
    choose(client, preferences_path, choice="language", language="en")
    with db.reading() as session:
        entries = [one.entry for one in consent.history(session, reader.id)]
        texts = {row.id: row.text for row in session.query(Wording)}
    assert {one.source for one in entries} == {Source.PREFERENCES}
    assert {one.delivery_id for one in entries} == {reader.delivery_id}
    assert {one.purpose for one in entries} == {*Purpose}
    assert None not in {one.wording for one in entries}
    assert len(texts) == 6
    for text in texts.values():
        assert text in page


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"choice": "everything"},
        {"choice": "measuring"},
        {"choice": "measuring", "measuring": "maybe"},
    ],
)
def test_a_form_that_is_not_ours_changes_nothing(
    client: FlaskClient, db: Database, preferences_path: str, form: dict[str, str]
) -> None:
    before = snapshot(db)
    response = client.post(preferences_path, data=form)
    assert response.status_code == 400
    assert "nothing was changed" in response.text
    assert snapshot(db) == before


def test_a_link_worth_nothing_and_an_erased_person_get_the_same_way_out(
    client: FlaskClient, parts: Parts, db: Database, reader: Reader
) -> None:
    before = snapshot(db)
    good = parts.links.preferences_path(reader.id)
    paths = [
        good[:-4] + "AAAA",
        "/p/",
        "/p/" + "A" * 10_000,
        parts.links.preferences_path(reader.id + 1000),
        parts.links.unsubscribe_path(reader.id, reader.topic_id, 1).replace("/u/", "/p/"),
    ]
    form = {"choice": "all_off"}
    answers = [answer for one in paths for answer in (client.get(one), client.post(one, data=form))]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert 'action="/fresh-link?lang=en#said"' in answers[0].text
    assert snapshot(db) == before
    with db.transaction() as session:
        session.query(Subscription).delete()
        session.query(Recipient).delete()
    assert client.get(good).text == answers[0].text


def test_a_region_that_must_be_asked_is_not_measured_until_it_says_yes(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    def measured(page: str) -> bool:
        return 'value="yes" checked' in page

    assert measured(client.get(preferences_path).text)
    with db.transaction() as session:
        session.query(Recipient).update({"region": "DE"})
    assert not measured(client.get(preferences_path).text)
    assert measured(choose(client, preferences_path, choice="measuring", measuring="yes"))


def test_a_person_is_told_why_mail_is_held_back(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    with db.transaction() as session:
        person = session.get_one(Recipient, reader.id)
        session.add(
            Suppression(
                address_hash=person.address_hash,
                address_key_id=1,
                scope=SuppressionReason.COMPLAINED.scope,
                reason=SuppressionReason.COMPLAINED,
                source=Source.VENDOR,
                created_at=person.created_at,
            )
        )
    assert "marked as spam" in client.get(preferences_path).text


def test_nothing_is_said_to_be_saved_that_is_not(parts: Parts, preferences_path: str) -> None:
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    client = create_app(lost).test_client()
    assert client.get(preferences_path).status_code == 503
    response = client.post(preferences_path, data={"choice": "all_off"})
    assert response.status_code == 503
    assert "Nothing was changed" in response.text
