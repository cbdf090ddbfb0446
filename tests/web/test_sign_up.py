"""Signing up by page or by a form elsewhere: the mailbox answers, and the page tells nobody."""

import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from mailprefs import consent, recipients, suppressions
from mailprefs.consent import Recorded
from mailprefs.db.database import Database, Gate
from mailprefs.policy import AddressOrigin, Source, SuppressionReason
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import PolicyVersion, Wording
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.people import Recipient, SignUp, Topic
from mailprefs.web.parts import Parts
from mailprefs.web.sign_up import LEAST_SECONDS, WORDS
from tests.preferences.people import states
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed

PATH = "/subscribe"
NEW = "new.person@example.com"


def sign_up(client: FlaskClient, address: str = NEW, *topics: str, **more: str) -> TestResponse:
    data = {"address": address, "topic": list(topics) or ["newsletter"], **more}
    return client.post(PATH, data=data)


def find(parts: Parts, address: str = NEW) -> Recipient | None:
    with parts.db.reading() as session:
        return recipients.find(session, parts.hasher, address)


def person(parts: Parts, address: str = NEW) -> Recipient:
    found = find(parts, address)
    assert found is not None
    return found


def mails(db: Database, template: str = "confirmation") -> list[int | None]:
    """Give to whom messages of a kind are on their way."""
    with db.reading() as session:
        query = select(Delivery.recipient_id).join(Campaign, Campaign.id == Delivery.campaign_id)
        return list(session.scalars(query.where(Campaign.template == template)))


def link(db: Database, recipient_id: int) -> str:
    """Give the path of the last confirmation link to one person."""
    with db.reading() as session:
        values = session.scalars(
            select(SingleValues.values)
            .join(Delivery, Delivery.id == SingleValues.delivery_id)
            .where(Delivery.recipient_id == recipient_id)
            .order_by(Delivery.id)
        ).all()
    return urlsplit(str(values[-1]["confirm_url"])).path


def entries(db: Database, recipient_id: int) -> list[Recorded]:
    with db.reading() as session:
        return consent.history(session, recipient_id)


def suppress(parts: Parts, address: str, reason: SuppressionReason) -> None:
    with parts.db.transaction(Gate.TAKING) as session:
        hashed = parts.hasher.hash(address)
        suppressions.add(session, hashed, 1, reason, Source.STAFF, now=parts.clock())


def test_the_page_shows_topics_unticked_with_words_policy_and_version(
    client: FlaskClient, db: Database, reader: Reader
) -> None:
    before = snapshot(db)
    page = client.get(PATH).text
    assert page.count('type="checkbox"') == 3
    assert " checked" not in page
    assert WORDS in page
    with db.reading() as session:
        version = session.scalars(select(PolicyVersion.version)).one()
    assert f"<bdi>{version}</bdi>" in page
    assert "Your account" not in page
    assert snapshot(db) == before


def test_a_page_can_be_for_some_topics(client: FlaskClient, reader: Reader) -> None:
    page = client.get(f"{PATH}?topic=events").text
    assert 'value="events"' in page
    assert 'value="newsletter"' not in page
    assert 'value="newsletter"' in client.get(f"{PATH}?topic=unknown").text


def test_an_unknown_address_waits_and_gets_one_mail_and_nothing_else(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    assert sign_up(client, form="footer").status_code == 200
    new = person(parts)
    assert new.address_origin is AddressOrigin.UNCONFIRMED
    assert new.language == "en"
    assert new.region is None
    assert states(parts.db, new.id) == {reader.topic_id: "pending"}
    assert mails(parts.db) == [new.id]
    (one,) = [one.entry for one in entries(parts.db, new.id)]
    assert (one.source, one.method, one.source_ref) == (
        Source.SIGN_UP,
        "ticked_checkbox",
        "form footer",
    )
    assert one.wording is not None
    with parts.db.reading() as session:
        assert session.get_one(Wording, one.wording.id).text == WORDS


def test_opening_the_link_confirms_nothing_and_the_button_does(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    sign_up(client)
    new = person(parts)
    path = link(parts.db, new.id)
    before = snapshot(parts.db)
    page = client.get(path)
    assert "Newsletter" in page.text
    assert NEW not in page.text
    client.head(path)
    client.options(path)
    assert snapshot(parts.db) == before
    done = client.post(path, data={"topic": "newsletter"})
    assert "You are signed up" in done.text
    assert states(parts.db, new.id) == {reader.topic_id: "subscribed"}
    assert person(parts).address_origin is AddressOrigin.CONFIRMED
    last = entries(parts.db, new.id)[-1].entry
    assert (last.old, last.new, last.source) == ("pending", "subscribed", Source.SIGN_UP)
    assert last.method == "confirmation_link"
    assert last.wording is not None
    assert mails(parts.db, "welcome") == [new.id]


def test_a_second_press_changes_nothing_also_after_leaving(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    sign_up(client)
    new = person(parts)
    path = link(parts.db, new.id)
    client.post(path, data={"topic": "newsletter"})
    client.post(parts.links.unsubscribe_path(new.id, reader.topic_id, 0))
    assert states(parts.db, new.id) == {reader.topic_id: "unsubscribed"}
    before = snapshot(parts.db)
    assert "Nothing waits" in client.post(path, data={"topic": "newsletter"}).text
    assert snapshot(parts.db) == before


def test_only_what_the_page_listed_is_confirmed(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    sign_up(client, NEW, "newsletter")
    sign_up(client, NEW, "offers")
    new = person(parts)
    path = link(parts.db, new.id)
    client.post(path, data={"topic": ["newsletter", "events", "account", "x' OR 1=1"]})
    told = states(parts.db, new.id)
    assert told[reader.topic_id] == "subscribed"
    assert sorted(told.values()) == ["pending", "subscribed"]


def test_a_link_is_good_for_three_days(
    client: FlaskClient, parts: Parts, reader: Reader, clock: Clock
) -> None:
    sign_up(client)
    new = person(parts)
    path = link(parts.db, new.id)
    clock.now += timedelta(hours=10)
    sign_up(client, NEW, "offers")
    clock.now += timedelta(hours=62)
    assert "One more step" in client.get(path).text
    clock.now += timedelta(seconds=1)
    assert "Nothing waits" in client.get(path).text
    before = snapshot(parts.db)
    assert "Nothing waits" in client.post(path, data={"topic": "newsletter"}).text
    assert snapshot(parts.db) == before


def test_an_address_gets_one_confirmation_a_day(
    client: FlaskClient, parts: Parts, reader: Reader, clock: Clock
) -> None:
    for hours, so_many in ((0, 1), (1, 1), (22, 1), (1, 2), (23, 2), (1, 3)):
        clock.now += timedelta(hours=hours)
        sign_up(client)
        assert len(mails(parts.db)) == so_many


def test_known_unknown_held_back_and_erased_addresses_get_the_same_answer(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    suppress(parts, "bounced@example.com", SuppressionReason.HARD_BOUNCE)
    suppress(parts, "erased@example.com", SuppressionReason.ERASED)
    suppress(parts, "left@example.com", SuppressionReason.UNSUBSCRIBED)
    told = [
        sign_up(client, address)
        for address in (
            reader.address,
            NEW,
            "bounced@example.com",
            "erased@example.com",
            "left@example.com",
        )
    ]
    assert {(one.status_code, one.text) for one in told} == {(200, told[0].text)}
    assert len({str(list(one.headers)) for one in told}) == 1
    assert len(mails(parts.db)) == 5


def test_no_answer_comes_so_soon_that_it_tells_who_is_known(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    for address, more in ((reader.address, {}), (NEW, {}), (NEW, {"website": "x"})):
        began = time.monotonic()
        sign_up(client, address, **more)
        assert time.monotonic() - began >= LEAST_SECONDS


def test_a_stranger_changes_nothing_of_somebody_on_file(
    client: FlaskClient, parts: Parts, reader: Reader, unsubscribe_path: str
) -> None:
    client.post(unsubscribe_path)
    before = states(parts.db, reader.id), entries(parts.db, reader.id)
    sign_up(client, reader.address, "newsletter", "offers", region="DE")
    assert (states(parts.db, reader.id), entries(parts.db, reader.id)) == before
    assert subscribed(parts.db, reader) == set()
    assert person(parts, reader.address).region is None


def test_who_left_comes_back_through_their_mailbox_to_what_they_picked_only(
    client: FlaskClient, parts: Parts, reader: Reader, unsubscribe_path: str
) -> None:
    client.post(unsubscribe_path)
    sign_up(client, reader.address, "events")
    client.post(link(parts.db, reader.id), data={"topic": "events"})
    assert subscribed(parts.db, reader) == {"events"}


def test_who_was_erased_lets_themselves_back_in(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    suppress(parts, NEW, SuppressionReason.ERASED)
    sign_up(client)
    new = person(parts)
    with parts.db.reading() as session:
        assert [one.reason for one in suppressions.of(session, new.address_hash)] == ["erased"]
    client.post(link(parts.db, new.id), data={"topic": "newsletter"})
    with parts.db.reading() as session:
        assert suppressions.of(session, new.address_hash) == []


@pytest.mark.parametrize(
    "reason", [SuppressionReason.COMPLAINED, SuppressionReason.HARD_BOUNCE], ids=str
)
def test_what_a_mailbox_or_a_complaint_holds_back_stays_with_staff(
    client: FlaskClient, parts: Parts, reader: Reader, reason: SuppressionReason
) -> None:
    suppress(parts, reader.address, reason)
    sign_up(client, reader.address, "offers")
    page = client.post(link(parts.db, reader.id), data={"topic": "offers"}).text
    assert "held back at present" in page
    with parts.db.reading() as session:
        hashed = parts.hasher.hash(reader.address)
        assert [one.reason for one in suppressions.of(session, hashed)] == [reason]


def test_a_filled_trap_is_answered_alike_and_stores_nothing(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    before = snapshot(parts.db)
    caught = sign_up(client, website="https://example.com")
    assert snapshot(parts.db) == before
    assert caught.text == sign_up(client).text


def test_the_21st_sign_up_of_an_hour_is_told_to_wait(
    client: FlaskClient, parts: Parts, reader: Reader, clock: Clock
) -> None:
    for number in range(20):
        assert sign_up(client, f"somebody{number}@example.com").status_code == 200
    before = snapshot(parts.db)
    assert sign_up(client).status_code == 429
    assert snapshot(parts.db) == before
    clock.now += timedelta(hours=1)
    assert sign_up(client).status_code == 200


BAD = ["", "jane", "%@' OR 1=1 --", "a@b@example.com", "x" * 10_000, "a\x00b@example.com"]


@pytest.mark.parametrize("text", [*BAD, '"><svg onload=alert(1)>@example.com'])
def test_what_is_no_address_gets_a_sentence_and_the_form_again(
    client: FlaskClient, parts: Parts, reader: Reader, text: str
) -> None:
    before = snapshot(parts.db)
    answer = sign_up(client, text)
    assert answer.status_code == 400
    assert "Something is missing" in answer.text
    assert 'value="newsletter" checked' in answer.text
    assert "<svg" not in answer.text
    assert snapshot(parts.db) == before


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"address": NEW}, "Tick at least one box"),
        ({}, "Tick at least one box"),
        ({"address": NEW, "topic": "account"}, "can’t be subscribed to"),
        ({"address": NEW, "topic": "x\x00y' --"}, "can’t be subscribed to"),
        ({"address": NEW, "topic": ["newsletter", "no-such"]}, "can’t be subscribed to"),
    ],
)
def test_a_form_without_a_tick_or_with_another_topic_is_told_so(
    client: FlaskClient, parts: Parts, reader: Reader, form: dict[str, str], sentence: str
) -> None:
    before = snapshot(parts.db)
    answer = client.post(PATH, data=form)
    assert answer.status_code == 400
    assert sentence in answer.text
    assert snapshot(parts.db) == before


def test_foreign_fields_and_names_do_no_harm(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    more = {"form": "<b>'%" * 3000, "region": "nowhere" * 99, "state": "subscribed", "id": "1"}
    assert sign_up(client, **more).status_code == 200
    new = person(parts)
    assert new.region is None
    with parts.db.reading() as session:
        assert session.scalars(select(SignUp.source_ref)).all() == [None]


def test_region_and_language_are_those_of_the_form(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    client.post(f"{PATH}?lang=de", data={"address": NEW, "topic": "events", "region": "at"})
    new = person(parts)
    assert (new.language, new.region) == ("de", "AT")


def test_a_mangled_link_has_a_way_forward(client: FlaskClient, reader: Reader) -> None:
    for path in ("/c/", "/c/rubbish", "/c/" + "A" * 35, "/c/%00%27", "/c/" + "x" * 9000):
        ask: Callable[[str], TestResponse]
        for ask in (client.get, client.post):
            answer = ask(path)
            assert answer.status_code == 200
            assert "doesn’t work any more" in answer.text


def test_what_staff_forgot_to_set_up_is_answered_alike(
    client: FlaskClient, parts: Parts, reader: Reader
) -> None:
    with parts.db.transaction() as session:
        session.query(Topic).where(Topic.slug == "account").delete()
    known, unknown = sign_up(client, reader.address), sign_up(client)
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert known.status_code == 409
    assert "mailprefs" not in known.text.split("<main", 1)[1]
    assert find(parts) is None


def test_a_form_of_another_site_is_taken(client: FlaskClient, parts: Parts, reader: Reader) -> None:
    data = {"address": NEW, "topic": "newsletter", "form": "embedded"}
    for origin in ("https://shop.example.com", "null"):
        assert client.post(PATH, data=data, headers={"Origin": origin}).status_code == 200
    assert mails(parts.db) == [person(parts).id]
