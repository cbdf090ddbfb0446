"""The API door for sign-ups: a key with the scope, words as proof, one answer for every address."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from mailprefs import api_keys, consent, recipients
from mailprefs.audit import CONSOLE
from mailprefs.policy import AddressOrigin, KeyScope, Source
from mailprefs.schema.choices import Wording
from mailprefs.web.api.openapi import document
from mailprefs.web.parts import Parts
from tests.snapshots import snapshot
from tests.web.conftest import Clock, Reader

PATH = "/api/sign-ups"
NEW = "new.person@example.com"
WORDS = "Yes, send me the newsletter."
Ask = Callable[..., TestResponse]


def made(parts: Parts, clock: Clock, *scopes: KeyScope) -> str:
    ends = clock.now + timedelta(days=30)
    with parts.db.transaction() as session:
        return api_keys.add(session, "Shop", scopes, ends, CONSOLE, now=clock.now)[1]


@pytest.fixture
def ask(client: FlaskClient, parts: Parts, clock: Clock) -> Ask:
    key = made(parts, clock, KeyScope.SUBSCRIBE)

    def send(body: object, *, text: str = key) -> TestResponse:
        return client.post(PATH, json=body, headers={"Authorization": f"Bearer {text}"})

    return send


def wish(**changes: object) -> dict[str, Any]:
    return {"address": NEW, "topics": ["newsletter"], "wording": WORDS, **changes}


def described(response: TestResponse) -> Any:  # noqa: ANN401 - whatever JSON came
    """Give an answer that is as the description says."""
    whole = document()
    told = whole["paths"][PATH]["post"]["responses"][str(response.status_code)]
    schema = told["content"]["application/json"]["schema"]
    Draft202012Validator(schema | {"components": whole["components"]}).validate(response.json)
    return response.json


def test_a_sign_up_waits_with_its_words_language_and_region(
    ask: Ask, parts: Parts, reader: Reader
) -> None:
    answer = ask(wish(language="de-AT", region="AT"))
    assert (answer.status_code, described(answer)) == (202, {"accepted": True})
    with parts.db.reading() as session:
        person = recipients.find(session, parts.hasher, NEW)
        assert person is not None
        assert person.address_origin is AddressOrigin.UNCONFIRMED
        assert (person.language, person.region) == ("de", "AT")
        (one,) = [one.entry for one in consent.history(session, person.id)]
        assert one.wording is not None
        assert session.get_one(Wording, one.wording.id).text == WORDS
    assert (one.new, one.source, one.source_ref) == ("pending", Source.API, "key 1")


def test_known_and_unknown_addresses_get_the_same_answer(ask: Ask, reader: Reader) -> None:
    known, unknown = ask(wish(address=reader.address)), ask(wish())
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data)


def test_a_key_for_other_things_signs_nobody_up(
    ask: Ask, parts: Parts, reader: Reader, clock: Clock
) -> None:
    other = made(parts, clock, KeyScope.CHOICES)
    before = snapshot(parts.db)
    for text, status in ((other, 403), ("mpk_nothing", 401), ("", 401)):
        answer = ask(wish(), text=text)
        assert answer.status_code == status
        assert described(answer)["error"]
    assert snapshot(parts.db) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"address": NEW, "topics": ["newsletter"]}, 400),
        (wish(topics=[]), 400),
        (wish(topics="newsletter"), 400),
        (wish(topics=[1]), 400),
        (wish(topics=["newsletter"] * 101), 400),
        (wish(topics=["no' --"]), 404),
        (wish(topics=["x\x00"]), 400),
        (wish(topics=["account"]), 409),
        (wish(wording="  "), 400),
        (wish(wording="x" * 2_001), 400),
        (wish(wording="\ud800"), 400),
        (wish(address="%"), 400),
        (wish(address="x" * 10_000), 400),
        (wish(address=None), 400),
        (wish(state="subscribed"), 400),
        (wish(language=1), 400),
    ],
)
def test_anything_else_gets_a_sentence_and_changes_nothing(
    ask: Ask, parts: Parts, reader: Reader, body: object, status: int
) -> None:
    before = snapshot(parts.db)
    answer = ask(body)
    assert answer.status_code == status
    assert described(answer)["error"].endswith((".", "else.", "}"))
    assert snapshot(parts.db) == before
