"""Every recipient page in every language: said as such, whole, and kept through a choice."""

import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from mailprefs import languages
from mailprefs.db.database import Database
from mailprefs.schema.choices import ConsentEntry, Wording
from mailprefs.schema.people import Recipient
from mailprefs.web.parts import Parts
from mailprefs.web.preferences import TOPICS
from tests.snapshots import snapshot
from tests.web.conftest import Reader, subscribed
from tests.web.pages import Visit, visits

OTHERS = [one for one in languages.every() if one.tag != "en"]
# The company's own words, and what is the same in every language.
NAMES = {
    "Harbour Books", "Newsletter", "Events", "Offers", "Your account", "hello@example.com",
    "j***@e***.com", "“", "”",
} | {one.name for one in languages.every()}  # fmt: skip
FORM = {"page": "1"}


class Words(HTMLParser):
    """All words of a page, one by one as they stand between tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: set[str] = set()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if re.search(r"\w", words):
            self.said.add(words)


def pages(client: FlaskClient, parts: Parts, reader: Reader) -> dict[str, Callable[[str], str]]:
    """Give every page that a recipient can see, as a function of the language."""

    def shown(visit: Visit) -> Callable[[str], str]:
        return lambda tag: visit.go(client, tag).text

    return {visit.name: shown(visit) for visit in visits(parts, reader)}


@pytest.mark.parametrize("language", OTHERS, ids=lambda one: one.tag)
def test_every_page_speaks_the_language_and_says_which(
    client: FlaskClient, parts: Parts, reader: Reader, language: languages.Language
) -> None:
    for name, show in pages(client, parts, reader).items():
        page = show(language.tag)
        assert f'<html lang="{language.tag}" dir="{language.direction}">' in page, name
        said = Words(page).said
        assert said & english_words() <= SAME.get(language.tag, set()), name
        assert any(not words.isascii() for words in said - NAMES), name


@cache
def english_words() -> set[str]:
    from scripts import translations  # noqa: PLC0415 - as its sentences are in English

    found: set[str] = set()
    for sentence in translations.sentences():
        for form in sentence.forms:
            found |= Words(form).said
    return found


# Words that the language has taken from English, or English from it.
SAME = {"fr": {"Contact"}}


def test_the_browsers_language_is_spoken_to_strangers(client: FlaskClient) -> None:
    page = client.get("/fresh-link", headers={"Accept-Language": "nl, ja;q=0.8, de;q=0.7"}).text
    assert '<html lang="ja" dir="ltr">' in page
    assert '<html lang="en" dir="ltr">' in client.get("/fresh-link").text


def test_a_persons_own_language_comes_before_the_browsers(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str, preferences_path: str
) -> None:
    speak(db, reader, "de-AT")
    for path in (unsubscribe_path, preferences_path):
        page = client.get(path, headers={"Accept-Language": "fr"}).text
        assert '<html lang="de" dir="ltr">' in page
        page = client.get(f"{path}?lang=ar", headers={"Accept-Language": "fr"}).text
        assert '<html lang="ar" dir="rtl">' in page


def test_the_switcher_offers_every_language_keeps_the_page_and_changes_nothing(
    client: FlaskClient, db: Database, unsubscribe_path: str, preferences_path: str
) -> None:
    for path in (unsubscribe_path, preferences_path):
        before = snapshot(db)
        page = client.get(path).text
        offered = re.findall(r'<a href="([^"]*)\?lang=([^"]+)" lang="([^"]+)"', page)
        assert {tag for _, tag, _ in offered} == {one.tag for one in languages.every()}
        assert all(where in {"", path} and tag == said for where, tag, said in offered)
        for _, tag, _ in offered:
            response = client.get(f"{path}?lang={tag}")
            assert f'lang="{tag}" aria-current="true"' in response.text or (
                f'hreflang="{tag}" aria-current="true"' in response.text
            )
            assert "Set-Cookie" not in response.headers
        assert snapshot(db) == before


def test_after_a_choice_the_switcher_leads_to_a_page_that_can_be_asked_for(
    client: FlaskClient, unsubscribe_path: str
) -> None:
    client.post(unsubscribe_path, data=FORM)
    page = client.post(f"{unsubscribe_path}/undo").text
    assert f'<a href="{unsubscribe_path}?lang=ja"' in page


@pytest.mark.parametrize("tag", ["xx", "", "en-", "../../de", '"><script>', "d" * 5000])
def test_a_language_that_nobody_speaks_is_not_an_error(client: FlaskClient, tag: str) -> None:
    response = client.get("/fresh-link", query_string={"lang": tag})
    assert response.status_code == 200
    assert "<script" not in response.text


def test_the_proof_is_what_was_shown_in_the_language_in_which_it_was(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str
) -> None:
    shown = client.get(preferences_path, headers={"Accept-Language": "ja"}).text
    words = languages.find("ja").gettext(TOPICS)  # type: ignore[union-attr]  # it is there
    assert words in shown
    form = re.search(r'<form method="post" action="([^"#]+)#said"', shown)
    assert form is not None
    # The browser speaks another language by now; the form was shown in Japanese.
    page = client.post(
        form[1],
        data={"choice": "topics", "shown": ["newsletter", "events"], "topic": "events"},
        headers={"Accept-Language": "fr"},
    ).text
    assert '<html lang="ja"' in page
    assert subscribed(db, reader) == {"events"}
    with db.reading() as session:
        wording = session.scalars(select(Wording)).one()
        payloads = session.scalars(select(ConsentEntry.payload)).all()
    assert (wording.language, wording.text) == ("ja", words)
    assert '"language":"ja"' in re.sub(r"\s", "", str(payloads[-1]))


def test_every_choice_leads_to_what_happened(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    """Title and heading say it, and the form's address leads focus to the heading."""
    for name, show in pages(client, parts, reader).items():
        page = show("en")
        assert re.search(r'action="(?![^"]*#said")', page) is None, name
        title, heading = re.findall(r"<title>(.*?)</title>|<h1[^>]*>(.*?)</h1>", page)[:2]
        if "action=" in page and name not in {"front", "unsubscribe"}:
            assert '<h1 id="said" tabindex="-1">' in page, name
        assert title[0] and heading[1], name
        if name not in {"front", "policy", "former policy", "unsubscribe"}:
            assert title[0] == heading[1], name


def speak(db: Database, reader: Reader, tag: str) -> None:
    with db.transaction() as session:
        session.execute(update(Recipient).where(Recipient.id == reader.id).values(language=tag))
