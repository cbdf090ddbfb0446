import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mailprefs.errors import BadInput, BadSetting
from mailprefs.sandbox.moods import Kind, Mood, read
from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.message import Mailing, Outcome, Verdict
from mailprefs.vendor.sendgrid import SendGrid, body
from tests.vendor.mailings import administrative, person, promotional

KEY = "SG.sandbox"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(api_key=KEY)) as running:
        yield running


@pytest.fixture
def carrier(sandbox: Sandbox) -> Iterator[SendGrid]:
    vendor = SendGrid(KEY, sandbox.url, connect_timeout=2.0, read_timeout=1.0)
    yield vendor
    vendor.close()


def post(sandbox: Sandbox, raw: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    url = urlsplit(sandbox.url)
    line = http.client.HTTPConnection(str(url.hostname), url.port, timeout=5)
    given = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    line.request("POST", "/v3/mail/send", raw, given)
    answer = line.getresponse()
    content = answer.read()
    line.close()
    return answer.status, dict(answer.headers), content


# The adapter works unchanged


def test_what_the_adapter_hands_over_arrives_filled_in(sandbox: Sandbox, carrier: SendGrid) -> None:
    outcome = carrier.hand_over(promotional(3))
    assert outcome.verdict is Verdict.ACCEPTED
    assert len(sandbox.messages) == 3
    second = sandbox.messages[1]
    assert (second.email, second.name) == ("person2@example.net", "Person 2")
    assert second.subject == "New in March, Zoë & 2"
    assert second.text == "Hello Zoë & 2\n\nLeave: https://mail.example.com/u/token2\n"
    assert "<p>Hello Zoë &amp; 2</p>" in second.html
    assert '<img src="https://mail.example.com/o/t2.gif" alt="">' in second.html
    assert second.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert second.custom_args["mp_delivery"] == str(42 << 32 | 2)
    assert second.message_class == "promotional"
    assert second.message_id == outcome.message_id
    assert (second.from_email, second.reply_to) == ("news@mail.example.com", "help@example.com")


def test_both_classes_are_told_apart(sandbox: Sandbox, carrier: SendGrid) -> None:
    carrier.hand_over(promotional(1))
    carrier.hand_over(administrative(1))
    assert [one.message_class for one in sandbox.messages] == ["promotional", "administrative"]
    assert sandbox.messages[1].mail_settings["bypass_unsubscribe_management"] == {"enable": True}


def test_kept_connections_stay_open_and_many_threads_lose_nothing(
    sandbox: Sandbox, carrier: SendGrid
) -> None:
    outcomes: list[Outcome] = []

    def work(worker: int) -> None:
        for round_ in range(5):
            first = worker * 1_000 + round_ * 100
            people = [person(number) for number in range(first, first + 20)]
            outcomes.append(carrier.hand_over(promotional(people=people)))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert len({message.email for message in sandbox.messages}) == 400
    assert len({request.connection for request in sandbox.requests}) == 4
    assert len({outcome.message_id for outcome in outcomes}) == 20


def test_a_second_request_on_a_connection_is_answered_at_once(
    sandbox: Sandbox, carrier: SendGrid
) -> None:
    carrier.hand_over(promotional(1))
    began = time.monotonic()
    for number in range(2, 12):
        carrier.hand_over(promotional(people=[person(number)]))
    assert time.monotonic() - began < 2.0


# What the vendor refuses


def test_a_wrong_key_gets_nothing_in(sandbox: Sandbox) -> None:
    outcome = SendGrid("SG.other", sandbox.url).hand_over(promotional())
    assert outcome.verdict is Verdict.NOT_ALLOWED
    for header in ("", "Bearer ", "Basic x", f"bearer {KEY}", KEY):
        assert post(sandbox, body(promotional()), Authorization=header)[0] == 401
    assert sandbox.messages == []


def test_without_a_key_of_its_own_it_takes_any() -> None:
    with Sandbox() as free:
        assert SendGrid("SG.any", free.url).hand_over(promotional(2)).verdict is Verdict.ACCEPTED
        assert post(free, body(promotional()), Authorization="Bearer ")[0] == 401


def broken(mailing: Mailing, address: str) -> bytes:
    request = json.loads(body(mailing))
    request["personalizations"][1]["to"][0]["email"] = address
    return json.dumps(request).encode()


def test_a_bad_address_refuses_the_whole_request_and_is_named(sandbox: Sandbox) -> None:
    status, _, content = post(sandbox, broken(promotional(3), "not an address"))
    assert status == 400
    assert [error["field"] for error in json.loads(content)["errors"]] == [
        "personalizations.1.to.0.email"
    ]
    assert sandbox.messages == []
    assert (sandbox.requests[0].status, sandbox.requests[0].accepted) == (400, 0)


@pytest.mark.parametrize(
    ("raw", "mimetype", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
    ids=["none", "half", "deep", "empty", "list", "bytes", "type"],
)
def test_what_cant_be_read_is_refused_with_the_vendors_error_shape(
    sandbox: Sandbox, raw: bytes, mimetype: str, status: int
) -> None:
    answered, headers, content = post(sandbox, raw, Content_Type=mimetype)
    assert answered == status
    assert headers["Content-Type"] == "application/json"
    assert json.loads(content)["errors"][0]["message"]


def test_a_request_over_30_megabytes_gets_the_html_page_of_a_proxy(sandbox: Sandbox) -> None:
    status, headers, content = post(sandbox, b"x" * 30_000_001)
    assert status == 413
    assert headers["Content-Type"].startswith("text/html")
    assert content.startswith(b"<html>")


# Moods: each way to fail, seen through the adapter

MOODS = {
    Kind.DELAY: (Verdict.ACCEPTED, 3),
    Kind.ACCEPT_LATE: (Verdict.ACCEPTED, 3),
    Kind.DROP_AFTER: (Verdict.UNCLEAR, 3),
    Kind.ERROR_AFTER: (Verdict.UNCLEAR, 3),
    Kind.DROP_BEFORE: (Verdict.UNCLEAR, 0),
    Kind.TOO_MANY: (Verdict.LATER, 0),
    Kind.REFUSE_ADDRESS: (Verdict.REFUSED_ADDRESS, 0),
    Kind.REFUSE_MESSAGE: (Verdict.REFUSED_MESSAGE, 0),
    Kind.UNAUTHORIZED: (Verdict.NOT_ALLOWED, 0),
    Kind.FORBIDDEN: (Verdict.NOT_ALLOWED, 0),
    Kind.TOO_LARGE: (Verdict.TOO_LARGE, 0),
    Kind.ERROR: (Verdict.UNCLEAR, 0),
    Kind.UNAVAILABLE: (Verdict.UNCLEAR, 0),
    Kind.REDIRECT: (Verdict.REFUSED_MESSAGE, 0),
    Kind.TEST_ONLY: (Verdict.REFUSED_MESSAGE, 0),
}


def test_every_kind_of_mood_is_tried() -> None:
    # Too fast is what several calls are, so it has a test of its own.
    assert set(MOODS) | {Kind.TOO_FAST} == set(Kind)


@pytest.mark.parametrize("kind", MOODS)
def test_it_misbehaves_once_as_told_counts_what_it_accepted_and_behaves_again(
    sandbox: Sandbox, carrier: SendGrid, kind: Kind
) -> None:
    verdict, accepted = MOODS[kind]
    sandbox.mood(Mood(kind=kind, times=1))
    outcome = carrier.hand_over(promotional(3))
    assert outcome.verdict is verdict
    assert sandbox.accepted == len(sandbox.messages) == accepted
    assert sandbox.requests[0].mood == kind
    # A dropped connection has no answer, neither in the sandbox's book nor at the other end.
    is_dropped = kind in {Kind.DROP_AFTER, Kind.DROP_BEFORE}
    assert (outcome.status is None) == (sandbox.requests[0].status is None) == is_dropped
    assert carrier.hand_over(promotional(3)).verdict is Verdict.ACCEPTED
    assert sandbox.accepted == accepted + 3


def test_a_mood_without_number_lasts_until_it_is_taken_back(
    sandbox: Sandbox, carrier: SendGrid
) -> None:
    sandbox.mood(Mood(kind=Kind.ERROR))
    verdicts = [carrier.hand_over(promotional()).verdict for _ in range(3)]
    assert verdicts == [Verdict.UNCLEAR] * 3
    sandbox.mood()
    assert carrier.hand_over(promotional()).verdict is Verdict.ACCEPTED


def test_moods_follow_each_other(sandbox: Sandbox, carrier: SendGrid) -> None:
    sandbox.mood(
        Mood(kind=Kind.TOO_MANY, times=2, retry_after=7), Mood(kind=Kind.FORBIDDEN, times=1)
    )
    outcomes = [carrier.hand_over(promotional()) for _ in range(4)]
    assert [outcome.status for outcome in outcomes] == [429, 429, 403, 202]
    assert [outcome.retry_after for outcome in outcomes[:2]] == [7.0, 7.0]


def test_a_refused_address_is_refused_only_where_it_stands(
    sandbox: Sandbox, carrier: SendGrid
) -> None:
    sandbox.mood(Mood(kind=Kind.REFUSE_ADDRESS, address="Person2@example.net"))
    outcome = carrier.hand_over(promotional(3))
    assert (outcome.verdict, outcome.refused) == (Verdict.REFUSED_ADDRESS, (1,))
    rest = [person(1), person(3)]
    assert carrier.hand_over(promotional(people=rest)).verdict is Verdict.ACCEPTED


def test_mail_counts_though_the_client_gave_up_waiting(sandbox: Sandbox, carrier: SendGrid) -> None:
    sandbox.mood(Mood(kind=Kind.DELAY, times=1, seconds=1.5))
    assert carrier.hand_over(promotional(3)).verdict is Verdict.UNCLEAR
    assert sandbox.accepted == 3
    assert carrier.hand_over(promotional(2)).verdict is Verdict.ACCEPTED


def test_a_refused_request_has_no_mail_in_any_mood(sandbox: Sandbox) -> None:
    sandbox.mood(Mood(kind=Kind.DROP_AFTER))
    assert post(sandbox, broken(promotional(3), "wrong"))[0] == 400
    assert sandbox.accepted == 0


# The store


def test_mail_in_a_file_survives_a_restart_and_goes_on_counting(tmp_path: Path) -> None:
    settings = SandboxSettings(store=tmp_path / "mail.sqlite")
    for number in (1, 2):
        with Sandbox(settings) as running:
            carrier = SendGrid(KEY, running.url)
            carrier.hand_over(promotional(people=[person(number)]))
            carrier.close()
    with Sandbox(settings) as running:
        assert [message.email[:7] for message in running.messages] == ["person1", "person2"]
        assert running.accepted == 2


def test_it_keeps_the_newest_and_counts_all() -> None:
    with Sandbox(SandboxSettings(keep=5)) as small:
        carrier = SendGrid(KEY, small.url)
        carrier.hand_over(promotional(8))
        carrier.close()
        assert [message.name for message in small.messages] == [f"Person {n}" for n in range(4, 9)]
        assert small.accepted == 8


def test_a_stopped_sandbox_answers_nobody_on_a_kept_connection(sandbox: Sandbox) -> None:
    with Sandbox() as other:
        carrier = SendGrid(KEY, other.url)
        carrier.hand_over(promotional(1))
    assert carrier.hand_over(promotional(1)).verdict is Verdict.NOT_CONNECTED


def test_a_port_that_is_taken_is_told(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(BadSetting, match=f"Port {port}"), Sandbox(port=port):
        pass


def test_it_listens_on_this_machine_only(sandbox: Sandbox) -> None:
    assert sandbox.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("retry_after", [None, 2.0])
def test_a_vendor_that_takes_so_many_calls_a_second_refuses_what_is_beyond_them(
    sandbox: Sandbox, carrier: SendGrid, retry_after: float | None
) -> None:
    sandbox.mood(Mood(kind=Kind.TOO_FAST, calls=4, retry_after=retry_after))
    outcomes = [carrier.hand_over(promotional(2)) for _ in range(6)]
    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 4 + [Verdict.LATER] * 2
    assert outcomes[-1].retry_after == retry_after
    assert sandbox.accepted == 8
    time.sleep(1.05)
    assert carrier.hand_over(promotional(2)).verdict is Verdict.ACCEPTED


def test_a_limit_of_calls_says_how_many() -> None:
    with pytest.raises(BadInput, match="how many calls a second"):
        read({"kind": "too_fast"})
    (mood,) = read({"kind": "too_fast", "calls": 10, "retry_after": 1})
    assert (mood.calls, mood.retry_after) == (10, 1)
