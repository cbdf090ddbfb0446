"""Two letterheads, an origin, and people whose names make trouble."""

from collections.abc import Callable

import pytest

from mailprefs.links import Links
from mailprefs.policy import LegalPurpose, MessageClass, TrackingMode
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.rendering.person import Origin, Person

CAMPAIGN = 7


@pytest.fixture
def newsletter() -> Letterhead:
    return Letterhead(
        message_class=MessageClass.PROMOTIONAL,
        sender_name="Fernweh Books",
        topic_name="Reading List",
        postal_address="Fernweh Books GmbH\nLindenstraße 12\n10115 Berlin",
        policy_url="https://books.example.com/privacy",
        contact="hello@books.example.com",
    )


@pytest.fixture
def notice() -> Letterhead:
    return Letterhead(
        message_class=MessageClass.ADMINISTRATIVE,
        sender_name="Fernweh Books",
        topic_name="Account",
        postal_address="Fernweh Books GmbH\nLindenstraße 12\n10115 Berlin",
        policy_url="https://books.example.com/privacy",
        contact="hello@books.example.com",
        purpose=LegalPurpose.POLICY_CHANGE,
    )


@pytest.fixture
def links() -> Links:
    return Links([bytes(range(32))])


@pytest.fixture
def origin(links: Links) -> Origin:
    return Origin(
        links=links,
        base_url="https://mail.books.example.com",
        campaign_id=CAMPAIGN,
        topic_id=3,
        topic_slug="reading-list",
        topic_name="Reading List",
        from_address="letter@news.books.example.com",
        from_name="Fernweh Books",
        reply_to="hello@books.example.com",
    )


@pytest.fixture
def person() -> Callable[..., Person]:
    def make(ordinal: int = 1, mode: TrackingMode = TrackingMode.OFF, **fields: str) -> Person:
        return Person(
            recipient_id=1000 + ordinal,
            address=f"reader{ordinal}@example.net",
            first_name=fields.pop("first_name", "Ana"),
            last_name=fields.pop("last_name", "Brandt"),
            attributes=fields,
            language="en",
            delivery_id=CAMPAIGN << 32 | ordinal,
            mode=mode,
        )

    return make
