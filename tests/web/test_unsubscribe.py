"""Leaving: one POST of whatever form is enough, and nothing else ever does it."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from mailprefs import consent, preferences
from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.policy import Choice, Source
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.settings import OneClickScope
from mailprefs.web.parts import Parts
from mailprefs.web.unsubscribe import ONE_CLICK_ANSWER
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
PAGE = {"page": "1"}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
)

BODIES: list[tuple[str | None, bytes]] = [
    ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
    (
        'multipart/form-data; boundary="b"',
        MULTIPART,
    ),
    ("multipart/form-data", b"no boundary at all"),
    ('multipart/form-data; boundary="b"', b"--b\r\ntorn"),
    ("text/plain", b"List-Unsubscribe=One-Click"),
    ("application/json", b'{"List-Unsubscribe":'),
    ("application/octet-stream", bytes(range(256))),
    ("nonsense", b"\xff\xfe"),
    (None, b"List-Unsubscribe=One-Click"),
    (None, b""),
    ("application/x-www-form-urlencoded", b"x=" + b"y" * 1_000_000),
    ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 5_000)),
]

# Twenty that follow links in mail: gateways, link checkers, previews, crawlers.
SCANNERS = [
    "",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 SafeLinks",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "BarracudaCentral/1.0",
    "Mimecast URL Protect",
    "Proofpoint URL Defense",
    "ZScaler/1.0",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1",
    "Twitterbot/1.0",
    "WhatsApp/2.23",
    "TelegramBot (like TwitterBot)",
    "python-requests/2.32",
    "curl/8.5.0",
    "Java/17.0.9",
    "Go-http-client/1.1",
    "HeadlessChrome/120.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
]


def test_no_scanner_unsubscribes_anybody_by_looking(
    client: FlaskClient, db: Database, unsubscribe_path: str
) -> None:
    before = snapshot(db)
    paths = (unsubscribe_path, f"{unsubscribe_path}/undo", f"{unsubscribe_path}?x=1")
    for user_agent, path, method in itertools.product(SCANNERS, paths, SAFE_METHODS):
        response = client.open(path, method=method, headers={"User-Agent": user_agent})
        assert response.status_code == 200
    assert len(SCANNERS) == 20
    assert snapshot(db) == before


def test_a_one_click_post_is_honoured_whoever_sends_it(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    for user_agent in ("Java/17", "", "curl/8.5.0", "Googlebot/2.1"):
        assert subscribed(db, reader) == {"newsletter", "events"}
        headers = {"User-Agent": user_agent}
        response = client.post(unsubscribe_path, data=ONE_CLICK, headers=headers)
        assert response.status_code == 200
        assert subscribed(db, reader) == set()
        client.post(f"{unsubscribe_path}/undo")


def test_any_body_of_any_content_type_will_do(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    for content_type, body in BODIES:
        assert subscribed(db, reader) == {"newsletter", "events"}
        response = client.post(unsubscribe_path, data=body, content_type=content_type)
        assert response.status_code == 200
        assert subscribed(db, reader) == set(), content_type
        client.post(f"{unsubscribe_path}/undo")


def test_the_answer_is_no_redirect_sets_no_cookie_and_needs_none(
    client: FlaskClient, unsubscribe_path: str
) -> None:
    response = client.post(unsubscribe_path, data=ONE_CLICK)
    assert response.status_code == 200
    assert "Location" not in response.headers
    assert "Set-Cookie" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"
    assert response.text == ONE_CLICK_ANSWER


def test_it_is_tied_to_the_message_and_kept_as_proof(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    client.post(unsubscribe_path, data=ONE_CLICK)
    client.post(unsubscribe_path, data=ONE_CLICK)
    with db.reading() as session:
        entries = [one.entry for one in consent.history(session, reader.id)]
        left = session.query(MailboxTotal).where(MailboxTotal.event == "unsubscribed").one()
    assert {one.source for one in entries} == {Source.ONE_CLICK}
    assert {one.delivery_id for one in entries} == {reader.delivery_id}
    assert {one.method for one in entries} == {"post_one_click"}
    assert {one.language for one in entries} == {None}  # nobody was shown anything
    assert left.n == 1


def test_it_works_ever_after_and_when_the_delivery_is_gone(
    client: FlaskClient, parts: Parts, db: Database, reader: Reader, clock: Clock
) -> None:
    clock.now += timedelta(days=5 * 365)
    path = parts.links.unsubscribe_path(reader.id, reader.topic_id, 99 << 32 | 7)
    assert client.post(path).status_code == 200
    assert subscribed(db, reader) == set()


def test_what_clients_add_to_the_link_is_taken_off(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    added = ("{}>", "{}%20", "{}.", "%3C{}%3E", "{}/", "{}%0D%0A", "/{}", "{}&amp;x=1")
    for form in added:
        path = "/u/" + form.format(unsubscribe_path.removeprefix("/u/"))
        assert "Unsubscribe</button>" in client.get(path).text, form
        assert client.post(path, data=ONE_CLICK).status_code == 200
        assert subscribed(db, reader) == set(), form
        client.post(f"{unsubscribe_path}/undo")


def damaged_paths(parts: Parts, reader: Reader) -> dict[str, str]:
    good = parts.links.unsubscribe_path(reader.id, reader.topic_id, reader.delivery_id)
    return {
        "garbled": good[:-4] + "AAAA",
        "cut": good[:20],
        "empty-ish": "/u/-",
        "long": "/u/" + "A" * 100_000,
        "pixel's": parts.links.open_path(reader.delivery_id).replace("/o/", "/u/"),
        "preferences'": parts.links.preferences_path(reader.id).replace("/p/", "/u/"),
        "foreign": "/u/%C3%A4%00%FF..%2F..%2Fetc",
        "upper-cased": "/u/" + good[3:].upper(),
        "nobody's": parts.links.unsubscribe_path(reader.id + 1000, reader.topic_id, 0),
    }


def test_a_link_worth_nothing_answers_like_a_good_one_and_changes_nothing(
    client: FlaskClient, parts: Parts, db: Database, reader: Reader
) -> None:
    before = snapshot(db)
    pages = set()
    for name, path in damaged_paths(parts, reader).items():
        posted = client.post(path, data=ONE_CLICK)
        assert (posted.status_code, posted.text) == (200, ONE_CLICK_ANSWER), name
        shown = client.get(path)
        assert shown.status_code == 200
        pages.add(shown.text)
        pages.add(client.post(path, data=PAGE).text)
        for step in ("undo", "keep", "stop-measuring"):
            assert client.post(f"{path}/{step}").status_code == 200
    assert len(pages) == 1
    assert "This link doesn’t work any more" in pages.pop()
    assert snapshot(db) == before


def test_an_erased_person_is_like_nobody(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    damaged = client.get("/u/damaged")
    with db.transaction() as session:
        session.query(Subscription).delete()
        session.query(Recipient).delete()
    shown = client.get(unsubscribe_path)
    assert shown.text == damaged.text
    assert list(shown.headers) == list(damaged.headers)
    posted = client.post(unsubscribe_path, data=ONE_CLICK)
    assert (posted.status_code, posted.text) == (200, ONE_CLICK_ANSWER)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), OSError("y")])
def test_what_could_not_be_stored_is_never_acknowledged(
    client: FlaskClient,
    unsubscribe_path: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(preferences, "opt_out", fail)
    monkeypatch.setattr(preferences, "opt_out_each", fail)
    for data in (ONE_CLICK, PAGE):
        response = client.post(unsubscribe_path, data=data)
        assert response.status_code == 503
        assert "Retry-After" in response.headers


def test_a_lost_database_is_told_to_the_mail_provider(parts: Parts, unsubscribe_path: str) -> None:
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    client = create_app(lost).test_client()
    assert client.post(unsubscribe_path, data=ONE_CLICK).status_code == 503
    assert client.get(unsubscribe_path).status_code == 503


def test_nobody_is_held_up_for_asking_often(client: FlaskClient, unsubscribe_path: str) -> None:
    assert {client.post(unsubscribe_path).status_code for _ in range(60)} == {200}


def test_the_page_has_one_button_a_masked_address_and_says_what_stays(
    client: FlaskClient, reader: Reader, unsubscribe_path: str
) -> None:
    page = client.get(unsubscribe_path).text
    assert page.count("<button") == 1
    assert "j***@e***.com" in page
    assert reader.address not in page
    assert "jane" not in page
    assert "Your account" in page
    assert "Harbour Books" in page
    assert "hello@example.com" in page
    assert '<html lang="en" dir="ltr">' in page
    assert "<script" not in page
    assert "style=" not in page


def test_the_button_of_the_page_leaves_and_says_so(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    page = client.post(unsubscribe_path, data=PAGE).text
    assert "<title>You are unsubscribed</title>" in page
    assert '<h1 id="said" tabindex="-1">You are unsubscribed</h1>' in page
    assert "j***@e***.com" in page
    assert subscribed(db, reader) == set()
    with db.reading() as session:
        assert {one.entry.source for one in consent.history(session, reader.id)} == {Source.PAGE}
    assert "You are unsubscribed" in client.get(unsubscribe_path).text


def test_a_click_can_be_undone_for_a_day(
    client: FlaskClient, db: Database, reader: Reader, clock: Clock, unsubscribe_path: str
) -> None:
    page = client.post(unsubscribe_path, data=PAGE).text
    assert f'action="{unsubscribe_path}/undo?lang=en#said"' in page
    clock.now += timedelta(hours=23, minutes=59)
    assert "Undone" in client.post(f"{unsubscribe_path}/undo").text
    assert subscribed(db, reader) == {"newsletter", "events"}
    with db.reading() as session:
        totals = session.query(MailboxTotal).where(MailboxTotal.event == "unsubscribed")
        assert sum(row.n for row in totals) == 0


def test_after_an_undo_the_page_leads_with_what_holds_now(
    client: FlaskClient, unsubscribe_path: str
) -> None:
    client.post(unsubscribe_path, data=PAGE)
    page = client.post(f"{unsubscribe_path}/undo").text
    assert "<title>Undone: everything is as it was before</title>" in page
    assert 'tabindex="-1">Undone: everything is as it was before</h1>' in page
    assert "gets:" in page
    assert "<strong>Newsletter</strong>" in page
    assert f'action="{unsubscribe_path}?lang=en#said"' in page, "there is no way to leave after all"


def test_a_day_later_nobody_can_undo_it(
    client: FlaskClient, db: Database, reader: Reader, clock: Clock, unsubscribe_path: str
) -> None:
    client.post(unsubscribe_path, data=ONE_CLICK)
    clock.now += timedelta(hours=24, seconds=1)
    assert "/undo" not in client.get(unsubscribe_path).text
    assert "Nothing was changed" in client.post(f"{unsubscribe_path}/undo").text
    client.post(f"{unsubscribe_path}/keep", data={"topic": "newsletter"})
    assert subscribed(db, reader) == set()


def test_topics_that_the_click_ended_can_be_kept_and_no_others(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    page = client.post(unsubscribe_path, data=PAGE).text
    assert 'value="events"' in page
    assert 'value="offers"' not in page
    told = client.post(f"{unsubscribe_path}/keep", data={"topic": ["events", "offers"]}).text
    assert "Saved" in told
    assert subscribed(db, reader) == {"events"}


def test_whoever_holds_the_link_signs_nobody_up(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    """A forwarded message: without a leaving there is nothing to undo and nothing to keep."""
    before = snapshot(db)
    client.post(f"{unsubscribe_path}/undo")
    client.post(f"{unsubscribe_path}/keep", data={"topic": ["offers", "events"]})
    assert subscribed(db, reader) == {"newsletter", "events"}
    assert snapshot(db)["subscriptions"] == before["subscriptions"]


def test_measuring_stops_by_a_choice_of_its_own(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    assert "Also stop measuring" in client.post(unsubscribe_path, data=PAGE).text
    with db.reading() as session:
        assert tracking(session, reader) is Choice.UNKNOWN
    page = client.post(f"{unsubscribe_path}/stop-measuring").text
    assert "aren’t measured any more" in page
    assert "Also stop measuring" not in page
    with db.reading() as session:
        assert tracking(session, reader) is Choice.REFUSED


def tracking(session: Session, reader: Reader) -> Choice:
    person = session.get(Recipient, reader.id)
    assert person is not None
    return person.open_tracking


@pytest.fixture
def narrow(parts: Parts) -> Flask:
    settings = parts.settings.model_copy(update={"one_click_scope": OneClickScope.TOPIC})
    return create_app(replace(parts, settings=settings))


def test_where_set_so_one_click_ends_the_messages_topic_only(
    narrow: Flask, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    client = narrow.test_client()
    assert "“<bdi>Newsletter</bdi>”" in client.get(unsubscribe_path).text
    assert "You left Newsletter" in client.post(unsubscribe_path, data=PAGE).text
    assert subscribed(db, reader) == {"events"}
    assert "You left Newsletter" in client.get(unsubscribe_path).text
    client.post(f"{unsubscribe_path}/undo")
    assert subscribed(db, reader) == {"newsletter", "events"}
