"""Erasing oneself: only who opens one's mailbox can, by a button, once, and without a way back."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from mailprefs import audit, privacy, recipients
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.policy import DataRequest, SuppressionReason
from mailprefs.privacy import holds, requests
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import Delivery
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, request_path, subscribed

GONE = "This link doesn’t work any more"


@pytest.fixture
def link(parts: Parts, reader: Reader) -> str:
    """Give the path of a link that was mailed to the reader."""
    return request_path(parts, reader, DataRequest.ERASE)


def mailed(db: Database) -> list[int | None]:
    """Give to whom links for erasing are on their way."""
    with db.reading() as session:
        found = (
            select(Delivery.recipient_id)
            .join(Campaign, Campaign.id == Delivery.campaign_id)
            .where(Campaign.template == "erasure_link")
        )
        return list(session.scalars(found))


def is_known(db: Database, reader: Reader) -> bool:
    with db.reading() as session:
        return recipients.by_id(session, reader.id) is not None


def test_asking_on_the_preference_page_mails_a_link_and_erases_nothing(
    client: FlaskClient, db: Database, reader: Reader, preferences_path: str, clock: Clock
) -> None:
    """Whoever has a forwarded message has that page: it must not be enough."""
    first, again = (client.post(preferences_path, data={"choice": "erase"}) for _ in range(2))
    assert '<h1 id="said" tabindex="-1">Look into your mailbox</h1>' in first.text
    assert first.text == again.text, "it doesn't say whether one went already"
    assert mailed(db) == [reader.id]
    assert subscribed(db, reader) == {"newsletter", "events"}
    clock.now += timedelta(days=2)
    client.post(preferences_path, data={"choice": "erase"})
    assert mailed(db) == [reader.id, reader.id]


def test_a_program_that_opens_the_link_changes_nothing(
    client: FlaskClient, db: Database, link: str
) -> None:
    before = snapshot(db)
    for _ in range(3):
        page = client.get(link)
        client.head(link)
        client.options(link)
    assert "Erase everything about you?" in page.text
    assert "jane" not in page.text.lower()
    assert snapshot(db) == before


def test_the_button_erases_and_the_page_works_though_the_person_is_gone(
    client: FlaskClient, parts: Parts, reader: Reader, link: str, unsubscribe_path: str
) -> None:
    page = client.post(f"{link}?lang=de")
    assert page.status_code == 200
    assert '<h1 id="said" tabindex="-1">Alles über Sie ist gelöscht</h1>' in page.text
    assert not is_known(parts.db, reader)
    with parts.db.reading() as session:
        kept = session.scalars(select(Suppression)).one()
        assert kept.reason is SuppressionReason.ERASED
        assert privacy.of(session, parts.hasher, reader.address) is not None
        (noted,) = audit.of(session, ("recipient", reader.id))
        assert (noted.action, noted.staff_id, noted.door) == ("recipient.erased", None, "page")
    assert GONE in client.get(unsubscribe_path).text
    assert GONE in client.get(link).text
    assert GONE in client.post(link).text, "the button pressed twice"


def test_an_old_link_erases_nobody(
    client: FlaskClient, db: Database, reader: Reader, link: str, clock: Clock
) -> None:
    clock.now += requests.LINK_HOLDS
    assert GONE in client.get(link).text
    assert GONE in client.post(link).text
    assert is_known(db, reader)


@pytest.mark.parametrize("token", ["", "damaged", "x" * 9_000, "%00", "a/b"])
def test_a_damaged_link_says_so_and_erases_nobody(
    client: FlaskClient, db: Database, reader: Reader, token: str
) -> None:
    assert GONE in client.get(f"/e/{token}").text
    assert GONE in client.post(f"/e/{token}").text
    assert is_known(db, reader)


def test_a_link_for_ones_data_does_not_erase(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    token = request_path(parts, reader, DataRequest.EXPORT).rpartition("/")[2]
    assert GONE in client.post(f"/e/{token}").text
    assert is_known(parts.db, reader)


def test_a_legal_hold_puts_it_off_and_the_page_says_so(
    client: FlaskClient, parts: Parts, reader: Reader, link: str, clock: Clock
) -> None:
    with parts.db.transaction(Gate.TAKING) as session:
        holds.place(session, reader.id, CONSOLE, reason="A court has ordered it.", now=clock.now)
    assert "We have noted it" in client.post(link).text
    assert is_known(parts.db, reader)
    with parts.db.reading() as session:
        held = session.scalar(select(func.count()).where(Suppression.reason == "erased"))
    assert held == 1, "no mail goes to the person from now on"
