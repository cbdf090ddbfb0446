"""What everybody may read: lists, a message in its frame, a feed; and nobody's own in any of it."""

import re
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from mailprefs.audit import Actor
from mailprefs.campaigns import archive, drafts
from mailprefs.campaigns.drafts import Company, Draft, Words
from mailprefs.db.database import Database
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.web.headers import CONTENT_SECURITY_POLICY
from tests.factories import make_policy, make_staff, make_topic
from tests.web.conftest import Clock

ATOM = "{http://www.w3.org/2005/Atom}"
COMPANY = Company("hello@example.com", "UTC")
FROST = Draft(
    topic="newsletter",
    subject='{{ first_name | "Dear reader" }}, the first frost',
    body='Hello {{ first_name | "there" }},\n\n![A pond](https://img.example.com/pond.png)\n\nCold.\n',
    name="internal: Q4 push",
    public=True,
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: what is public is asked of both in tests/campaigns."""
    return sqlite_url


@pytest.fixture
def actor(db: Database) -> Actor:
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "newsletter", description="Once a month.")
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        return Actor(make_staff(session, *Role).id, "page")


def send(db: Database, clock: Clock, actor: Actor, draft: Draft = FROST) -> int:
    """Store a campaign that has begun to be sent; give its number."""
    with db.transaction() as session:
        number = drafts.create(session, draft, actor, company=COMPANY, now=clock.now)
        begun = {"state": CampaignState.FINISHED, "started_at": clock.now}
        session.execute(update(Campaign).where(Campaign.id == number).values(**begun))
        return number


def path_of(db: Database, number: int) -> str:
    with db.reading() as session:
        where = archive.address(session, session.get_one(Campaign, number))
    assert where is not None
    return where.removeprefix("https://mail.example.com")


def test_from_the_list_to_the_message_as_everybody_sees_it(
    client: FlaskClient, db: Database, clock: Clock, actor: Actor
) -> None:
    path = path_of(db, send(db, clock, actor))
    assert 'href="/archive/newsletter"' in client.get("/archive").text
    page = client.get("/archive/newsletter").text
    assert f'href="{path}"' in page
    assert "Dear reader, the first frost" in page
    page = client.get(path).text
    assert "<h1" in page
    assert "Dear reader, the first frost" in page
    assert 'href="/subscribe?topic=newsletter&amp;lang=en"' in page
    assert f'src="{path}/message?lang=en"' in page
    message = client.get(f"{path}/message").text
    assert "Hello there," in message
    assert 'src="https://img.example.com/pond.png"' in message
    assert 'href="https://mail.example.com/fresh-link"' in message
    for answer in (page, message):
        assert "Q4" not in answer
        assert not re.search(r"/(u|p|o|c)/[\w-]{20}", answer)


def test_a_messages_styles_weaken_no_page_of_ours(
    client: FlaskClient, db: Database, clock: Clock, actor: Actor
) -> None:
    path = path_of(db, send(db, clock, actor))
    page, message = client.get(path), client.get(f"{path}/message")
    assert page.headers["Content-Security-Policy"] == f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
    assert "style=" not in page.text
    assert 'sandbox="allow-popups ' in page.text
    policy = message.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    for allowed in ("allow-scripts", "allow-same-origin", "allow-forms", "script-src"):
        assert allowed not in policy
        assert allowed not in page.text
    assert "default-src 'none'" in policy
    assert '<base target="_top">' in message.text


def test_an_answer_is_kept_only_as_long_as_nothing_changes(
    client: FlaskClient, db: Database, clock: Clock, actor: Actor
) -> None:
    number = send(db, clock, actor)
    path = path_of(db, number)
    addresses = ["/archive", "/archive/newsletter", "/archive/newsletter/feed.xml"]
    for address in [*addresses, path, f"{path}/message"]:
        first = client.get(address)
        assert (first.status_code, first.headers["Cache-Control"]) == (200, "public, no-cache")
        assert "Set-Cookie" not in first.headers
        again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]
    known = {"If-None-Match": client.get(f"{path}/message").headers["ETag"]}
    with db.transaction() as session:
        archive.withdraw(session, number, actor, company=COMPANY, now=clock.now)
    for gone in (path, f"{path}/message"):
        answer = client.get(gone, headers=known)
        assert answer.status_code == 404
        assert answer.headers["Cache-Control"] == "no-store"
        assert "isn’t public, or isn’t any more" in answer.text
    assert path not in client.get("/archive/newsletter").text
    assert path not in client.get("/archive/newsletter/feed.xml").text


def test_the_frame_speaks_the_readers_language_and_the_message_the_nearest_that_it_has(
    client: FlaskClient, db: Database, clock: Clock, actor: Actor
) -> None:
    others = (
        Words("de", "Der erste Frost", "Es ist kalt.\n"),
        Words("ar", "الصقيع الأول", "الجو بارد.\n"),
    )
    path = path_of(db, send(db, clock, actor, replace(FROST, others=others)))
    arabic = client.get(path, headers={"Accept-Language": "ar-EG"})
    assert '<html lang="ar" dir="rtl">' in arabic.text
    assert '<h1 lang="ar" dir="rtl">الصقيع الأول</h1>' in arabic.text
    assert arabic.headers["Vary"] == "Accept-Language"
    assert "الجو بارد" in client.get(f"{path}/message?lang=ar").text
    french = client.get(f"{path}?lang=fr").text
    assert '<html lang="fr" dir="ltr">' in french
    assert '<h1 lang="en" dir="ltr">' in french
    assert "Der erste Frost" in client.get("/archive/newsletter?lang=de").text


def test_the_feed_holds_the_whole_message_and_is_sound(
    client: FlaskClient, db: Database, clock: Clock, actor: Actor
) -> None:
    first = path_of(db, send(db, clock, actor))
    clock.now += timedelta(days=7)
    body = "5 < 6 & done.\n"
    second = path_of(db, send(db, clock, actor, replace(FROST, subject="A & B", body=body)))
    answer = client.get("/archive/newsletter/feed.xml")
    assert answer.content_type == "application/atom+xml; charset=utf-8"
    feed = ET.fromstring(answer.data)  # noqa: S314 - our own answer
    entries = feed.findall(f"{ATOM}entry")
    base = "https://mail.example.com"
    assert [one.findtext(f"{ATOM}id") for one in entries] == [base + second, base + first]
    assert feed.findtext(f"{ATOM}updated") == clock.now.isoformat()
    assert entries[0].findtext(f"{ATOM}title") == "A & B"
    content = entries[0].find(f"{ATOM}content")
    assert content is not None
    assert content.get("type") == "html"
    assert "5 &lt; 6 &amp;" in str(content.text)
    assert "<!--" not in str(content.text)
    assert not re.search(r"/(u|p|o|c)/[\w-]{20}", answer.text)


def test_long_lists_go_on(
    client: FlaskClient, db: Database, clock: Clock, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path_of(db, send(db, clock, actor)) for _ in range(3)]
    monkeypatch.setattr("mailprefs.web.archive.PAGE", 2)
    monkeypatch.setattr(archive.messages, "__kwdefaults__", {"before": None, "most": 2})
    page = client.get("/archive/newsletter?lang=de").text
    assert [path in page for path in paths] == [False, True, True]
    following = re.search(r'href="(\?lang=de&amp;before=\d+)"', page)
    assert following is not None
    older = client.get("/archive/newsletter" + following[1].replace("&amp;", "&")).text
    assert [path in older for path in paths] == [True, False, False]
    assert client.get("/archive/newsletter?before=99999999999999999999").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/archive/account",
        "/archive/none",
        "/archive/none/feed.xml",
        "/archive/newsletter/guessed",
        "/archive/newsletter/guessed/message",
    ],
)
def test_what_is_not_public_is_told_in_words(client: FlaskClient, actor: Actor, path: str) -> None:
    del actor
    answer = client.get(path)
    assert answer.status_code == 404
    assert "<h1" in answer.text


def test_an_archive_without_messages_says_so(client: FlaskClient, actor: Actor) -> None:
    del actor
    for path in ("/archive", "/archive/newsletter"):
        assert "Nothing is published here yet." in client.get(path).text
