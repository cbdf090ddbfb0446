"""New campaigns and changed drafts: promotional first, class by topic, mistakes told."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from mailprefs.campaigns import drafts
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, SourceFormat
from mailprefs.web.parts import Parts
from tests.web.staff.browsing import Browser
from tests.web.staff.conftest import House

FORM = {
    "topic": "newsletter",
    "subject": 'New tea for {{ first_name | "you" }}',
    "body": "Hello,\r\n\r\nthe new tea is **here**.\r\n",
    "format": "markdown",
}
NOTICE = {
    "topic": "account",
    "subject": "Your account moves",
    "body": "Hello,\n\nyour account moves.\n",
    "format": "markdown",
    "purpose": "account",
    "reason": "Everybody's account moves to the new shop.",
}


def campaigns(parts: Parts) -> list[Campaign]:
    with parts.db.reading() as session:
        return list(session.scalars(select(Campaign).order_by(Campaign.id)))


def test_the_form_offers_a_promotional_topic_first(browser: Browser, house: House) -> None:
    browser.sign_in_as(Role.DRAFT)
    page = browser.get("/staff/campaigns/new").text
    topics = re.findall(r'name="topic" value="([^"]+)" data-class="([^"]+)"( checked)?', page)
    assert topics == [
        ("newsletter", "promotional", " checked"),
        ("account", "administrative", ""),
    ]


def test_a_written_campaign_is_a_promotional_draft_of_its_author(
    browser: Browser, house: House, parts: Parts
) -> None:
    author = browser.sign_in_as(Role.DRAFT)
    page = browser.follow(browser.post("/staff/campaigns/new", **FORM))
    assert "New tea for Ada" in page  # the preview's subject
    (campaign,) = campaigns(parts)
    assert campaign.message_class is MessageClass.PROMOTIONAL
    assert campaign.author_id == author
    with parts.db.reading() as session:
        content = drafts.content(session, campaign)
        assert content.body_source == "Hello,\n\nthe new tea is **here**.\n"
        assert content.format is SourceFormat.MARKDOWN


def test_an_administrative_topic_makes_an_administrative_campaign(
    browser: Browser, house: House, parts: Parts
) -> None:
    browser.sign_in_as(Role.DRAFT)
    page = browser.follow(browser.post("/staff/campaigns/new", **NOTICE))
    assert "Waits for a second person" in page
    assert campaigns(parts)[0].message_class is MessageClass.ADMINISTRATIVE


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (FORM | {"subject": " "}, "needs a topic, a subject and a text"),
        (FORM | {"body": ""}, "needs a topic, a subject and a text"),
        (FORM | {"topic": ""}, "needs a topic, a subject and a text"),
        (FORM | {"topic": "nonesuch"}, "no topic"),
        (FORM | {"format": "word"}, "isn’t one of those offered"),
        (FORM | {"body": "Hello {{ shoe_size }}"}, "shoe_size"),
        (FORM | {"purpose": "account"}, "promotional"),
        (NOTICE | {"purpose": ""}, "legal purpose"),
        (NOTICE | {"purpose": "profit"}, "isn’t one of those offered"),
        (NOTICE | {"reason": "why not"}, "at least 10 characters"),
    ],
)
def test_what_is_wrong_is_told_beside_what_was_written(
    browser: Browser, house: House, parts: Parts, form: dict[str, str], told: str
) -> None:
    browser.sign_in_as(Role.DRAFT)
    response = browser.post("/staff/campaigns/new", **form)
    assert response.status_code == 400
    assert told in response.text
    if form["subject"].strip():
        assert form["subject"].split(" {{")[0] in response.text
    assert campaigns(parts) == []


def test_a_text_that_looks_like_a_page_stays_a_text(browser: Browser, house: House) -> None:
    browser.sign_in_as(Role.DRAFT)
    evil = "</textarea><script>alert(1)</script>"
    page = browser.post("/staff/campaigns/new", **FORM | {"body": evil, "topic": "x"}).text
    assert "<script>alert" not in page


def test_an_edit_shows_what_stands_and_stores_what_is_new(
    browser: Browser, house: House, parts: Parts, write: Callable[..., int]
) -> None:
    number = write(subject="Old words")
    editor = browser.sign_in_as(Role.DRAFT)
    page = browser.get(f"/staff/campaigns/{number}/edit").text
    assert 'value="Old words"' in page
    assert "the new tea is here." in page
    told = browser.follow(
        browser.post(f"/staff/campaigns/{number}/edit", **FORM | {"subject": "New words"})
    )
    assert "New words" in told
    (campaign,) = campaigns(parts)
    assert campaign.revision == 2
    assert campaign.editor_id == editor


def test_an_edit_cannot_move_a_campaign_to_another_class(
    browser: Browser, house: House, parts: Parts, write: Callable[..., int]
) -> None:
    number = write()
    browser.sign_in_as(Role.DRAFT)
    response = browser.post(f"/staff/campaigns/{number}/edit", **NOTICE)
    assert response.status_code == 400
    assert "keeps its topic" in response.text
    assert campaigns(parts)[0].message_class is MessageClass.PROMOTIONAL
