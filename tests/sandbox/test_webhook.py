import json
import socket
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mailprefs.errors import BadSetting, BadSignature
from mailprefs.sandbox.events import LARGEST_BATCH, MOST_EVENTS, SigningKey, batches
from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.message import Event
from mailprefs.vendor.sendgrid import SendGrid, parse_events, verify_signature
from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER
from tests.sandbox.test_checks import ask
from tests.vendor.mailings import promotional


class Service(ThreadingHTTPServer):
    """Takes events as the service does, after as many refusals as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.refusals: list[int] = []
        self.posts: list[tuple[str, str, bytes]] = []
        self.attempts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks/sendgrid/events"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, _, raw in self.posts for event in json.loads(raw)]


class _Taking(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.server.attempts += 1
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.refusals.pop(0) if self.server.refusals else 204
        if status == 204 and self.path == "/webhooks/sendgrid/events":
            headers = self.headers[SIGNATURE_HEADER], self.headers[TIMESTAMP_HEADER]
            self.server.posts.append((*headers, raw))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def sandbox(service: Service) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(webhook=service.url)) as running:
        yield running


def hand_over(sandbox: Sandbox, count: int = 3) -> str | None:
    carrier = SendGrid("SG.any", sandbox.url, read_timeout=1.0)
    outcome = carrier.hand_over(promotional(count))
    carrier.close()
    return outcome.message_id


def test_each_recipient_is_told_processed_and_then_delivered(
    sandbox: Sandbox, service: Service
) -> None:
    message_id = hand_over(sandbox)
    assert sandbox.webhook.wait()
    told = [(event["email"], event["event"]) for event in service.events]
    for number in (1, 2, 3):
        address = f"person{number}@example.net"
        assert [word for email, word in told if email == address] == ["processed", "delivered"]
    assert {event["sg_message_id"].split(".")[0] for event in service.events} == {message_id}
    assert len({event["sg_event_id"] for event in service.events}) == 6


def test_the_service_can_verify_and_read_what_it_is_told(
    sandbox: Sandbox, service: Service
) -> None:
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    for signature, timestamp, raw in service.posts:
        now = datetime.now(UTC)
        verify_signature(sandbox.webhook.key.public, signature, timestamp, raw, now=now)
        with pytest.raises(BadSignature):
            verify_signature(SigningKey().public, signature, timestamp, raw, now=now)
    events = [event for _, _, raw in service.posts for event in parse_events(raw).events]
    assert {event.kind for event in events} == {Event.QUEUED, Event.DELIVERED}
    assert {event.delivery_id for event in events} == {42 << 32 | n for n in (1, 2, 3)}
    assert {(event.campaign_id, event.attempt) for event in events} == {(42, "ab12")}


def test_events_look_as_the_vendors_do(sandbox: Sandbox, service: Service) -> None:
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    for _, _, raw in service.posts:
        assert raw.startswith(b"[{")
        assert raw.endswith(b"}]\r\n")
        assert raw.count(b"},\r\n{") == len(json.loads(raw)) - 1
    delivered = next(event for event in service.events if event["event"] == "delivered")
    assert delivered["mp_delivery"].isdigit(), "custom args are flat"
    assert delivered.keys() >= {"email", "timestamp", "smtp-id", "response", "ip"}


def test_what_the_service_didnt_take_is_told_again_and_nothing_is_lost(
    sandbox: Sandbox, service: Service
) -> None:
    service.refusals = [500, 503, 400]
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    assert len(service.events) == 6
    assert service.attempts > len(service.posts)


def test_a_service_that_is_down_for_a_while_is_told_later(service: Service) -> None:
    with Service() as gone:
        url = gone.url
    with Sandbox(SandboxSettings(webhook=url)) as sandbox:
        hand_over(sandbox)
        assert not sandbox.webhook.wait(timeout=0.3)
        assert sandbox.webhook.pending
        assert sandbox.webhook.posted == 0


def test_delivered_comes_as_much_later_as_it_is_told(service: Service) -> None:
    with Sandbox(SandboxSettings(webhook=service.url, delivered_after=0.4)) as sandbox:
        hand_over(sandbox, 1)
        time.sleep(0.2)
        assert [event["event"] for event in service.events] == ["processed"]
        assert sandbox.webhook.wait()
        assert [event["event"] for event in service.events] == ["processed", "delivered"]


def test_mail_whose_answer_was_lost_is_told_of_too(sandbox: Sandbox, service: Service) -> None:
    sandbox.mood(Mood(kind=Kind.DROP_AFTER, times=1))
    assert hand_over(sandbox) is None
    assert sandbox.webhook.wait()
    assert len(service.events) == 6


def test_refused_mail_is_not_told_of(sandbox: Sandbox, service: Service) -> None:
    sandbox.mood(Mood(kind=Kind.ERROR, times=1))
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    assert service.events == []


def test_events_can_be_held_back_and_told_twice(sandbox: Sandbox, service: Service) -> None:
    wish = {"paused": True, "copies": 2}
    assert ask(sandbox, "POST", "/sandbox/webhook", wish)[1]["pending"] == 0
    hand_over(sandbox, 1)
    time.sleep(0.1)
    assert service.events == []
    assert ask(sandbox, "GET", "/sandbox/webhook")[1]["pending"] == 2
    ask(sandbox, "POST", "/sandbox/webhook", {"paused": False})
    assert sandbox.webhook.wait()
    ids = [event["sg_event_id"] for event in service.events]
    assert len(ids) == 4 and len(set(ids)) == 2
    assert ask(sandbox, "POST", "/sandbox/webhook", {"copies": 0})[0] == 400


def test_any_event_of_a_message_can_be_told(sandbox: Sandbox, service: Service) -> None:
    hand_over(sandbox, 2)
    assert sandbox.webhook.wait()
    number = sandbox.messages[1].id
    wish = {"message": number, "event": "bounce", "type": "bounce", "status": "5.1.1"}
    assert ask(sandbox, "POST", "/sandbox/events", wish)[0] == 202
    assert sandbox.webhook.wait()
    (bounce,) = [event for event in service.events if event["event"] == "bounce"]
    assert (bounce["email"], bounce["status"]) == ("person2@example.net", "5.1.1")
    assert ask(sandbox, "POST", "/sandbox/events", {"message": 999, "event": "bounce"})[0] == 404
    assert ask(sandbox, "POST", "/sandbox/events", {"event": "bounce"})[0] == 400


def test_posts_are_neither_too_long_nor_too_large() -> None:
    many: list[dict[str, object]] = [{"n": number} for number in range(2_500)]
    assert [len(json.loads(raw)) for raw in batches(many)] == [MOST_EVENTS, MOST_EVENTS, 500]
    large: list[dict[str, object]] = [
        {"n": number, "response": "x" * 10_000} for number in range(200)
    ]
    cut = list(batches(large))
    assert max(len(raw) for raw in cut) <= LARGEST_BATCH
    assert [event["n"] for raw in cut for event in json.loads(raw)] == list(range(200))
    assert list(batches([])) == []


# The key


def test_the_key_survives_a_restart_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "webhook.pem"
    settings = SandboxSettings(key_file=path)
    with Sandbox(settings) as first:
        public = first.webhook.key.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Sandbox(settings) as second:
        assert ask(second, "GET", "/sandbox/webhook-key")[1].strip() == public
    with Sandbox() as other:
        assert other.webhook.key.public != public


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_holds_no_key_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "webhook.pem"
    path.write_bytes(content)
    with pytest.raises(BadSetting, match="key file"):
        SigningKey(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "url", ["http://example.com/hook", "https://127.0.0.1/hook", "127.0.0.1:1/hook", "http://"]
)
def test_events_are_posted_to_this_machine_only(url: str) -> None:
    with pytest.raises(BadSetting, match="this machine only"):
        SandboxSettings(webhook=url)


def running() -> list[str]:
    """Name the threads of a sandbox that are alive."""
    names = [one.name for one in threading.enumerate()]
    return [name for name in names if "sandbox" in name or "process_request_thread" in name]


def test_a_sandbox_ends_its_threads_before_it_closes_its_store(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/events"
        with Sandbox(SandboxSettings(webhook=url)) as sandbox:
            hand_over(sandbox)
            accepted, _ = silent.accept()
            sandbox.mood(Mood(kind=Kind.ACCEPT_LATE, seconds=60), Mood(kind=Kind.DELAY, seconds=60))
            givers_up = [threading.Thread(target=hand_over, args=(sandbox,)) for _ in range(2)]
            for one in givers_up:
                one.start()
            for one in givers_up:
                one.join()
            assert len(running()) >= 3
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert running() == []
        accepted.close()
    assert "Traceback" not in capfd.readouterr().err
    assert "could not be posted" not in caplog.text
