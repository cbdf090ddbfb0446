import http.client
import json
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailprefs.errors import BadSetting
from mailprefs.vendor import sendgrid
from mailprefs.vendor.message import Outcome, Verdict
from mailprefs.vendor.sendgrid import SendGrid
from tests.vendor.mailings import administrative, person, promotional
from tests.vendor.telling import ACCEPTED, Behaviour, TellingVendor, read_request

KEY = "SG.test-key.0123456789abcdefghij"

Starter = Callable[..., TellingVendor]


@pytest.fixture
def vendor_telling() -> Iterator[Starter]:
    opened: list[TellingVendor] = []

    def start(*answers: bytes | Behaviour) -> TellingVendor:
        opened.append(TellingVendor(list(answers)).__enter__())
        return opened[-1]

    yield start
    for vendor in opened:
        vendor.__exit__()


def adapter(vendor: TellingVendor, read_timeout: float = 5.0) -> SendGrid:
    return SendGrid(KEY, vendor.url, connect_timeout=2.0, read_timeout=read_timeout)


def answer(status: int, body: object = None, *headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + raw


def complaint(*fields: str | None, message: str = "Bad value") -> dict[str, object]:
    return {"errors": [{"field": field, "message": message, "help": None} for field in fields]}


# Accepted


def test_202_is_accepted_with_the_vendors_id(vendor_telling: Starter) -> None:
    outcome = adapter(vendor_telling(ACCEPTED)).hand_over(promotional())
    assert outcome == Outcome(verdict=Verdict.ACCEPTED, status=202, message_id="mid-1")


def test_the_request_is_the_packages_own_with_our_body(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    adapter(vendor).hand_over(promotional())
    (line, headers, body) = vendor.requests[0]
    assert line == "POST /v3/mail/send HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("sendgrid/")
    assert headers["accept"] == "application/json"
    assert body == sendgrid.body(promotional())


def test_one_connection_carries_many_requests(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    carrier = adapter(vendor)
    for _ in range(5):
        carrier.hand_over(administrative())
    assert len(vendor.requests) == 5
    assert vendor.connections == 1


def test_an_error_answer_keeps_the_connection_too(vendor_telling: Starter) -> None:
    vendor = vendor_telling(answer(400, complaint("from.email")), ACCEPTED)
    carrier = adapter(vendor)
    assert carrier.hand_over(promotional()).verdict is Verdict.REFUSED_MESSAGE
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert vendor.connections == 1


def test_each_thread_has_its_own_connection(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    carrier = adapter(vendor)
    threads = [threading.Thread(target=carrier.hand_over, args=(promotional(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vendor.connections == 3


def test_a_connection_idle_too_long_is_replaced_before_use(
    vendor_telling: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = vendor_telling(ACCEPTED)
    carrier = adapter(vendor)
    carrier.hand_over(promotional())
    later = time.monotonic() + 5.1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert vendor.connections == 2


def test_a_connection_that_the_vendor_closed_is_not_used_again(vendor_telling: Starter) -> None:
    def answer_and_leave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(ACCEPTED)

    vendor = vendor_telling(answer_and_leave, ACCEPTED)
    carrier = adapter(vendor)
    carrier.hand_over(promotional())
    time.sleep(0.1)
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert vendor.connections == 2


def test_after_close_the_next_mailing_connects_again(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    carrier = adapter(vendor)
    carrier.hand_over(promotional())
    carrier.close()
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert vendor.connections == 2


# The table of answers


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.REFUSED_MESSAGE),
        (201, Verdict.UNCLEAR),
        (301, Verdict.REFUSED_MESSAGE),
        (307, Verdict.REFUSED_MESSAGE),
        (400, Verdict.REFUSED_MESSAGE),
        (401, Verdict.NOT_ALLOWED),
        (402, Verdict.NOT_ALLOWED),
        (403, Verdict.NOT_ALLOWED),
        (404, Verdict.REFUSED_MESSAGE),
        (405, Verdict.REFUSED_MESSAGE),
        (408, Verdict.UNCLEAR),
        (413, Verdict.TOO_LARGE),
        (415, Verdict.REFUSED_MESSAGE),
        (418, Verdict.REFUSED_MESSAGE),
        (429, Verdict.LATER),
        (500, Verdict.UNCLEAR),
        (502, Verdict.UNCLEAR),
        (503, Verdict.UNCLEAR),
        (504, Verdict.UNCLEAR),
    ],
)
def test_only_202_is_accepted(vendor_telling: Starter, status: int, verdict: Verdict) -> None:
    vendor = vendor_telling(answer(status, complaint(None, message="Something")))
    outcome = adapter(vendor).hand_over(promotional())
    assert (outcome.verdict, outcome.status) == (verdict, status)
    assert str(status) in outcome.reason
    assert len(vendor.requests) == 1, "nothing is tried again"


def test_nothing_leaves_after_the_time_in_which_it_had_to_begin(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    ours = adapter(vendor)
    late = ours.hand_over(promotional(begin_by=time.monotonic() - 0.01))
    assert late.verdict is Verdict.NOT_BEGUN
    assert ours.hand_over(promotional(begin_by=time.monotonic() + 60)).verdict is Verdict.ACCEPTED
    assert len(vendor.requests) == 1


def test_the_time_to_connect_counts_until_a_request_begins(
    vendor_telling: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = vendor_telling(ACCEPTED)
    connect = http.client.HTTPConnection.connect

    def slowly(self: http.client.HTTPConnection) -> None:
        time.sleep(0.2)
        connect(self)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", slowly)
    outcome = adapter(vendor).hand_over(promotional(begin_by=time.monotonic() + 0.1))
    assert outcome.verdict is Verdict.NOT_BEGUN
    assert vendor.requests == []


def test_a_redirect_is_not_followed(vendor_telling: Starter) -> None:
    other = vendor_telling(ACCEPTED)
    vendor = vendor_telling(answer(302, None, f"Location: {other.url}/v3/mail/send"))
    assert "MAILPREFS_SENDGRID_HOST" in adapter(vendor).hand_over(promotional()).reason
    assert other.connections == 0


def test_the_sandbox_mode_of_the_vendor_is_no_success_and_says_so(vendor_telling: Starter) -> None:
    assert "sandbox" in adapter(vendor_telling(answer(200))).hand_over(promotional()).reason


@pytest.mark.parametrize(
    "field", ["personalizations.1.to", "personalizations.1.to.0.email", "personalizations[1].to"]
)
def test_a_refused_recipient_is_named_by_position(vendor_telling: Starter, field: str) -> None:
    said = complaint(field, message="Does not contain a valid address.")
    outcome = adapter(vendor_telling(answer(400, said))).hand_over(promotional())
    assert (outcome.verdict, outcome.refused) == (Verdict.REFUSED_ADDRESS, (1,))
    assert "valid address" in outcome.reason


def test_all_recipients_that_the_vendor_names_are_refused(vendor_telling: Starter) -> None:
    said = complaint("personalizations.2.to", "personalizations.0.to.0.email")
    outcome = adapter(vendor_telling(answer(400, said))).hand_over(promotional())
    assert outcome.refused == (0, 2)


@pytest.mark.parametrize(
    "fields",
    [
        ("personalizations.1.to", "from.email"),
        ("personalizations",),
        ("personalizations.3.to",),
        ("personalizations.1.subject",),
        (None,),
        (),
    ],
    ids=str,
)
def test_a_400_that_is_not_only_about_recipients_refuses_the_message(
    vendor_telling: Starter, fields: tuple[str | None, ...]
) -> None:
    outcome = adapter(vendor_telling(answer(400, complaint(*fields)))).hand_over(promotional())
    assert (outcome.verdict, outcome.refused) == (Verdict.REFUSED_MESSAGE, ())


@pytest.mark.parametrize(
    "body",
    [b"<html>413 Request Entity Too Large</html>", b"\xff\xfe", b'{"errors": 7}', b"[" * 100_000],
    ids=["html", "bytes", "number", "deep"],
)
def test_an_answer_that_is_not_the_vendors_json_is_read_by_its_status(
    vendor_telling: Starter, body: bytes
) -> None:
    for status, verdict in ((400, Verdict.REFUSED_MESSAGE), (413, Verdict.TOO_LARGE)):
        outcome = adapter(vendor_telling(answer(status, body))).hand_over(promotional())
        assert outcome.verdict is verdict


def test_one_message_that_is_too_large_is_not_cut_any_further(vendor_telling: Starter) -> None:
    outcome = adapter(vendor_telling(answer(413))).hand_over(promotional(1))
    assert outcome.verdict is Verdict.REFUSED_MESSAGE


def test_the_wait_is_the_one_the_vendor_asks_for(vendor_telling: Starter) -> None:
    now = datetime.now(UTC)
    date = format_datetime(now + timedelta(seconds=90), usegmt=True)
    asked: list[tuple[tuple[str, ...], float | None]] = [
        (("Retry-After: 7",), 7.0),
        (("retry-after: 7",), 7.0),
        ((f"Retry-After: {date}",), 90.0),
        ((f"X-RateLimit-Reset: {int(now.timestamp()) + 30}",), 30.0),
        (("Retry-After: 5", f"X-RateLimit-Reset: {int(now.timestamp()) + 30}"), 5.0),
        (("X-RateLimit-Reset: 1000000000",), 0.0),
        (("Retry-After: 99999999",), 3600.0),
        (("Retry-After: soon",), None),
        ((), None),
    ]
    for headers, seconds in asked:
        outcome = adapter(vendor_telling(answer(429, None, *headers))).hand_over(promotional())
        assert outcome.verdict is Verdict.LATER
        expected = None if seconds is None else pytest.approx(seconds, abs=3)
        assert outcome.retry_after == expected, headers


# Failures of the network: what can't have arrived, and what may have


def test_where_nobody_listens_nothing_was_handed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = SendGrid(KEY, f"http://127.0.0.1:{port}").hand_over(promotional())
    assert (outcome.verdict, outcome.status) == (Verdict.NOT_CONNECTED, None)
    assert "ConnectionRefusedError" in outcome.reason


def test_no_answer_in_time_is_unclear(vendor_telling: Starter) -> None:
    vendor = vendor_telling(lambda connection: time.sleep(2))
    outcome = adapter(vendor, read_timeout=0.3).hand_over(promotional())
    assert (outcome.verdict, outcome.status) == (Verdict.UNCLEAR, None)
    assert "0.3 seconds" in outcome.reason


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_an_answer_dropped_after_the_whole_request_is_unclear(
    vendor_telling: Starter, *, reset: bool
) -> None:
    def drop(connection: socket.socket) -> None:
        read_request(connection)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    vendor = vendor_telling(drop, ACCEPTED)
    outcome = adapter(vendor).hand_over(promotional())
    assert outcome.verdict is Verdict.UNCLEAR
    assert vendor.connections == 1, "nothing is tried again"


def test_an_answer_that_is_not_http_is_unclear(vendor_telling: Starter) -> None:
    vendor = vendor_telling(b"what?\r\n\r\n", ACCEPTED)
    carrier = adapter(vendor)
    assert carrier.hand_over(promotional()).verdict is Verdict.UNCLEAR
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert vendor.connections == 2


LARGE = promotional(text="x" * 20_000_000)


def test_a_connection_broken_before_the_request_was_whole_carried_nothing(
    vendor_telling: Starter,
) -> None:
    def break_off(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    outcome = adapter(vendor_telling(break_off)).hand_over(LARGE)
    assert outcome.verdict is Verdict.NOT_CONNECTED
    assert "before the whole request" in outcome.reason


def test_a_vendor_that_stops_reading_carried_nothing(vendor_telling: Starter) -> None:
    vendor = vendor_telling(lambda connection: time.sleep(2))
    outcome = adapter(vendor, read_timeout=0.3).hand_over(LARGE)
    assert outcome.verdict is Verdict.NOT_CONNECTED


def test_a_refusal_that_comes_before_the_request_is_whole_is_heard(
    vendor_telling: Starter,
) -> None:
    def refuse_early(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(answer(413, b"<html>too large</html>", "Connection: close"))
        connection.shutdown(socket.SHUT_WR)
        connection.setblocking(False)
        time.sleep(0.3)

    outcome = adapter(vendor_telling(refuse_early), read_timeout=0.2).hand_over(LARGE)
    assert (outcome.verdict, outcome.status) == (Verdict.TOO_LARGE, 413)


def test_an_answer_that_breaks_off_counts_by_its_status(vendor_telling: Starter) -> None:
    cut = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: m\r\nContent-Length: 50\r\n\r\nclose"
    outcome = adapter(vendor_telling(cut)).hand_over(promotional())
    assert (outcome.verdict, outcome.message_id) == (Verdict.ACCEPTED, "m")


def test_a_connection_with_unread_words_on_it_is_not_used_again(vendor_telling: Starter) -> None:
    vendor = vendor_telling(answer(500, b"x" * 1_000_000), ACCEPTED)
    carrier = adapter(vendor)
    assert carrier.hand_over(promotional()).verdict is Verdict.UNCLEAR
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert vendor.connections == 2


# What never leaves


def test_what_the_vendor_would_refuse_never_leaves(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    outcome = adapter(vendor).hand_over(promotional(subject="two\nlines"))
    assert outcome.verdict is Verdict.REFUSED_MESSAGE
    assert "line break" in outcome.reason
    assert adapter(vendor).hand_over(promotional(people=[])).verdict is Verdict.REFUSED_MESSAGE
    assert vendor.connections == 0


def test_a_person_who_would_have_all_refused_is_set_aside_before_the_network(
    vendor_telling: Starter,
) -> None:
    vendor = vendor_telling(ACCEPTED)
    people = [person(1), person(2, address="no address"), person(3), person(4, address="x@y")]
    outcome = adapter(vendor).hand_over(promotional(people=people))
    assert (outcome.verdict, outcome.refused) == (Verdict.REFUSED_ADDRESS, (1, 3))
    assert outcome.reason.startswith("2 recipients can't be handed over.")
    assert vendor.connections == 0


def test_a_fault_that_everybody_shares_is_the_messages(vendor_telling: Starter) -> None:
    empty = [person(n, substitutions={"-a-": ""}) for n in (1, 2)]
    carrier = adapter(vendor_telling(ACCEPTED))
    assert carrier.hand_over(promotional(people=empty)).verdict is Verdict.REFUSED_MESSAGE
    assert carrier.hand_over(promotional(people=empty[:1])).verdict is Verdict.REFUSED_ADDRESS
    wrong = [person(n, address=f"wrong{n}") for n in (1, 2)]
    assert carrier.hand_over(promotional(people=wrong)).verdict is Verdict.REFUSED_ADDRESS


def test_a_request_over_the_vendors_size_never_leaves(vendor_telling: Starter) -> None:
    vendor = vendor_telling(ACCEPTED)
    values = {"-a-": "x" * 9_900}
    people = [person(n, substitutions=values) for n in range(1_000)]
    large = promotional(people=people, text="x" * 21_000_000)
    assert adapter(vendor).hand_over(large).verdict is Verdict.TOO_LARGE
    assert vendor.connections == 0


# The key, the host and what is said


@pytest.mark.parametrize(
    "key", ["", " ", "SG.a\n", "SG.a b", "SG.ä"], ids=["none", "space", "line", "inner", "umlaut"]
)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.of-another-program")
    with pytest.raises(BadSetting, match="MAILPREFS_SENDGRID_API_KEY") as refusal:
        SendGrid(key, "https://api.sendgrid.com")
    assert "SG.a" not in str(refusal.value)


@pytest.mark.parametrize(
    "host",
    [
        "http://api.sendgrid.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "api.sendgrid.com",
        "https://",
        "https://api.sendgrid.com/v3",
        "https://user:secret@api.sendgrid.com",
        "https://api.sendgrid.com:port",
        "https://[::1",
        "https://a..b",
        "",
    ],
)
def test_a_host_that_is_not_safe_or_not_whole_is_refused(host: str) -> None:
    with pytest.raises(BadSetting, match="MAILPREFS_SENDGRID_HOST") as refusal:
        SendGrid(KEY, host)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8025", "http://localhost:1", "http://[::1]:9", "https://a.example/"]
)
def test_plain_http_is_for_this_machine_only(host: str) -> None:
    assert host.rstrip("/") in repr(SendGrid(KEY, host))


def test_the_vendors_real_host_is_reached_over_verified_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[http.client.HTTPSConnection] = []

    def connect(self: http.client.HTTPSConnection) -> None:
        opened.append(self)
        raise ConnectionRefusedError

    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    outcome = SendGrid(KEY, "https://api.sendgrid.com").hand_over(promotional())
    assert outcome.verdict is Verdict.NOT_CONNECTED
    (line,) = opened
    assert (line.host, line.port) == ("api.sendgrid.com", 443)
    context: ssl.SSLContext = vars(line)["_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    assert context.minimum_version >= 771, "TLS 1.2"


@pytest.fixture
def self_signed(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def over_tls(files: tuple[Path, Path]) -> TellingVendor:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return TellingVendor([ACCEPTED], context)


def test_a_certificate_that_nobody_vouches_for_gets_neither_key_nor_mail(
    self_signed: tuple[Path, Path],
) -> None:
    with over_tls(self_signed) as vendor:
        host = vendor.url.replace("127.0.0.1", "localhost")
        outcome = SendGrid(KEY, host).hand_over(promotional())
    assert outcome.verdict is Verdict.NOT_CONNECTED
    assert "certificate" in outcome.reason
    assert vendor.requests == []


def test_a_trusted_certificate_of_the_right_name_is_enough(
    self_signed: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed[0]))
    with over_tls(self_signed) as vendor:
        good = SendGrid(KEY, vendor.url.replace("127.0.0.1", "localhost"))
        outcomes = [good.hand_over(promotional()).verdict for _ in range(3)]
        wrong_name = SendGrid(KEY, vendor.url).hand_over(promotional())
        good.close()
    assert outcomes == [Verdict.ACCEPTED] * 3
    assert wrong_name.verdict is Verdict.NOT_CONNECTED
    assert len(vendor.requests) == 3


def test_a_proxy_variable_changes_nothing(
    vendor_telling: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = vendor_telling(ACCEPTED)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    vendor = vendor_telling(ACCEPTED)
    assert adapter(vendor).hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert proxy.connections == 0


def test_the_key_is_in_no_log_printout_reason_or_representation(
    vendor_telling: Starter,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 9)
    caplog.set_level(logging.DEBUG)
    said = complaint("from", message=f"Bearer {KEY} for person1@example.net and {KEY[:12]}!")
    for reply in (ACCEPTED, answer(401, said), answer(400, said), answer(500, said), b"?\r\n"):
        carrier = adapter(vendor_telling(reply))
        outcome = carrier.hand_over(promotional())
        shown = f"{outcome} {carrier!r} {carrier}"
        assert KEY not in shown and "person1" not in shown
    printed = capfd.readouterr()
    logged = " ".join(record.getMessage() for record in caplog.records)
    for text in (caplog.text, logged, printed.out, printed.err):
        assert KEY not in text and "Bearer" not in text


def test_even_a_short_key_is_taken_out_of_what_the_vendor_says(vendor_telling: Starter) -> None:
    vendor = vendor_telling(answer(401, complaint(None, message="The key SG.short is revoked.")))
    outcome = SendGrid("SG.short", vendor.url).hand_over(promotional())
    assert "The key … is revoked" in outcome.reason


def test_the_packages_own_logger_stays_above_debug_even_if_all_logging_is_turned_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("python_http_client").setLevel(logging.DEBUG)
    SendGrid(KEY, "https://api.sendgrid.com")
    assert not logging.getLogger("python_http_client.client").isEnabledFor(logging.DEBUG)


def test_a_reason_shows_what_the_vendor_said_but_no_address_link_or_token(
    vendor_telling: Starter,
) -> None:
    message = "The from <a@example.org> see http://x.example/help\r\n\x1b[1m id 00123456789 is bad."
    said = complaint("from.email", message=message)
    outcome = adapter(vendor_telling(answer(400, said))).hand_over(promotional())
    assert outcome.reason == (
        "The vendor refuses the message (400) at from.email: “The from … see … [1m id … is bad”."
    )
