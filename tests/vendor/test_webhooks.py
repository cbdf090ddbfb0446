import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from mailprefs.errors import BadInput, BadSetting, BadSignature
from mailprefs.vendor.message import Event, VendorEvent
from mailprefs.vendor.sendgrid import parse_events, verify_signature
from mailprefs.vendor.webhooks import check_freshness
from tests.factories import HASHER

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
OURS = ec.generate_private_key(ec.SECP256R1())
DELIVERY = 42 << 32 | 7


def text_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return base64.b64encode(
        key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).decode()


def signed(raw: bytes, timestamp: str) -> str:
    signature = OURS.sign(timestamp.encode() + raw, ec.ECDSA(hashes.SHA256()))
    return base64.b64encode(signature).decode()


def stamp(moment: datetime) -> str:
    return str(int(moment.timestamp()))


# The signature


def test_a_request_that_the_vendor_really_signed_passes_byte_for_byte() -> None:
    path = Path(__file__).parents[3] / "shared/contract/signed_event.json"
    if not path.exists():
        pytest.skip(f"the vendor's signed event isn't at {path}")
    real = json.loads(path.read_text())
    raw, moment = real["payload"].encode(), datetime.fromtimestamp(int(real["timestamp"]), UTC)
    key, signature, timestamp = real["public_key"], real["signature"], real["timestamp"]
    verify_signature(key, signature, timestamp, raw, now=moment)
    for others in (
        (real["wrong_key"], signature, timestamp, raw),
        (key, real["wrong_signature"], timestamp, raw),
        (key, signature, str(int(timestamp) + 1), raw),
        (key, signature, timestamp, raw.rstrip()),
        (key, signature, timestamp, json.dumps(json.loads(raw)).encode()),
    ):
        with pytest.raises(BadSignature, match="isn't signed"):
            verify_signature(*others, now=moment)
    (event,) = parse_events(raw).events
    assert event.kind is Event.REJECTED
    assert event.reason == "bounced"
    assert event.message_id == "LRzXl_NHStOGhQ4kofSm_A"


@pytest.mark.parametrize(
    ("signature", "timestamp"),
    [(None, None), (None, "1"), ("", "1"), ("no base64!", "1"), ("bm9uZQ==", "1"), ("ümlaut", "1")],
    ids=str,
)
def test_a_missing_or_broken_signature_is_refused(
    signature: str | None, timestamp: str | None
) -> None:
    with pytest.raises(BadSignature):
        verify_signature(text_of(OURS), signature, timestamp, b"[]", now=NOW)


@pytest.mark.parametrize("hours", [0, 24, -24])
def test_a_signature_of_the_last_day_is_fresh(hours: int) -> None:
    timestamp = stamp(NOW - timedelta(hours=hours))
    verify_signature(text_of(OURS), signed(b"[]", timestamp), timestamp, b"[]", now=NOW)


@pytest.mark.parametrize("hours", [26, -26])
def test_a_signature_of_another_day_is_refused(hours: int) -> None:
    timestamp = stamp(NOW - timedelta(hours=hours))
    with pytest.raises(BadSignature, match="too long ago"):
        verify_signature(text_of(OURS), signed(b"[]", timestamp), timestamp, b"[]", now=NOW)


def test_a_signed_time_that_is_none_is_refused_after_the_signature_and_not_before() -> None:
    with pytest.raises(BadSignature, match="too long ago"):
        verify_signature(text_of(OURS), signed(b"[]", "today"), "today", b"[]", now=NOW)
    with pytest.raises(BadSignature, match="isn't signed"):
        verify_signature(text_of(OURS), signed(b"[]", "1"), "today", b"[]", now=NOW)


def test_freshness_can_be_asked_by_itself() -> None:
    check_freshness(stamp(NOW - timedelta(hours=1)), now=NOW, freshness=timedelta(hours=2))
    with pytest.raises(BadSignature):
        check_freshness(stamp(NOW - timedelta(hours=3)), now=NOW, freshness=timedelta(hours=2))
    for text in ("", "-1", "٣", "1e3", "9" * 400):
        with pytest.raises(BadSignature):
            check_freshness(text, now=NOW)


RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    "key",
    ["", "no base64!", "bm9uZQ==", "-----BEGIN PUBLIC KEY-----", text_of(RSA), "ü"],
    ids=["none", "text", "no key", "pem", "rsa", "umlaut"],
)
def test_a_broken_key_is_our_fault_and_not_the_vendors(key: str) -> None:
    with pytest.raises(BadSetting, match="MAILPREFS_SENDGRID_WEBHOOK_KEY"):
        verify_signature(key, "bm9uZQ==", "1", b"[]", now=NOW)


# The events


def event(**fields: object) -> dict[str, Any]:
    return {
        "email": "person7@example.net",
        "timestamp": int(NOW.timestamp()),
        "event": "delivered",
        "sg_event_id": "ZGVsaXZlcmVkLTAtMTIzNA",
        "sg_message_id": "mid-1.recvd-5f7c.1.0",
        "mp_delivery": str(DELIVERY),
        "mp_campaign": "42",
        "mp_class": "promotional",
        "mp_attempt": "ab12",
    } | fields


def parsed(**fields: object) -> VendorEvent:
    result = parse_events(json.dumps([event(**fields)]).encode())
    assert result.malformed == ()
    return result.events[0]


def test_an_event_carries_our_ids_and_the_time() -> None:
    one = parsed()
    assert one.kind is Event.DELIVERED
    assert one.delivery_id == DELIVERY
    assert (one.campaign_id, one.attempt) == (42, "ab12")
    assert one.message_id == "mid-1"
    assert one.event_id == "ZGVsaXZlcmVkLTAtMTIzNA"
    assert one.occurred_at == NOW


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("processed", Event.QUEUED),
        ("dropped", Event.REJECTED),
        ("delivered", Event.DELIVERED),
        ("deferred", Event.DEFERRED),
        ("bounce", Event.BOUNCED),
        ("open", Event.OPENED),
        ("click", Event.CLICKED),
        ("spamreport", Event.COMPLAINED),
        ("unsubscribe", Event.UNSUBSCRIBED),
        ("group_unsubscribe", Event.UNSUBSCRIBED),
        ("group_resubscribe", Event.SUBSCRIBED),
        ("account_status_change", Event.UNKNOWN),
        ("something_new", Event.UNKNOWN),
    ],
)
def test_each_word_of_the_vendor_has_one_of_ours_and_is_kept(word: str, kind: Event) -> None:
    one = parsed(event=word)
    assert (one.kind, one.vendor_word) == (kind, word)


SECRETS = {
    "email": "secret@example.net",
    "ip": "203.0.113.9",
    "useragent": "Secret/1.0",
    "response": "250 ok for secret@example.net at 203.0.113.9",
    "reason": "550 5.1.1 <secret@example.net>: unknown, told Secret/1.0",
    "url": "https://mail.example.com/u/secret-token",
    "smtp-id": "<secret@ismtpd>",
    "category": ["secret@example.net"],
    "status": "secret@example.net",
    "type": "secret@example.net",
    "bounce_classification": "secret@example.net",
    "mp_attempt": "secret@example.net",
    "mp_delivery": "secret@example.net",
    "sg_message_id": "secret@example.net",
}


def test_nothing_personal_leaves_the_parser() -> None:
    for word in ("bounce", "open", "secret@example.net", "203.0.113.9"):
        shown = repr(parsed(**SECRETS, event=word)).lower()
        for part in ("secret", "example.net", "203.0.113", "unknown,", "mail.example.com"):
            assert part not in shown


def test_whom_an_event_names_is_known_by_the_keyed_hash_and_by_nothing_else() -> None:
    ours = HASHER.hash("person7@example.net")
    for said in ("person7@example.net", "Person7@Example.net ", "PERSON7@EXAMPLE.NET"):
        raw = json.dumps([event(email=said)]).encode()
        (one,) = parse_events(raw, HASHER).events
        assert one.address_hash == ours, said
        assert ours.hex() not in repr(one)
        assert repr(ours) not in repr(one)
    for nobody in (None, 7, "", "no address", ["person7@example.net"]):
        (one,) = parse_events(json.dumps([event(email=nobody)]).encode(), HASHER).events
        assert one.address_hash is None
    assert parsed().address_hash is None, "without a key nobody is known"


def test_a_bounce_keeps_its_status_class_and_type() -> None:
    one = parsed(
        event="bounce",
        type="blocked",
        status="4.2.2",
        reason="452 4.2.2 mailbox of person7@example.net is full",
        bounce_classification="Mailbox Unavailable",
    )
    assert (one.type, one.status, one.reason) == ("blocked", "4.2.2", "mailbox")


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("550 5.1.1 The account does not exist", "5.1.1"),
        ("550-5.1.1 The account", "5.1.1"),
        ("421 try later", "421"),
        ("550", "550"),
        ("5501 is a number", None),
        ("unable to get mx info: no such host", None),
    ],
)
def test_a_bounce_without_status_takes_the_code_from_the_head_of_its_reason(
    reason: str, status: str | None
) -> None:
    assert parsed(event="bounce", reason=reason).status == status


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("Unsubscribed Address", "unsubscribed"),
        ("Bounced Address", "bounced"),
        ("Spam Reporting Address", "complained"),
        ("Invalid", "invalid"),
        ("A reason of next year", "other"),
        (None, None),
        ("", None),
        (7, None),
    ],
)
def test_a_dropped_copy_keeps_a_known_word_for_its_reason(reason: object, word: str | None) -> None:
    assert parsed(event="dropped", reason=reason).reason == word


def test_an_asynchronous_bounce_has_no_message_id_and_is_kept() -> None:
    raw = event(event="bounce")
    del raw["sg_message_id"], raw["sg_event_id"]
    (one,) = parse_events(json.dumps([raw]).encode()).events
    assert (one.message_id, one.event_id, one.delivery_id) == (None, None, DELIVERY)


def test_a_copy_has_the_same_natural_key_though_the_vendors_id_changed() -> None:
    first = parsed(event="bounce")
    assert parsed(event="bounce", sg_event_id="other", ip="203.0.113.1").natural_key == (
        first.natural_key
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"mp_delivery": str(DELIVERY + 1)},
        {"event": "bounce"},
        {"timestamp": int(NOW.timestamp()) + 1},
        {"attempt": "2"},
        {"url": "https://example.com/b"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_another_happening_has_another_natural_key(fields: dict[str, Any]) -> None:
    assert parsed(**fields).natural_key != parsed().natural_key


def test_events_of_mail_that_is_not_ours_are_told_apart_by_their_message() -> None:
    foreign = {"mp_delivery": None, "mp_campaign": None}
    one, two = parsed(**foreign), parsed(**foreign, sg_message_id="mid-2.recvd.2.0")
    assert one.delivery_id is None
    assert one.natural_key != two.natural_key


@pytest.mark.parametrize(
    "delivery", ["0", "-1", "d-7", "1.0", "٣", str(2**63), "9" * 5_000, 7, 7.0, None, ["7"], ""]
)
def test_a_delivery_id_that_is_none_of_ours_is_left_out(delivery: object) -> None:
    assert parsed(mp_delivery=delivery).delivery_id is None


def test_the_largest_delivery_id_is_read_exactly() -> None:
    assert parsed(mp_delivery=str(2**63 - 1)).delivery_id == 2**63 - 1


@pytest.mark.parametrize("moment", ["1804075200", 1804075200.9])
def test_a_time_written_as_text_or_with_a_fraction_is_read(moment: object) -> None:
    assert parsed(timestamp=moment).occurred_at == datetime.fromtimestamp(1804075200, UTC)


MALFORMED: dict[str, Any] = {
    "a text": "delivered",
    "nothing": None,
    "a list": [],
    "no word": event(event=None),
    "empty word": event(event=""),
    "no time": event(timestamp=None),
    "true as time": event(timestamp=True),
    "wrong time": event(timestamp="today"),
    "milliseconds": event(timestamp=1804075200000),
    "negative time": event(timestamp=-1),
    "infinite time": event(timestamp=float("inf")),
    "no number": event(timestamp=float("nan")),
}


def test_one_malformed_event_never_spoils_the_others() -> None:
    for name, broken in MALFORMED.items():
        result = parse_events(json.dumps([event(), broken, event(event="open")]).encode())
        assert [one.kind for one in result.events] == [Event.DELIVERED, Event.OPENED], name
        (one,) = result.malformed
        assert one.sentence.startswith("It")
        assert "example" not in one.sentence + one.digest


def test_copies_of_a_malformed_event_are_known_by_their_digest() -> None:
    broken = [{"event": "bounce", "email": "jane@example.com"}, {"event": "bounce"}, 7]
    result = parse_events(json.dumps([*broken, *broken]).encode())
    digests = [one.digest for one in result.malformed]
    assert digests[:3] == digests[3:]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"null", b"7", b'"[]"', b"[", b"\xff\xfe[]", b"[" * 100_000, b"[1" + b"0" * 5_000],
    ids=["none", "object", "null", "number", "text", "half", "bytes", "deep", "long"],
)
def test_what_is_no_array_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(BadInput):
        parse_events(raw)


def test_an_empty_array_holds_no_events() -> None:
    assert parse_events(b"[]").events == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(event(reason="", type="", status="", url=""))), JSON))
def test_whatever_a_field_holds_an_event_is_read_or_set_aside(fields: dict[str, Any]) -> None:
    result = parse_events(json.dumps([event(**fields), event()]).encode())
    assert len(result.events) + len(result.malformed) == 2
    assert result.events[-1].delivery_id == DELIVERY
    for one in result.events:
        assert len(one.natural_key) <= 100
        assert len(one.event_id or "") <= 100
