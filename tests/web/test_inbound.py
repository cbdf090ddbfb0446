"""Mail to our mailbox: a token is obeyed before the answer, and nothing else is ever dropped."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.header import Header

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from mailprefs import consent, inbound
from mailprefs.alarms import conditions, facts
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.inbound import Wish, forwarding
from mailprefs.policy import Source
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery, SingleValues
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.people import Recipient, Subscription
from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER
from mailprefs.web.inbound import ANSWER
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader, subscribed
from tests.web.test_webhooks import KEY, OTHER_KEY, public

PATH = "/webhooks/sendgrid/inbound"
MAILBOX = "unsubscribe@in.example.com"
BOUNDARY = "xYzZY"
PASSES = {"dkim": "{@example.com : pass}", "SPF": "pass"}

Form = Mapping[str, str | bytes]


def with_settings(parts: Parts, **more: object) -> FlaskClient:
    own = {"inbound_mailbox": MAILBOX, "sendgrid_inbound_key": public(KEY)} | more
    return create_app(replace(parts, settings=parts.settings.model_copy(update=own))).test_client()


def multipart(form: Form, files: Mapping[str, tuple[str, bytes]] | None = None) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + (value.encode() if isinstance(value, str) else value)
        for name, value in form.items()
    ]
    parts += [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{called}"\r\n'
        "Content-Type: text/html\r\n\r\n".encode()
        + data
        for name, (called, data) in (files or {}).items()
    ]
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


@dataclass
class Post:
    """The vendor, which posts mail to the webhook as people write it, signed."""

    client: FlaskClient
    clock: Clock
    token: str
    numbers: list[int] = field(default_factory=list)

    def mail(
        self, subject: str = "", text: str = "", **more: str | bytes
    ) -> dict[str, str | bytes]:
        self.numbers.append(1)
        number = f"Message-ID: <{len(self.numbers)}@example.com>"
        return {
            "headers": f"{number}\nSubject: {subject}\n",
            "from": "Jane Doe <jane.doe@example.com>",
            "to": MAILBOX,
            "subject": subject,
            "text": text,
            "envelope": json.dumps({"to": [MAILBOX], "from": "jane.doe@example.com"}),
            "charsets": json.dumps({"subject": "UTF-8", "text": "UTF-8", "from": "UTF-8"}),
            "sender_ip": "203.0.113.9",
        } | more

    def post(
        self,
        body: bytes | Form,
        *,
        to: FlaskClient | None = None,
        key: ec.EllipticCurvePrivateKey | None = KEY,
        path: str = PATH,
        content_type: str = f"multipart/form-data; boundary={BOUNDARY}",
    ) -> TestResponse:
        raw = body if isinstance(body, bytes) else multipart(body)
        timestamp = str(int(self.clock.now.timestamp()))
        headers = {TIMESTAMP_HEADER: timestamp}
        if key is not None:
            signature = key.sign(timestamp.encode() + raw, ec.ECDSA(hashes.SHA256()))
            headers[SIGNATURE_HEADER] = base64.b64encode(signature).decode()
        return (to or self.client).post(path, data=raw, headers=headers, content_type=content_type)

    def comes(self, subject: str = "", text: str = "", **more: str | bytes) -> None:
        """Post a mail that has to be taken."""
        self.takes(self.mail(subject, text, **more))

    def takes(self, form: Form) -> None:
        response = self.post(form)
        assert (response.status_code, response.text) == (200, ANSWER)


@pytest.fixture
def post(parts: Parts, reader: Reader, clock: Clock) -> Post:
    path = parts.links.unsubscribe_path(reader.id, reader.topic_id, reader.delivery_id)
    return Post(with_settings(parts), clock, path.removeprefix("/u/"))


def kept(db: Database) -> list[InboundRow]:
    with db.reading() as session:
        return list(session.scalars(select(InboundRow).order_by(InboundRow.id)))


def queued(db: Database, template: str) -> list[tuple[int | None, dict[str, str]]]:
    """Give to whom single messages of a kind are queued, and with which values."""
    with db.reading() as session:
        return [
            (row[0], row[1] or {})
            for row in session.execute(
                select(Delivery.recipient_id, SingleValues.values)
                .join(Campaign, Campaign.id == Delivery.campaign_id)
                .outerjoin(SingleValues, SingleValues.delivery_id == Delivery.id)
                .where(Campaign.template == template)
                .order_by(Delivery.id)
            )
        ]


def test_a_mail_with_the_token_ends_promotional_mail_before_it_is_answered(
    post: Post, db: Database, reader: Reader
) -> None:
    post.comes(f"u-{post.token}")
    assert subscribed(db, reader) == set()
    with db.reading() as session:
        entries = [one.entry for one in consent.history(session, reader.id)]
        total = session.query(MailboxTotal).where(MailboxTotal.event == "unsubscribed").one()
    assert {one.source for one in entries} == {Source.MAILTO}
    assert {one.delivery_id for one in entries} == {reader.delivery_id}
    assert total.n == 1
    (row,) = kept(db)
    assert (row.wish, row.sender, row.subject, row.body) == (Wish.LEAVE.value, None, None, None)
    assert queued(db, inbound.TEMPLATE) == []


CLIENTS: dict[str, Callable[[str], dict[str, str | bytes]]] = {
    "a reply": lambda one: {"subject": f"Re: AW: {one}"},
    "a forward": lambda one: {"subject": f"Fwd: {one}"},
    "quotes": lambda one: {"subject": f'"{one}"'},
    "brackets": lambda one: {"subject": f"<{one}>."},
    "words around it": lambda one: {"subject": f"please {one} now"},
    "white space": lambda one: {"subject": f"  u- {one[2:]}  "},
    "a capital": lambda one: {"subject": f"U-{one[2:]}"},
    "folding": lambda one: {"subject": f"{one[:20]}\r\n {one[20:]}"},
    "another hyphen": lambda one: {"subject": one.replace("-", "\u2011", 1)},
    "an encoded hyphen": lambda one: {"subject": one.replace("-", "%2D", 1)},
    "RFC 2047 in base64": lambda one: {"subject": Header(one, "utf-8").encode()},
    "RFC 2047 in two words": lambda one: {
        "subject": f"=?utf-8?q?{one[:15].replace('_', '=5F')}?= =?utf-8?q?"
        f"{one[15:].replace('_', '=5F')}?="
    },
    "the body's first line": lambda one: {"subject": "Unsubscribe", "text": f"\n{one}\n-- \nJane"},
    "HTML alone": lambda one: {"subject": "", "html": f"<style>p{{}}</style><p><b>{one}</b></p>"},
    "UTF-16": lambda one: {"subject": one.encode("utf-16"), "charsets": '{"subject": "utf-16"}'},
    "ISO-2022-JP": lambda one: {
        "subject": f"{one} 配信停止".encode("iso-2022-jp"),
        "charsets": '{"subject": "iso-2022-jp"}',
    },
    "only in the header": lambda one: {"subject": "", "headers": f"Subject: {one}\n"},
    "a program of the mail provider": lambda one: {
        "subject": one,
        "headers": "Auto-Submitted: auto-generated\nMessage-ID: <auto@example.net>\n",
    },
    "raw": lambda one: {
        "subject": "",
        "headers": "",
        "email": f"From: jane.doe@example.com\r\nMessage-ID: <raw@x>\r\nSubject: {one}\r\n\r\nx",
    },
    "raw by its other name": lambda one: {
        "subject": "",
        "headers": "",
        "rawEmail": "From: x@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
        f"boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\n{one}\r\n--q--\r\n",
    },
}


@pytest.mark.parametrize("client", CLIENTS)
def test_what_mail_programs_do_to_the_subject_is_undone(
    post: Post, db: Database, reader: Reader, client: str
) -> None:
    post.takes(post.mail() | CLIENTS[client](f"u-{post.token}"))
    assert subscribed(db, reader) == set()


def test_who_sends_it_does_not_matter(post: Post, db: Database, reader: Reader) -> None:
    post.comes(f"u-{post.token}", **{"from": "somebody.else@example.net"})
    assert subscribed(db, reader) == set()


def test_a_copy_changes_nothing_not_even_after_an_undo(
    post: Post, db: Database, reader: Reader
) -> None:
    mail = post.mail(f"u-{post.token}")
    assert post.post(mail).status_code == 200
    post.client.post(f"/u/{post.token}/undo")
    before = snapshot(db)
    again = mail | {"headers": f"Received: from elsewhere\n{mail['headers']!s}"}
    for copy in (mail, again):
        assert post.post(copy).status_code == 200
    assert snapshot(db) == before
    assert subscribed(db, reader) == {"newsletter", "events"}


def test_another_mail_with_the_same_token_counts_again(
    post: Post, db: Database, reader: Reader
) -> None:
    post.comes(f"u-{post.token}")
    post.client.post(f"/u/{post.token}/undo")
    post.comes(f"u-{post.token}")
    assert subscribed(db, reader) == set()


def test_a_mail_and_a_click_count_once(post: Post, db: Database) -> None:
    post.client.post(f"/u/{post.token}")
    post.comes(f"u-{post.token}")
    with db.reading() as session:
        total = session.query(MailboxTotal).where(MailboxTotal.event == "unsubscribed").one()
    assert total.n == 1


@pytest.mark.parametrize("token", ["", "AAAA", "x" * 10_000])
def test_a_token_worth_nothing_ends_nothing_and_the_mail_is_kept(
    post: Post, db: Database, reader: Reader, token: str
) -> None:
    post.comes(f"u-{token or post.token[:20]}", "I want out")
    assert subscribed(db, reader) == {"newsletter", "events"}
    assert [row.wish for row in kept(db)] == [Wish.OTHER.value]


def test_the_link_of_a_quoted_message_is_no_wish_to_leave(
    post: Post, db: Database, reader: Reader
) -> None:
    quoted = f"Great issue, thank you!\n\n> bye\n> u-{post.token}\n"
    post.comes("Re: News", quoted)
    bounce = {"headers": "Auto-Submitted: auto-replied\n", "text": f"u-{post.token}"}
    post.comes("Undelivered", **bounce)
    assert subscribed(db, reader) == {"newsletter", "events"}
    assert [row.wish for row in kept(db)] == [Wish.OTHER.value, Wish.AUTOMATIC.value]


def test_a_request_about_data_is_passed_on_and_its_owner_gets_a_link_on_file(
    post: Post, db: Database, reader: Reader
) -> None:
    for _ in range(3):
        post.comes("My request", "Please delete my data under GDPR article 17.")
    assert [row.wish for row in kept(db)] == [Wish.DATA.value] * 3
    assert queued(db, "fresh_link") == []
    ((whom, values),) = queued(db, "export_link")
    assert whom == reader.id
    assert "/d/" in values["request_url"]
    passed_on = queued(db, inbound.TEMPLATE)
    assert len(passed_on) == 3
    assert {whom for whom, _ in passed_on} != {reader.id}
    assert passed_on[0][1]["sender"] == "Jane Doe <jane.doe@example.com>"
    assert passed_on[0][1]["line_1"] == "Please delete my data under GDPR article 17."
    assert subscribed(db, reader) == {"newsletter", "events"}


def test_outside_a_known_and_an_unknown_sender_look_the_same(post: Post, db: Database) -> None:
    known = post.post(post.mail("GDPR", "my data"))
    unknown = post.post(post.mail("GDPR", "my data", **{"from": "nobody@example.net"}))
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data)
    assert [header for header, _ in known.headers] == [header for header, _ in unknown.headers]
    assert len(queued(db, "export_link")) == 1


def test_stop_without_a_token_gets_a_link_only_if_the_domain_vouches_and_ends_nothing(
    post: Post, db: Database, reader: Reader
) -> None:
    doubtful: list[dict[str, str | bytes]] = [
        {},
        {"dkim": "{@example.com : fail}", "SPF": "fail"},
        {"dkim": "{@example.net : pass}"},
        {"dkim": "{@com : pass}"},
        {"dkim": "{@badexample.com : pass}"},
        {"SPF": "pass", "envelope": '{"from": "x@example.net"}'},
        {"SPF": "pass", "envelope": "torn"},
    ]
    for more in doubtful:
        post.takes(post.mail("unsubscribe") | more)
    assert queued(db, "fresh_link") == []
    post.comes("unsubscribe", **PASSES)
    assert [whom for whom, _ in queued(db, "fresh_link")] == [reader.id]
    assert {row.wish for row in kept(db)} == {Wish.LEAVE_UNPROVEN.value}
    assert len(queued(db, inbound.TEMPLATE)) == len(doubtful) + 1
    assert subscribed(db, reader) == {"newsletter", "events"}


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied (vacation)",
        "Precedence: bulk",
        "X-Autoreply: yes",
        "List-Id: <somewhere.example.net>",
        "Return-Path: <>",
        "Content-Type: multipart/report; report-type=delivery-status",
    ],
)
def test_what_a_program_wrote_is_listed_and_never_answered_or_passed_on(
    post: Post, db: Database, header: str
) -> None:
    post.comes("Out of office: my data, unsubscribe", **PASSES, headers=f"{header}\n")
    assert [row.wish for row in kept(db)] == [Wish.AUTOMATIC.value]
    assert queued(db, "fresh_link") == queued(db, inbound.TEMPLATE) == []


@pytest.mark.parametrize(
    "more",
    [
        {"from": "MAILER-DAEMON@mx.example.net"},
        {"from": "hello@example.com"},
        {"from": f"Us <{MAILBOX}>"},
        {"envelope": json.dumps({"to": [MAILBOX], "from": ""})},
    ],
)
def test_nothing_goes_round_between_us_and_a_server_or_ourselves(
    post: Post, db: Database, more: dict[str, str | bytes]
) -> None:
    post.comes("unsubscribe", "delete my data", **PASSES | more)
    assert [row.wish for row in kept(db)] == [Wish.AUTOMATIC.value]
    assert queued(db, "fresh_link") == queued(db, inbound.TEMPLATE) == []


def test_a_flood_is_kept_and_passed_on_only_so_fast(
    parts: Parts, post: Post, db: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "MOST", 3)
    for number in range(5):
        post.comes(f"Question {number}")
    assert len(queued(db, inbound.TEMPLATE)) == 3
    with db.reading() as session:
        found = conditions.of_sending(facts.gather(session, parts.settings, now=clock.now))
    (alarm,) = [one for one in found if one.kind is AlarmKind.INBOUND_NOT_FORWARDED]
    assert alarm.sentence.startswith("2 mails to the mailbox")
    clock.now += timedelta(hours=1)
    post.comes("Question 5")
    assert len(queued(db, inbound.TEMPLATE)) == 4


def test_without_a_contact_or_a_topic_for_notices_mail_is_kept_and_told(
    parts: Parts, post: Post, db: Database
) -> None:
    client = with_settings(parts, contact="https://example.com/contact")
    assert post.post(post.mail("A question"), to=client).status_code == 200
    assert queued(db, inbound.TEMPLATE) == []
    with db.reading() as session:
        waiting = inbound.unforwarded(session)
    assert waiting is not None
    assert waiting.mails == 1


HOSTILE: list[dict[str, str | bytes]] = [
    {},
    {"subject": "x" * 10_000, "from": "y" * 10_000},
    {"subject": "%s %d {{ x }} '\";-- <script>alert(1)</script>", "text": "%" * 500},
    {"subject": b"\x00\xff\xfe\x00", "text": b"\x00\x80\xed\xa0\x80", "from": b"\xff@\x00"},
    {"from": '"a" <a@b.example>, c@d.example', "subject": "two"},
    {"from": "<<<>>>@@", "headers": b"\x00:\n\n\n:::"},
    {"charsets": '{"subject": "no-such-charset", "text": 7}', "subject": b"\xe4\xf6"},
    {"charsets": "[" * 100_000, "envelope": "[" * 100_000},
    {"subject": "=?no-such?b?////?= =?utf-8?b?A?= =?utf-8?q?=ZZ?=", "from": "=?x?b?A?="},
    {"email": b"\xff" * 1000},
    {"email": "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + "--a\r\n" * 1000},
    {"email": "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"
                      for n in range(2_000))},
    {"email": "Content-Type: text/plain; charset*=\xff''x\r\nContent-Transfer-Encoding: base64"
              "\r\n\r\n!!!!"},
    {"html": "<" * 100_000 + "<script" * 10_000},
    {"text": "u-" * 50_000},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_no_mail_is_too_broken_to_be_kept(post: Post, db: Database, number: int) -> None:
    assert post.post(HOSTILE[number]).status_code == 200
    (row,) = kept(db)
    for text in (row.sender, row.subject, row.body):
        assert text is not None
        assert "\x00" not in text
        assert len(text) <= 20_000


BODIES: list[tuple[str, bytes]] = [
    ("multipart/form-data", b"no boundary"),
    (f"multipart/form-data; boundary={BOUNDARY}", b"--xYzZY\r\nContent-Disposition: form-data; "),
    (f"multipart/form-data; boundary={BOUNDARY}", b"\r\n"),
    ("application/x-www-form-urlencoded", b"subject=%ff%00&text=hello&=&&"),
    ("application/json", b'{"subject":'),
    ("", b"\x00\x01\x02"),
]


@pytest.mark.parametrize(("content_type", "body"), BODIES)
def test_no_request_that_is_signed_is_refused(
    post: Post, db: Database, content_type: str, body: bytes
) -> None:
    assert post.post(body, content_type=content_type).status_code == 200
    assert len(kept(db)) == 1


def test_a_torn_form_keeps_what_came(post: Post, db: Database, reader: Reader) -> None:
    whole = multipart({"subject": f"u-{post.token}", "text": "x" * 1000})
    assert post.post(whole[:-600]).status_code == 200
    assert subscribed(db, reader) == set()


def test_a_mail_of_thirty_megabytes_is_taken_and_its_attachments_are_only_named(
    post: Post, db: Database
) -> None:
    files = {"attachment1": ("évil.html", b"<script>" * 3_700_000)}
    body = multipart(post.mail("A file for you", "see there"), files)
    assert post.post(body).status_code == 200
    (row,) = kept(db)
    assert row.attachments == [["évil.html", "text/html"]]
    assert "script" not in repr(snapshot(db)["inbound_mails"])


def test_a_bad_signature_is_refused_and_stores_nothing(post: Post, db: Database) -> None:
    before = snapshot(db)
    mail = post.mail(f"u-{post.token}")
    assert post.post(mail, key=OTHER_KEY).status_code == 403
    assert post.post(mail, key=None).status_code == 403
    assert snapshot(db) == before


def test_two_keys_hold_while_one_replaces_the_other(parts: Parts, post: Post) -> None:
    client = with_settings(parts, sendgrid_inbound_key=f"{public(OTHER_KEY)}, {public(KEY)}")
    for key in (KEY, OTHER_KEY):
        assert post.post(post.mail("Hello"), to=client, key=key).status_code == 200


def test_whatever_is_our_own_fault_is_asked_for_again(
    parts: Parts, post: Post, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = post.mail(f"u-{post.token}")
    lost = replace(parts, db=Database("postgresql://nobody@127.0.0.1:1/none"))
    clients = {
        "the database is down": with_settings(lost),
        "no key": with_settings(parts, sendgrid_inbound_key=""),
        "a key that is none": with_settings(parts, sendgrid_inbound_key="rubbish"),
    }
    for fault, client in clients.items():
        response = post.post(mail, to=client)
        assert response.status_code == 503, fault
        assert "Retry-After" in response.headers

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(inbound, "take", fail)
        assert post.post(mail).status_code == 503
    assert post.post(mail).status_code == 200


def test_a_clock_that_is_wrong_loses_no_mail(parts: Parts, post: Post, clock: Clock) -> None:
    late = replace(parts, clock=lambda: clock.now + timedelta(days=4))
    assert post.post(post.mail("Hello"), to=with_settings(late)).status_code == 503


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
def test_no_form_of_the_address_is_answered_with_a_redirect(post: Post, path: str) -> None:
    assert post.post(post.mail("Hello"), path=path).status_code == 200


def test_the_answer_waits_for_requests_that_may_begin(
    post: Post, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(
        "mailprefs.web.inbound.wait_for_requests", lambda _, whom: waited.append(whom)
    )
    post.comes("Hello")
    assert waited == []
    post.comes(f"u-{post.token}")
    assert waited == [reader.id]


def test_an_erased_persons_token_leaves_a_mail_like_any_other(
    post: Post, db: Database, reader: Reader
) -> None:
    with db.transaction() as session:
        session.query(Subscription).delete()
        session.query(Recipient).where(Recipient.id == reader.id).delete()
    post.comes(f"u-{post.token}")
    assert [row.recipient_id for row in kept(db)] == [None]
