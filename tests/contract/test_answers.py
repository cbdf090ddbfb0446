"""The sandbox's answers against the vendor's own OpenAPI document."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from mailprefs.sandbox import parts
from mailprefs.sandbox.app import create_sandbox
from mailprefs.sandbox.moods import Kind, Mood
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.sendgrid import body
from tests.contract.test_mail_send import BODIES, DOCUMENT, document, example, validator
from tests.vendor.mailings import promotional

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"the vendor's contract isn't at {DOCUMENT}"
)

HEADERS = {"Authorization": "Bearer any", "Content-Type": "application/json"}


Start = Callable[..., FlaskClient]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start sandboxes in a mood, and end them after the test."""
    started: list[parts.Parts] = []

    def begin(*moods: Mood) -> FlaskClient:
        app = create_sandbox(SandboxSettings(moods=moods))
        started.append(parts.of(app))
        return app.test_client()

    yield begin
    for one in started:
        one.close()


def documented() -> dict[str, object]:
    responses: dict[str, object] = document()["paths"]["/v3/mail/send"]["post"]["responses"]
    return responses


def fits(status: int, content: bytes) -> list[str]:
    """List what in an error's body isn't as the document describes it for *status*."""
    assert str(status) in documented()
    pointer = f"/components/responses/PostMailSend{status}/content/application~1json/schema"
    return [error.message for error in validator(pointer).iter_errors(json.loads(content))]


def test_an_accepted_request_is_answered_as_documented_and_empty(start: Start) -> None:
    answer = start().post("/v3/mail/send", data=body(promotional()), headers=HEADERS)
    assert (answer.status_code, answer.data) == (202, b"")
    assert "202" in documented()


@pytest.mark.parametrize(
    "kind",
    [Kind.REFUSE_ADDRESS, Kind.REFUSE_MESSAGE, Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.ERROR],
)
def test_each_documented_error_has_the_documented_body(start: Start, kind: Kind) -> None:
    answer = start(Mood(kind=kind)).post("/v3/mail/send", data=body(promotional()), headers=HEADERS)
    assert fits(answer.status_code, answer.data) == []


def test_what_is_asked_wrongly_is_answered_as_documented(start: Start) -> None:
    asking = start()
    for answer in (
        asking.post("/v3/mail/send", data=b"{", headers=HEADERS),
        asking.post("/v3/mail/send", data=body(promotional())),
        asking.get("/v3/mail/send"),
        asking.post("/v3/mail/other"),
    ):
        assert fits(answer.status_code, answer.data) == []


@pytest.mark.parametrize("path", BODIES, ids=[path.stem for path in BODIES])
def test_the_sandbox_takes_the_valid_bodies_and_refuses_the_others_as_documented(
    start: Start, path: Path
) -> None:
    answer = start().post("/v3/mail/send", data=json.dumps(example(path)), headers=HEADERS)
    if path.name.startswith(("valid_", "x")):
        assert answer.status_code == 202
    else:
        assert answer.status_code == 400
        assert fits(400, answer.data) == []
        assert all(error["field"] for error in json.loads(answer.data)["errors"])
