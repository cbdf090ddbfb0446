"""A browser at the staff pages, and a company that has something to write about."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask

from mailprefs.audit import Actor
from mailprefs.campaigns import drafts
from mailprefs.campaigns.drafts import Company, Draft
from mailprefs.policy import LegalPurpose, MessageClass, Role, SubscriptionState
from mailprefs.web.parts import Parts
from tests.factories import (
    make_policy,
    make_recipient,
    make_sender,
    make_staff,
    make_topic,
    subscribe,
)
from tests.web.staff.browsing import Browser

HELLO = 'Hello {{ first_name | "there" }},\n\nthe new tea is here.\n'


@dataclass(frozen=True)
class House:
    """A company: an author, a topic of each class, and three readers, one of whom has left."""

    author_id: int
    newsletter_id: int
    readers: tuple[int, ...]


@pytest.fixture
def browser(app: Flask, parts: Parts) -> Browser:
    return Browser(app, parts)


@pytest.fixture
def house(parts: Parts) -> House:
    with parts.db.transaction() as session:
        make_policy(session)
        sender = make_sender(session, name="Harbour Tea")
        newsletter = make_topic(session, "newsletter", sender_id=sender.id)
        make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        readers: list[int] = []
        for name in ("Ada", None, "Grace"):
            person = make_recipient(
                session, f"reader{len(readers)}@example.org", hasher=parts.hasher, first_name=name
            )
            state = SubscriptionState.SUBSCRIBED
            if name == "Grace":
                state = SubscriptionState.UNSUBSCRIBED
            subscribe(session, person, newsletter, state)
            readers.append(person.id)
        author = make_staff(session, Role.DRAFT)
        return House(author.id, newsletter.id, tuple(readers))


@pytest.fixture
def write(parts: Parts, house: House) -> Callable[..., int]:
    """Give a function that stores a draft of the house's author and gives its number."""

    def stored(topic: str = "newsletter", subject: str = "New tea", body: str = HELLO) -> int:
        administrative = topic == "account"
        draft = Draft(
            topic=topic,
            subject=subject,
            body=body,
            purpose=LegalPurpose.ACCOUNT if administrative else None,
            reason="Everybody's account moves to the new shop." if administrative else None,
        )
        with parts.db.transaction() as session:
            return drafts.create(
                session,
                draft,
                Actor(house.author_id, "page"),
                company=Company("hello@example.com", "UTC"),
                now=parts.clock(),
            )

    return stored
