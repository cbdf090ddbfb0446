import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprefs.errors import Preflight
from mailprefs.vendor import preflight
from mailprefs.vendor.bodies import assemble, body, request
from mailprefs.vendor.message import Mailing, People
from tests.vendor.mailings import CAMPAIGN, administrative, person, promotional

UNTRACKED = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


def sent(mailing: Mailing) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(body(mailing))
    return parsed


# What stands in a request


def test_each_person_has_a_personalization_with_opaque_custom_args_in_order() -> None:
    people = sent(promotional(3))["personalizations"]
    assert [p["to"] for p in people] == [
        [{"email": f"person{n}@example.net", "name": f"Person {n}"}] for n in (1, 2, 3)
    ]
    assert people[1]["custom_args"] == {
        "mp_delivery": "180388626434",  # 42 * 2**32 + 2
        "mp_campaign": "42",
        "mp_class": "promotional",
        "mp_attempt": "ab12",
    }
    assert people[1]["headers"]["List-Unsubscribe"].startswith(
        "<https://mail.example.com/u/token2>"
    )
    assert people[1]["substitutions"]["-k7-name_html-"] == "Zoë &amp; 2"


@pytest.mark.parametrize("mailing", [promotional(), administrative()], ids=["promo", "admin"])
def test_every_request_switches_all_tracking_of_the_vendor_off(mailing: Mailing) -> None:
    parsed = sent(mailing)
    assert parsed["tracking_settings"] == UNTRACKED
    assert not {"asm", "categories", "custom_args", "send_at", "headers"} & parsed.keys()


def test_promotional_mail_bypasses_no_list_of_the_vendor() -> None:
    assert not [name for name in sent(promotional())["mail_settings"] if "bypass" in name]


def test_administrative_mail_passes_unsubscribes_only_and_has_no_list_headers() -> None:
    parsed = sent(administrative())
    bypasses = {k: v for k, v in parsed["mail_settings"].items() if "bypass" in k}
    assert bypasses == {"bypass_unsubscribe_management": {"enable": True}}
    assert [p["headers"] for p in parsed["personalizations"]] == [{}, {}, {}]
    assert parsed["personalizations"][0]["custom_args"]["mp_class"] == "administrative"


def test_the_text_part_stands_before_the_html_part() -> None:
    assert [part["type"] for part in sent(promotional())["content"]] == ["text/plain", "text/html"]


def test_a_pool_is_named_only_where_there_is_one() -> None:
    assert "ip_pool_name" not in sent(promotional())
    assert sent(promotional(ip_pool="marketing"))["ip_pool_name"] == "marketing"


# The classes stay apart at the door too


def test_promotional_mail_without_a_way_out_does_not_leave() -> None:
    half = {k: v for k, v in person(2).headers.items() if k != "List-Unsubscribe-Post"}
    people = [person(1, headers=half), person(2, headers=half)]
    with pytest.raises(Preflight, match="List-Unsubscribe-Post"):
        body(promotional(people=people))


def test_administrative_mail_with_an_unsubscribe_header_does_not_leave() -> None:
    people = [person(1, substitutions={"-k7-prefs-": "x"})]
    with pytest.raises(Preflight, match="administrative"):
        body(administrative(people=people))


# The fast way and the plain way make the same request

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TAGS = st.sampled_from(["-a-", "-b%s-", '-"c"-', "{{d}}", "-é-"])
ADDRESSES = st.integers(1, 9999).map("p{}@example.org".format)


@st.composite
def mailings(draw: st.DrawFn) -> Mailing:
    addresses = draw(st.lists(ADDRESSES, min_size=1, max_size=6, unique=True))
    tags = draw(st.lists(TAGS, unique=True))
    people = [
        person(
            number,
            address=address,
            name=draw(st.none() | TEXTS),
            substitutions={tag: draw(TEXTS) for tag in tags},
        )
        for number, address in enumerate(addresses)
    ]
    return promotional(people=people, text=draw(TEXTS), subject="A subject")


@given(mailings())
def test_the_request_assembled_fast_is_the_one_that_plain_objects_give(mailing: Mailing) -> None:
    assert json.loads(body(mailing)) == request(mailing)


@given(mailings())
def test_what_is_assembled_passes_the_whole_preflight(mailing: Mailing) -> None:
    preflight.check(json.loads(body(mailing)))


def test_people_with_and_without_a_name_share_a_request() -> None:
    mailing = promotional(people=[person(1), person(2, name=None), person(3, name=""), person(4)])
    assert json.loads(body(mailing)) == request(mailing)
    named = ["name" in one["to"][0] for one in sent(mailing)["personalizations"]]
    assert named == [True, False, False, True]


@pytest.mark.parametrize("value", ["\0", "\1", "%s", "%", "\x1f"])
def test_what_all_share_may_be_any_character(value: str) -> None:
    mailing = promotional(people=[person(n, **leaving(value)) for n in (1, 2)])
    assert json.loads(body(mailing)) == request(mailing)


def test_people_with_other_tags_or_headers_can_t_share_a_request() -> None:
    for other in (
        person(2, substitutions={"-k7-leave-": "x"}),
        person(2, headers={**person(2).headers, "X-More": "yes"}),
    ):
        with pytest.raises(ValueError, match="the same tags and headers"):
            People.of([person(1), other])


def test_a_name_that_the_vendor_refuses_is_sent_without_its_commas() -> None:
    people = [person(1, name="Doe; Jane,\r\nDr.\x07 "), person(2, name=",;")]
    parsed = sent(promotional(people=people))["personalizations"]
    assert parsed[0]["to"] == [{"email": "person1@example.net", "name": "Doe Jane Dr."}]
    assert parsed[1]["to"] == [{"email": "person2@example.net"}]


def test_an_international_domain_is_sent_as_the_vendor_reads_it() -> None:
    people = [person(1, address="zoe@bücher.example")]
    parsed = sent(promotional(people=people))["personalizations"]
    assert parsed[0]["to"][0]["email"] == "zoe@xn--bcher-kva.example"


def test_a_line_break_is_fine_in_a_body_and_not_in_a_subject_or_header() -> None:
    named = {**person(1).substitutions, "-k7-leave-": "one\ntwo"}
    assert body(promotional(people=[person(1, substitutions=named)]))
    named["-k7-name_text-"] = "Ann\nBcc: someone"
    headed = {**person(2).headers, "List-Id": "a\r\nBcc: someone"}
    people = [person(1, substitutions=named), person(2, headers=headed), person(3)]
    assert set(assemble(promotional(people=people)).refused) == {0, 1}


def leaving(value: str) -> dict[str, object]:
    return {"substitutions": {**person(2).substitutions, "-k7-leave-": value}}


def listed(value: str) -> dict[str, object]:
    return {"headers": {**person(2).headers, "List-Id": value}}


REFUSED_PEOPLE: dict[str, dict[str, object]] = {
    "no sign": {"address": "no address"},
    "two signs": {"address": "two@signs@example.net"},
    "too long": {"address": "x" * 320 + "@example.net"},
    "letters beyond ASCII": {"address": "ünïcode@example.net"},
    "line break": {"address": "trailing@example.net\n"},
    "same person in capitals": {"address": "PERSON1@example.net"},
    "empty value": leaving(""),
    "heavy value": leaving("x" * 10_000),
    "heavy in bytes only": leaving("字" * 3_400),
    "half of a character": leaving("half \ud83d"),
    "empty header": listed(""),
    "header with NUL": listed("nul\0"),
}


@pytest.mark.parametrize("changes", REFUSED_PEOPLE.values(), ids=REFUSED_PEOPLE)
def test_one_person_who_would_have_all_refused_is_named_by_position(
    changes: dict[str, object],
) -> None:
    mailing = promotional(people=[person(1), person(2, **changes), person(3)])
    assembled = assemble(mailing)
    assert list(assembled.refused) == [1]
    assert assembled.content == b""
    with pytest.raises(Preflight, match=r"personalizations\[1\]") as refusal:
        body(mailing)
    assert "@" not in str(refusal.value)


def test_values_just_inside_the_limit_are_handed_over() -> None:
    other = {"-a-": "字" * 3_300}  # 9,900 bytes in UTF-8
    assert body(promotional(people=[person(1, substitutions=other)]))


def to_one(**changes: object) -> Mailing:
    return promotional(people=[person(1, **changes)])


REFUSED_MESSAGES = {
    "nobody": promotional(people=[]),
    "too many": promotional(1_001),
    "no subject": promotional(subject=""),
    "two lines of subject": promotional(subject="two\nlines"),
    "empty part": promotional(html=""),
    "no sender": promotional(from_address="nobody"),
    "two to reply to": promotional(reply_to="help@example.com, other@example.com"),
    "forged sender name": promotional(from_name="Example\r\nBcc: x"),
    "short pool": promotional(ip_pool="x"),
    "half of a character": promotional(text="half \udc00"),
    "reserved header": to_one(headers={**person(1).headers, "Subject": "x"}),
    "header with space": to_one(headers={**person(1).headers, "X Y": "x"}),
    "tag with space": to_one(substitutions={"with space": "x"}),
    "tag with NUL": to_one(substitutions={"with\0nul": "x"}),
}


@pytest.mark.parametrize("mailing", REFUSED_MESSAGES.values(), ids=REFUSED_MESSAGES)
def test_a_message_that_breaks_a_rule_is_refused_whoever_its_people_are(mailing: Mailing) -> None:
    with pytest.raises(Preflight):
        assemble(mailing)


def test_the_fault_of_a_message_is_never_put_on_a_person() -> None:
    unusual = person(1, name="Doe, Jane")  # looked at closely, and in order
    with pytest.raises(Preflight, match=r"^personalizations\[0\]\.subject: it must be a text"):
        assemble(promotional(subject="", people=[unusual]))


def test_the_campaign_of_the_tests_is_the_one_in_their_delivery_ids() -> None:
    assert person(1).delivery_id >> 32 == CAMPAIGN
