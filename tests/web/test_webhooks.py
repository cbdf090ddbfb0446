"""The vendor's webhook: only what the vendor signed, stored before it is acknowledged."""

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from mailprefs import events
from mailprefs.app import create_app
from mailprefs.db.database import Database, Gate
from mailprefs.errors import StoreUnavailable
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxFact, SoftBounce, VendorEventRow
from mailprefs.schema.opens import Open
from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed

PATH = "/webhooks/sendgrid/events"
KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def public(key: ec.EllipticCurvePrivateKey) -> str:
    raw = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(raw).decode()


def with_key(parts: Parts, text: str) -> FlaskClient:
    settings = parts.settings.model_copy(update={"sendgrid_webhook_key": text})
    return create_app(replace(parts, settings=settings)).test_client()


@dataclass
class Vendor:
    """Somebody who posts events to the webhook, signed, about one reader's message."""

    client: FlaskClient
    reader: Reader
    clock: Clock

    def post(
        self,
        body: bytes,
        *,
        to: FlaskClient | None = None,
        key: ec.EllipticCurvePrivateKey = KEY,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        timestamp = str(int(self.clock.now.timestamp()))
        signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        signed = {
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: base64.b64encode(signature).decode(),
        }
        return (to or self.client).post(
            PATH,
            data=body,
            headers=signed if headers is None else headers,
            content_type="application/json",
        )

    def event(self, **more: object) -> dict[str, object]:
        """Give one of the reader's message, delivered unless *more* says otherwise."""
        return {
            "event": "delivered",
            "email": self.reader.address,
            "ip": "203.0.113.9",
            "useragent": "Zebra/1",
            "timestamp": int(self.clock.now.timestamp()),
            "sg_event_id": "event-1",
            "mp_delivery": str(self.reader.delivery_id),
        } | more


@pytest.fixture
def vendor(parts: Parts, reader: Reader, clock: Clock) -> Vendor:
    return Vendor(with_key(parts, public(KEY)), reader, clock)


def body_of(*events: dict[str, object]) -> bytes:
    # As the vendor writes it: line ends between events and at the end are signed, too.
    return b"[" + b",\r\n".join(json.dumps(event).encode() for event in events) + b"]\r\n"


def test_a_signed_event_is_stored_and_applied_before_the_answer(
    vendor: Vendor, db: Database, reader: Reader
) -> None:
    response = vendor.post(body_of(vendor.event()))
    assert response.status_code == 200
    with db.reading() as session:
        assert session.query(VendorEventRow).one().delivery_id == reader.delivery_id
        fact = session.query(MailboxFact).one()
    assert (fact.delivery_id, fact.event) == (reader.delivery_id, "delivered")


def test_a_copy_is_acknowledged_and_counts_nothing(vendor: Vendor, db: Database) -> None:
    body = body_of(vendor.event())
    assert vendor.post(body).status_code == 200
    after = snapshot(db)
    assert vendor.post(body).status_code == 200
    assert snapshot(db) == after


def test_nothing_personal_of_an_event_is_stored(vendor: Vendor, db: Database) -> None:
    vendor.post(body_of(vendor.event(response="250 jane.doe@example.com OK")))
    stored = "".join(snapshot(db)["vendor_events"])
    for secret in ("jane.doe", "203.0.113.9", "Zebra"):
        assert secret not in stored


def test_the_vendors_opens_are_never_opens(vendor: Vendor, db: Database) -> None:
    opened = vendor.event(event="open")
    assert vendor.post(body_of(opened)).status_code == 200
    with db.reading() as session:
        assert session.query(Open).count() == 0
        assert session.query(MailboxFact).count() == 0


def test_what_the_vendor_did_not_sign_is_refused_unread(vendor: Vendor, db: Database) -> None:
    before = snapshot(db)
    body = body_of(vendor.event())
    headers = {TIMESTAMP_HEADER: "1", SIGNATURE_HEADER: "AAAA"}
    attempts = [
        vendor.post(body, key=OTHER_KEY),
        vendor.post(body, headers={}),
        vendor.post(body, headers=headers),
        vendor.post(body, headers=headers | {SIGNATURE_HEADER: "not base64 ä"}),
        vendor.post(b"rubbish", key=OTHER_KEY),
    ]
    assert {attempt.status_code for attempt in attempts} == {403}
    assert {attempt.content_type for attempt in attempts} == {"application/json"}
    assert snapshot(db) == before


def test_a_changed_body_is_refused(
    vendor: Vendor, db: Database, reader: Reader, clock: Clock
) -> None:
    timestamp = str(int(clock.now.timestamp()))
    body = body_of(vendor.event())
    signature = KEY.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: base64.b64encode(signature).decode(),
    }
    assert vendor.client.post(PATH, data=body.rstrip(), headers=headers).status_code == 403
    assert vendor.client.post(PATH, data=body, headers=headers).status_code == 200


def test_without_a_key_nothing_is_accepted_and_the_log_says_why(
    parts: Parts, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = vendor.post(body_of(vendor.event()), to=with_key(parts, " , "))
    assert response.status_code == 403
    assert "MAILPREFS_SENDGRID_WEBHOOK_KEY" in caplog.text


def test_two_keys_hold_while_one_replaces_the_other(
    parts: Parts, vendor: Vendor, reader: Reader, clock: Clock
) -> None:
    client = with_key(parts, f"{public(OTHER_KEY)}, {public(KEY)}")
    body = body_of(vendor.event())
    assert vendor.post(body, to=client, key=KEY).status_code == 200
    assert vendor.post(body, to=client, key=OTHER_KEY).status_code == 200
    third = ec.generate_private_key(ec.SECP256R1())
    assert vendor.post(body, to=client, key=third).status_code == 403


def test_signed_rubbish_is_refused_for_good(vendor: Vendor) -> None:
    for body in (b"", b"rubbish", b"{}", b'"text"', b"[", b"\xff\xfe", b"null"):
        assert vendor.post(body).status_code == 400, body


def test_one_bad_event_does_not_spoil_the_others(vendor: Vendor, db: Database) -> None:
    response = vendor.post(body_of({"event": "delivered"}, vendor.event()))
    assert response.status_code == 200
    assert response.json == {"events": 1, "set_aside": 1}
    with db.reading() as session:
        assert session.query(MailboxFact).count() == 1


def test_an_unreadable_event_is_kept_as_a_sentence_once_and_holds_nothing_personal(
    vendor: Vendor, db: Database
) -> None:
    broken = vendor.event(timestamp="yesterday, says jane.doe")
    for _ in range(3):
        assert vendor.post(body_of(broken, {"event": "open"})).status_code == 200
    with db.reading() as session:
        kept = [(one.sentence, one.n) for one in events.malformed(session)]
    assert kept == [("It doesn't say when it happened.", 2)]
    assert "jane.doe" not in repr(snapshot(db)["malformed_events"])


def test_a_complaint_is_in_force_when_it_is_acknowledged(
    vendor: Vendor, db: Database, reader: Reader
) -> None:
    assert vendor.post(body_of(vendor.event(event="spamreport"))).status_code == 200
    assert subscribed(db, reader) == set()


def test_a_signed_event_of_another_installation_is_acknowledged_and_changes_nobody(
    vendor: Vendor, db: Database, reader: Reader
) -> None:
    before = subscribed(db, reader)
    for word in ("spamreport", "unsubscribe", "bounce", "delivered"):
        theirs = vendor.event(event=word, email="x@example.net", sg_event_id=word)
        assert vendor.post(body_of(theirs)).status_code == 200
    assert subscribed(db, reader) == before
    with db.reading() as session:
        assert session.query(MailboxFact).count() == 0
        assert {one.delivery_id for one in session.query(VendorEventRow)} == {None}


def test_a_delivery_told_late_may_hold_somebody_back_and_is_acknowledged(
    vendor: Vendor, db: Database, reader: Reader, clock: Clock
) -> None:
    with db.transaction() as session:
        whom = session.get(Delivery, reader.delivery_id)
        assert whom is not None
        session.add_all(
            SoftBounce(
                delivery_id=(900 + day) << 32 | 1,
                recipient_id=whom.recipient_id,
                occurred_at=clock.now - timedelta(days=day),
            )
            for day in (1, 2, 3)
        )
    assert vendor.post(body_of(vendor.event())).status_code == 200
    earlier = int((clock.now - timedelta(days=5)).timestamp())
    copy = vendor.event(timestamp=earlier, sg_event_id="event-2")
    assert vendor.post(body_of(copy)).status_code == 200
    with db.reading() as session:
        assert [one.reason.value for one in session.query(Suppression)] == ["soft_bounces"]


def test_a_request_that_broke_off_is_asked_for_again_and_nothing_is_lost(
    parts: Parts, vendor: Vendor, reader: Reader
) -> None:
    class BreaksOff(Database):
        """Is gone after its first transaction."""

        left = 1

        @contextmanager
        def transaction(self, gate: Gate = Gate.NONE, *, durable: bool = True) -> Iterator[Session]:
            if self.left == 0:
                raise StoreUnavailable("gone")
            self.left -= 1
            with super().transaction(gate, durable=durable) as session:
                yield session

    breaking = BreaksOff(parts.settings.database)
    body = body_of(
        vendor.event(),
        vendor.event(event="spamreport", sg_event_id="event-2"),
    )
    assert (
        vendor.post(body, to=with_key(replace(parts, db=breaking), public(KEY))).status_code == 503
    )
    assert subscribed(parts.db, reader) == set(), "what takes a permission away goes first"
    with parts.db.reading() as session:
        assert session.query(VendorEventRow).count() == 1
    assert vendor.post(body).status_code == 200
    with parts.db.reading() as session:
        told = sorted(one.event for one in session.query(MailboxFact))
    assert told == ["complained", "delivered"]
    breaking.close()


def test_too_much_at_once_is_refused_and_a_full_batch_is_not(
    vendor: Vendor, reader: Reader, clock: Clock
) -> None:
    padding = {"padding": "x" * 400_000}
    assert vendor.post(body_of(vendor.event() | padding)).status_code == 200
    assert vendor.post(b"[" + b" " * (2 * 1024 * 1024) + b"]").status_code == 413


def test_what_could_not_be_stored_is_asked_for_again(
    parts: Parts, vendor: Vendor, reader: Reader, clock: Clock
) -> None:
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    response = vendor.post(body_of(vendor.event()), to=with_key(lost, public(KEY)))
    assert response.status_code == 503
    assert response.content_type == "application/json"
