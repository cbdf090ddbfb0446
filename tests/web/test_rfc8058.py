"""The header POST in every form in which it comes, and links that have seen better days."""

import itertools
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from mailprefs.app import build, create_app
from mailprefs.db.database import Database
from mailprefs.policy import Role
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.people import Recipient, Subscription, Topic
from mailprefs.web.parts import Parts
from mailprefs.web.unsubscribe import ONE_CLICK_ANSWER
from tests.factories import make_recipient, make_sent, subscribe
from tests.snapshots import snapshot
from tests.web.conftest import TOKEN_KEY, Clock, NoVendor, Reader, subscribed
from tests.web.staff.browsing import BASE, Browser

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
)
ONE_CLICK = b"List-Unsubscribe=One-Click"

FORMS: dict[str, tuple[str | None, bytes]] = {
    "urlencoded": (URLENCODED, ONE_CLICK),
    "multipart": ("multipart/form-data; boundary=b", MULTIPART),
    "empty": (URLENCODED, b""),
    "text": ("text/plain", ONE_CLICK),
    "no type": (None, ONE_CLICK),
    "extra fields": (URLENCODED, ONE_CLICK + b"&a=1&a=2&List-Unsubscribe=Never&csrf_token=x"),
}
FROM: dict[str, dict[str, str]] = {
    "a server": {},
    "a foreign page": {"Origin": "https://elsewhere.example.net"},
    "a page without a name": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "behind a proxy": {"X-Forwarded-For": "2001:db8::1", "Forwarded": 'for="[2001:db8::1]:9"'},
}


ADDRESSES = ("203.0.113.9", "2001:db8::7", "::ffff:203.0.113.9")


def another(parts: Parts, reader: Reader) -> Reader:
    """Give somebody else who got the same message and is subscribed to the same topics."""
    with parts.db.transaction() as session:
        person = make_recipient(session, hasher=parts.hasher)
        for topic_id in (reader.topic_id, reader.other_topic_id):
            subscribe(session, person, session.get_one(Topic, topic_id))
        (delivery_id,) = make_sent(session, session.query(Campaign).one(), [person])
        return replace(reader, id=person.id, address=person.address, delivery_id=delivery_id)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_from_everywhere_three_times(
    client: FlaskClient, parts: Parts, reader: Reader, form: str
) -> None:
    content_type, body = FORMS[form]
    for whence, ip in itertools.product(FROM, ADDRESSES):
        person = another(parts, reader)
        path = parts.links.unsubscribe_path(person.id, person.topic_id, person.delivery_id)
        assert subscribed(parts.db, person) == {"newsletter", "events"}
        for _ in range(3):
            response = client.post(
                path,
                data=body,
                content_type=content_type,
                headers=FROM[whence],
                environ_base={"REMOTE_ADDR": ip},
            )
            assert (response.status_code, response.text) == (200, ONE_CLICK_ANSWER), (whence, ip)
            assert "Set-Cookie" not in response.headers
            assert "Location" not in response.headers
        assert subscribed(parts.db, person) == set(), (whence, ip)
    assert subscribed(parts.db, reader) == {"newsletter", "events"}


def test_staff_who_are_signed_in_are_nobody_special(
    app: Flask, parts: Parts, reader: Reader, unsubscribe_path: str
) -> None:
    browser = Browser(app, parts)
    browser.sign_in_as(*Role)
    response = browser.client.post(unsubscribe_path, base_url=BASE, data=ONE_CLICK)
    assert (response.status_code, response.text) == (200, ONE_CLICK_ANSWER)
    assert "Set-Cookie" not in response.headers
    assert subscribed(parts.db, reader) == set()


def test_the_erased_and_the_forged_are_answered_alike_in_every_form(
    client: FlaskClient, db: Database, reader: Reader, unsubscribe_path: str
) -> None:
    with db.transaction() as session:
        session.query(Subscription).delete()
        session.query(Recipient).where(Recipient.id == reader.id).delete()
    before = snapshot(db)
    for content_type, body in FORMS.values():
        for path in (unsubscribe_path, unsubscribe_path[:-3], "/u/x"):
            response = client.post(path, data=body, content_type=content_type)
            assert (response.status_code, response.text) == (200, ONE_CLICK_ANSWER)
    assert snapshot(db) == before


def test_without_a_database_every_form_is_asked_for_again_and_never_held_up(
    parts: Parts, unsubscribe_path: str
) -> None:
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    client = create_app(lost).test_client()
    for content_type, body in [*FORMS.values()] * 5:
        response = client.post(unsubscribe_path, data=body, content_type=content_type)
        assert response.status_code == 503


def test_a_link_of_thirteen_months_two_keys_and_a_deleted_delivery_ago_still_works(
    parts: Parts, db: Database, reader: Reader, clock: Clock, unsubscribe_path: str
) -> None:
    with db.transaction() as session:
        session.query(Delivery).delete()
    clock.now += timedelta(days=396)
    newer = [sha256(f"key of year {year}".encode()).hexdigest() for year in (1, 2)]
    rotated = parts.settings.model_copy(
        update={"token_keys": SecretStr(",".join([TOKEN_KEY, *newer]))}
    )
    later = replace(build(rotated, vendor=NoVendor()), clock=clock)
    client = create_app(later).test_client()
    assert later.links.unsubscribe_path(1, 1, 1) != parts.links.unsubscribe_path(1, 1, 1)
    assert "doesn’t work any more" not in client.get(unsubscribe_path).text
    assert client.post(unsubscribe_path, data=ONE_CLICK).status_code == 200
    assert subscribed(db, reader) == set()
    later.spool.close()
    later.db.close()


def test_a_link_whose_key_is_gone_leads_to_a_way_forward(
    parts: Parts, reader: Reader, clock: Clock, unsubscribe_path: str
) -> None:
    other = SecretStr(sha256(b"a key of its own").hexdigest())
    settings = parts.settings.model_copy(update={"token_keys": other})
    gone = replace(build(settings, vendor=NoVendor()), clock=clock)
    client = create_app(gone).test_client()
    page = client.get(unsubscribe_path)
    assert page.status_code == 200
    assert "/fresh-link" in page.text
    assert client.post(unsubscribe_path, data=ONE_CLICK).status_code == 200
    assert subscribed(parts.db, reader) == {"newsletter", "events"}
    gone.spool.close()
    gone.db.close()
