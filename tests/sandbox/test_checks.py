import http.client
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.message import Verdict
from mailprefs.vendor.sendgrid import SendGrid
from tests.vendor.mailings import administrative, promotional


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings()) as running:
        carrier = SendGrid("SG.any", running.url)
        carrier.hand_over(promotional(5))
        carrier.hand_over(administrative(2))
        carrier.close()
        yield running


def ask(
    sandbox: Sandbox, method: str, path: str, wish: object = None, **headers: str
) -> tuple[int, Any]:
    url = urlsplit(sandbox.url)
    line = http.client.HTTPConnection(str(url.hostname), url.port, timeout=5)
    raw = json.dumps(wish) if wish is not None else None
    given = {"Content-Type": "application/json"} | headers
    line.request(method, path, raw, given)
    answer = line.getresponse()
    content = answer.read()
    line.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(content) if is_json else content.decode()


def test_a_program_reads_all_messages_page_by_page(sandbox: Sandbox) -> None:
    seen, after = [], 0
    while True:
        _, page = ask(sandbox, "GET", f"/sandbox/messages?after={after}&limit=3")
        if not page["messages"]:
            break
        seen += page["messages"]
        after = page["last"]
    assert len(seen) == page["accepted"] == 7
    first = seen[0]
    assert first["email"] == "person1@example.net"
    assert first["text"].startswith("Hello Zoë & 1")
    assert "<p>Hello Zoë &amp; 1</p>" in first["html"]
    assert first["headers"]["List-Id"] == "Example News <news.example.com>"
    assert first["custom_args"]["mp_class"] == first["message_class"] == "promotional"
    assert first["tracking_settings"]["open_tracking"] == {"enable": False}
    assert datetime.fromisoformat(first["accepted_at"]).utcoffset() is not None
    assert ask(sandbox, "GET", f"/sandbox/messages/{first['id']}") == (200, first)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("class=administrative", 2),
        ("to=PERSON1@example.net", 2),
        ("words=person1", 2),
        ("words=PRIVACY+policy", 2),
        ("words=zo%C3%AB+%26+3", 1),
        ("words=100%25", 0),
        ("class=other", 0),
        ("limit=0", 0),
        ("limit=x&after=-1", 7),
    ],
)
def test_a_program_finds_messages(sandbox: Sandbox, query: str, count: int) -> None:
    assert len(ask(sandbox, "GET", f"/sandbox/messages?{query}")[1]["messages"]) == count


def test_a_program_reads_the_requests_and_what_became_of_them(sandbox: Sandbox) -> None:
    _, answer = ask(sandbox, "GET", "/sandbox/requests")
    assert [(one["status"], one["recipients"], one["accepted"]) for one in answer["requests"]] == [
        (202, 5, 5),
        (202, 2, 2),
    ]
    assert answer["accepted"] == 7
    assert "SG.any" not in json.dumps(answer)


def test_a_program_reads_who_was_accepted_in_which_request_and_from_when_to_when(
    sandbox: Sandbox,
) -> None:
    before = datetime.now(UTC)
    sandbox.mood(Mood(kind=Kind.DELAY, seconds=0.2, times=1))
    mailing = promotional(3)
    carrier = SendGrid("SG.any", sandbox.url)
    carrier.hand_over(mailing)
    carrier.close()
    until = time.monotonic() + 5
    while True:
        # The end is put down once the answer has left, so whoever got it may ask before that.
        _, page = ask(sandbox, "GET", "/sandbox/carried?after=7")
        if all(one["ended_at"] for one in page["carried"]) or time.monotonic() > until:
            break
    assert [one["email"] for one in page["carried"]] == [
        f"person{number}@example.net" for number in (1, 2, 3)
    ]
    for one, person in zip(page["carried"], mailing.people, strict=True):
        assert one["message_class"] == "promotional"
        assert (one["attempt"], one["delivery"]) == (mailing.attempt, str(person.delivery_id))
        began, ended = (datetime.fromisoformat(one[name]) for name in ("began_at", "ended_at"))
        assert before <= began <= ended - timedelta(seconds=0.2) <= ended <= datetime.now(UTC)


def test_a_program_tells_it_to_misbehave_and_to_stop(sandbox: Sandbox) -> None:
    carrier = SendGrid("SG.any", sandbox.url)
    wish = [{"kind": "too_many", "times": 1, "retry_after": 3}, {"kind": "error"}]
    status, answer = ask(sandbox, "POST", "/sandbox/mood", wish)
    assert (status, len(answer["moods"])) == (200, 2)
    assert carrier.hand_over(promotional()).retry_after == 3
    assert carrier.hand_over(promotional()).verdict is Verdict.UNCLEAR
    assert [mood["kind"] for mood in ask(sandbox, "GET", "/sandbox/mood")[1]["moods"]] == ["error"]
    assert ask(sandbox, "DELETE", "/sandbox/mood")[1] == {"moods": []}
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED
    assert ask(sandbox, "POST", "/sandbox/mood", {"kind": "delay", "seconds": 0.1})[0] == 200
    carrier.close()


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"kind": "angry"},
        {"kind": ["delay"]},
        {"kind": "delay", "seconds": "long"},
        {"kind": "delay", "seconds": -1},
        {"kind": "delay", "times": 0},
        {"kind": "delay", "times": True},
        {"kind": "delay", "colour": "red"},
        "delay",
        [7],
    ],
    ids=str,
)
def test_a_mood_that_isnt_one_is_told_and_changes_nothing(sandbox: Sandbox, wish: object) -> None:
    status, answer = ask(sandbox, "POST", "/sandbox/mood", wish)
    assert status == 400
    assert answer["error"].startswith("A mood")
    assert ask(sandbox, "GET", "/sandbox/mood")[1] == {"moods": []}


def test_no_page_of_a_browser_can_tell_it_anything(sandbox: Sandbox) -> None:
    for path in ("/sandbox/mood", "/sandbox/webhook", "/sandbox/events"):
        for form in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            assert ask(sandbox, "POST", path, {}, **{"Content-Type": form})[0] == 415


def test_a_page_that_calls_itself_this_machine_is_told_nothing(sandbox: Sandbox) -> None:
    for path in ("/sandbox/messages", "/mailbox"):
        status, answer = ask(sandbox, "GET", path, Host="rebound.example")
        assert status == 400
        assert "person1" not in str(answer)


def test_a_program_empties_the_mailbox(sandbox: Sandbox) -> None:
    newest = sandbox.messages[-1].id
    assert ask(sandbox, "DELETE", "/sandbox/messages")[0] == 204
    assert sandbox.messages == []
    carrier = SendGrid("SG.any", sandbox.url)
    carrier.hand_over(promotional(1))
    carrier.close()
    assert sandbox.messages[0].id > newest, "numbers go on, so that 'after' stays true"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sandbox/messages/999", 404),
        ("GET", "/mailbox/999", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v3/mail/send", 405),
        ("POST", "/v3/other", 404),
    ],
)
def test_what_isnt_there_is_not_found(
    sandbox: Sandbox, method: str, path: str, status: int
) -> None:
    answered, content = ask(sandbox, method, path)
    assert answered == status
    if path.startswith("/v3"):
        assert content["errors"][0]["message"]
