import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprefs.errors import Preflight
from mailprefs.vendor.preflight import check

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
DELETED = object()


def good() -> dict[str, Any]:
    return {
        "from": {"email": "news@mail.example.com", "name": "Example News"},
        "reply_to": {"email": "help@example.com"},
        "subject": "News for -name-",
        "content": [
            {"type": "text/plain", "value": "Hello -name-"},
            {"type": "text/html", "value": "<p>Hello -name-</p>"},
        ],
        "personalizations": [
            {
                "to": [{"email": f"{name}@example.net", "name": name}],
                "headers": {"List-Id": "<news.example.com>"},
                "substitutions": {"-name-": name},
                "custom_args": {"mp_delivery": "7"},
            }
            for name in ("ana", "bo")
        ],
    }


def broken(place: str, value: object) -> dict[str, Any]:
    """Set (or delete) one place of a good request; numbers in the place are positions."""
    request = deepcopy(good())
    *way, last = (int(step) if step.isdigit() else step for step in place.split("/"))
    part: Any = request
    for step in way:
        part = part.setdefault(step, {}) if isinstance(step, str) else part[step]
    if value is DELETED:
        del part[last]
    else:
        part[last] = value
    return request


def test_a_good_request_passes() -> None:
    check(good(), now=NOW)


PERSON = "personalizations/1"
REFUSED: list[tuple[str, Any, str]] = [
    ("personalizations", [], "personalizations: nobody"),
    ("personalizations", {"0": {}}, "personalizations: nobody"),
    (PERSON, "bo@example.net", "personalizations[1]: not an object"),
    (f"{PERSON}/to", DELETED, "personalizations[1].to: it must be a list"),
    (f"{PERSON}/to/0", "bo@example.net", "personalizations[1].to[0]: it must be an object"),
    (f"{PERSON}/to/0/email", 7, "personalizations[1].to[0].email: it is missing"),
    (f"{PERSON}/to/0/email", "bo", "personalizations[1].to[0].email: not an address"),
    (f"{PERSON}/to/0/email", "b" * 310 + "@example.net", "personalizations[1].to[0].email: longer"),
    (f"{PERSON}/to/0/email", "ANA@Example.Net", "personalizations[1].to[0].email: this recipient"),
    (f"{PERSON}/to/0/name", "Roe; Bo", "personalizations[1].to[0].name: a name can't"),
    (f"{PERSON}/to/0/name", "Bo\nBcc: x", "personalizations[1].to[0].name: a name can't"),
    (f"{PERSON}/to/0/name", None, "personalizations[1].to[0].name: it must be a text"),
    (f"{PERSON}/to/0/nick", "Bo", "personalizations[1].to[0]: the vendor doesn't know nick"),
    (f"{PERSON}/cc", [], "personalizations[1].cc: it must be a list"),
    (f"{PERSON}/bcc", [{"email": "ana@example.net"}], "personalizations[1].bcc[0].email: this"),
    (f"{PERSON}/tracking", {}, "personalizations[1]: the vendor doesn't know tracking"),
    (f"{PERSON}/from", {"email": "x@other.example"}, "personalizations[1].from: its domain"),
    (f"{PERSON}/subject", "", "personalizations[1].subject: it must be a text"),
    (f"{PERSON}/subject", "a\rb", "personalizations[1].subject: it holds a line break"),
    (f"{PERSON}/substitutions", {"-name-": "a\nb"}, "personalizations[1].subject: it holds"),
    (f"{PERSON}/substitutions", [], "personalizations[1].substitutions: it must be an object"),
    (f"{PERSON}/substitutions", {"-x-": 5}, "personalizations[1].substitutions: the value of -x-"),
    (f"{PERSON}/substitutions", {"-x-": ""}, "personalizations[1].substitutions: the value of -x-"),
    (f"{PERSON}/substitutions", {"": "x"}, "personalizations[1].substitutions: the name of tag 1"),
    (f"{PERSON}/substitutions", {"a b": "x"}, "personalizations[1].substitutions: the name of"),
    (f"{PERSON}/substitutions", {"-x-": "é" * 5_000}, "personalizations[1].substitutions: 10"),
    (f"{PERSON}/headers", ["a"], "personalizations[1].headers: it must be an object"),
    (f"{PERSON}/headers", {"X-A": "1", "x-a": "2"}, "personalizations[1].headers: a header stands"),
    (f"{PERSON}/headers", {"X A": "1"}, "personalizations[1].headers: the name of header 1"),
    (f"{PERSON}/headers", {"X:A": "1"}, "personalizations[1].headers: the name of header 1"),
    (f"{PERSON}/headers", {"Ünï": "1"}, "personalizations[1].headers: the name of header 1"),
    (f"{PERSON}/headers", {"DKIM-Signature": "1"}, "personalizations[1].headers: DKIM-Signature"),
    (f"{PERSON}/headers", {"X-A": "a\r\nBcc: x"}, "personalizations[1].headers: the value of X-A"),
    (f"{PERSON}/headers", {"X-A": 1}, "personalizations[1].headers: the value of X-A"),
    (f"{PERSON}/custom_args", {"a": 1}, "personalizations[1].custom_args: the value of a"),
    (f"{PERSON}/custom_args", {"a": ""}, "personalizations[1].custom_args: the value of a"),
    (f"{PERSON}/custom_args", {"email": "x"}, "personalizations[1].custom_args: the vendor over"),
    (f"{PERSON}/custom_args", {"a": "x" * 9_999}, "personalizations[1].custom_args: 10"),
    (f"{PERSON}/dynamic_template_data", [], "personalizations[1].dynamic_template_data: it must"),
    (f"{PERSON}/send_at", True, "personalizations[1].send_at: it must be a whole number"),
    ("from", DELETED, "from: it is missing"),
    ("from/email", "nobody", "from.email: not an address"),
    ("from/name", "A\nB", "from.name: a name can't hold a line break"),
    ("reply_to/email", "-name-", "reply_to.email: not an address"),
    ("reply_to_list", [{"email": "a@example.net"}], "reply_to_list: use either"),
    ("subject", DELETED, "personalizations[0].subject: there is none"),
    ("content", DELETED, "content: it must be a list"),
    ("content/0", "Hello", "content[0]: it must be an object"),
    ("content/0/value", "", "content[0].value: it must be a text of at least"),
    ("content/0/type", "text/plain; charset=utf-8", "content[0].type: it can't hold"),
    ("content/0/type", "text/x-amp-html", "content: the order"),
    ("headers", {"Reply-To": "x"}, "headers: Reply-To is the vendor's own"),
    ("custom_args", "text", "custom_args: it must be an object"),
    ("send_at", "1800000000", "send_at: it must be a whole number"),
    ("batch_id", 7, "batch_id: it must be a text"),
    ("template_id", 7, "template_id: it must be a text"),
    ("categories", ["a", "a"], "categories: a category stands there twice"),
    ("categories", "news", "categories: it must be a list"),
    ("categories", ["é"], "categories[0]: it must be ASCII"),
    ("asm", {}, "asm: it must be an object with a group_id"),
    ("asm", {"group_id": 1, "groups_to_display": ["2"]}, "asm.groups_to_display: it must"),
    ("ip_pool_name", "x" * 65, "ip_pool_name: it must be a text of 2 to 64"),
    ("attachments", [{"content": "aGk="}], "attachments[0].filename: it must"),
    ("attachments", [{"content": "", "filename": "a"}], "attachments[0].content: it must"),
    ("attachments", ["a"], "attachments[0]: it must be an object"),
    ("mail_settings", {"sandbox_mode": {"enable": "no"}}, "mail_settings.sandbox_mode.enable: it"),
    ("mail_settings", {"sandbox": {}}, "mail_settings: the vendor doesn't know sandbox"),
    ("tracking_settings", {"open_tracking": True}, "tracking_settings.open_tracking: it must be"),
    ("tracking_settings", {"click_tracking": {"on": 1}}, "tracking_settings.click_tracking: the"),
    ("tracking_settings", [], "tracking_settings: it must be an object"),
    ("mystery", 1, "the request: the vendor doesn't know mystery"),
    ("content/1/value", "half \ud800", "the request: a text holds half of a character"),
    ("content/1/value", "x" * 30_000_000, "the request: 30000"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    REFUSED,
    ids=[f"{number}-{place}" for number, (place, _, _) in enumerate(REFUSED)],
)
def test_what_the_vendor_would_refuse_is_refused_with_its_place(
    place: str, value: object, sentence: str
) -> None:
    with pytest.raises(Preflight) as refusal:
        check(broken(place, value), now=NOW)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("content/0/value", "one\ntwo"),
        ("subject", "–"),
        (f"{PERSON}/to/0/name", "Zoë O'Neil"),
        (f"{PERSON}/to/0/email", "o'neil+news@sub.example.co.test"),
        (f"{PERSON}/substitutions", {"-x-": " "}),
        (f"{PERSON}/from", {"email": "other@MAIL.example.com"}),
        ("custom_args", {"mp_campaign": "7"}),
        ("asm", {"group_id": 7}),
        ("categories", []),
        ("mail_settings", {"bypass_list_management": {"enable": True}}),
        ("ip_pool_name", "marketing"),
    ],
)  # fmt: skip
def test_what_the_vendor_takes_passes(place: str, value: object) -> None:
    check(broken(place, value), now=NOW)


def test_a_request_takes_72_hours_ahead_in_seconds_and_no_more() -> None:
    limit = int((NOW + timedelta(hours=72)).timestamp())
    check(broken("send_at", limit), now=NOW)
    check(broken("send_at", 1), now=NOW)
    for late in (limit + 1, limit * 1000):
        with pytest.raises(Preflight, match="72 hours"):
            check(broken("send_at", late), now=NOW)


def test_shared_and_personal_custom_args_are_weighed_together() -> None:
    request = broken("custom_args", {"shared": "x" * 6_000})
    request["personalizations"][1]["custom_args"]["own"] = "y" * 5_000
    with pytest.raises(Preflight, match=r"personalizations\[1\].custom_args: 11"):
        check(request, now=NOW)


def test_a_template_of_the_vendor_needs_no_subject_and_no_content() -> None:
    request = good() | {"template_id": "d-0123"}
    del request["subject"], request["content"]
    with pytest.raises(Preflight, match="dynamic_template_data instead"):
        check(request, now=NOW)
    for person in request["personalizations"]:
        del person["substitutions"]
    check(request, now=NOW)


@pytest.mark.parametrize("request_", [None, [], "text", 7], ids=["null", "list", "text", "number"])
def test_what_is_no_object_is_refused(request_: object) -> None:
    with pytest.raises(Preflight, match="not a JSON object"):
        check(request_)


def sentence_about(request: object) -> str:
    try:
        check(request, now=NOW)
    except Preflight as refusal:
        return str(refusal)
    return "in order: nothing to say"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
PLACES = sorted({place for place, _, _ in REFUSED})


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_somewhere_it_passes_or_is_refused_with_a_sentence(
    place: str, value: object
) -> None:
    assert ": " in sentence_about(broken(place, value))


def test_no_sentence_shows_a_value_of_the_request() -> None:
    secret = "secret@example.net"
    for place, _, _ in REFUSED:
        for value in (
            secret,
            f"{secret}\n",
            [secret],
            {secret: secret},
            [{"email": f"{secret} x"}],
        ):
            assert "secret" not in sentence_about(broken(place, value)), json.dumps(value)
