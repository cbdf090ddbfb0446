import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailprefs.errors import BadInput
from mailprefs.links import Links
from mailprefs.policy import LegalPurpose, MessageClass, TrackingMode
from mailprefs.rendering.composing import Source, compose, compose_template
from mailprefs.rendering.content import MOST_BYTES, Content
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.rendering.person import (
    Origin,
    Person,
    Rendered,
    inert,
    mailing,
    missing,
    personalise,
    preview,
    render,
)
from mailprefs.sandbox.substitutions import fill
from mailprefs.vendor import bodies
from mailprefs.vendor.message import People, Personal

Make = Callable[..., Person]

BODY = """preheader: For {{ first_name | "you" }} only

# News for {{ first_name | "you" }}

{% if plan == "pro" %}
You are **pro**, {{ first_name | "friend" }}: [settings]({{ preferences_url }})
{% else %}
You are on {{ plan | "no plan" }}.
{% endif %}

Bye{% if city %} in {{ city }}{% endif %}.
"""
TROUBLE = [
    "", " ", "Ana", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "O'Neil & Søn",
    "Ana\r\nBcc: all@example.net", "tab\there", "nul\0", "\u202egnp.exe", "line\u2028two",
    "%s %d %", "{{ plan }}", "\\u{e100}", "👩‍🚀" * 60, "x" * 5000, "&amp;", "-mp-_first_name_t-",
    "\ud800", "\ue100", "José\u0301", "$1 \\1 \\g<0>",
]  # fmt: skip


def vendor(body: str, substitutions: Mapping[str, str], seed: int) -> str:
    """Replace as the vendor is documented to: plain text, in no order, up to four deep."""
    pairs = list(substitutions.items())
    random.Random(seed).shuffle(pairs)
    for _ in range(4):
        for tag, value in pairs:
            body = value.join(body.split(tag))
    return body


def arrived(content: Content, personal: Personal, seed: int = 0) -> Rendered:
    subject, text, html = (vendor(part, personal.substitutions, seed) for part in parts(content))
    return Rendered(subject, text, html, personal.headers)


def parts(content: Content) -> tuple[str, str, str]:
    return content.subject, content.text, content.html


def everything(message: Rendered) -> str:
    return "\n".join([message.subject, message.text, message.html, *message.headers.values()])


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    parser.close()
    return parser


@pytest.fixture
def content(newsletter: Letterhead) -> Content:
    return compose(
        Source('{{ first_name | "Hi" }}, news{% if city %} from {{ city }}{% endif %}', BODY),
        newsletter,
    )


def test_500_people_of_all_modes_share_one_request_and_each_gets_their_own_pixel(
    content: Content, origin: Origin, person: Make, links: Links
) -> None:
    modes = list(TrackingMode)
    people = [person(n, modes[n % 3], plan="pro" if n % 2 else "") for n in range(1, 501)]
    make = personalise(content, origin)
    request = mailing(content, origin, make.batch(people), attempt="a1")
    assert (request.subject, request.text, request.html) == parts(content)
    assert len({frozenset(one.substitutions) for one in request.people}) == 1
    opens = {}
    for one, personal in zip(people, request.people, strict=True):
        message = arrived(content, personal)
        shown = everything(message)
        assert 'src=""' not in shown and content.mark not in shown
        assert all(personal.substitutions.values())
        pixels = re.findall(
            r'<img src="[^"]*/o/([^"]+)" width="1" height="1" alt="">', message.html
        )
        assert shown.count("/o/") == len(pixels) == (one.mode is not TrackingMode.OFF)
        opens[one.delivery_id] = pixels[0] if pixels else None
    for one in people:
        token = opens[one.delivery_id]
        if one.mode is TrackingMode.INDIVIDUAL:
            assert links.read_open(token).delivery_id == one.delivery_id
        elif one.mode is TrackingMode.AGGREGATE:
            link = links.read_open(token)
            assert link.is_aggregate and link.campaign_id == origin.campaign_id
    aggregate = {opens[one.delivery_id] for one in people if one.mode is TrackingMode.AGGREGATE}
    assert len(aggregate) == 1


def test_links_are_the_persons_own_and_work_whatever_the_mode(
    content: Content, origin: Origin, person: Make, links: Links
) -> None:
    for mode in TrackingMode:
        who = person(9, mode, plan="pro")
        message = arrived(content, personalise(content, origin)(who))
        for part in (message.text, message.html, message.headers["List-Unsubscribe"]):
            token = re.findall(r"https://mail\.books\.example\.com/u/([\w.-]+)", part)[0]
            assert links.read_unsubscribe(token) == (who.recipient_id, 3, who.delivery_id)
        for part in (message.text, message.html):
            tokens = set(re.findall(r"https://mail\.books\.example\.com/p/([\w.-]+)", part))
            assert {links.read_preferences(one) for one in tokens} == {
                (who.recipient_id, who.delivery_id)
            }
            assert "#measurement" in part


@pytest.mark.parametrize("name", TROUBLE)
def test_no_name_changes_more_than_the_words_where_it_stands(
    content: Content, origin: Origin, person: Make, name: str
) -> None:
    make = personalise(content, origin)
    plain = arrived(content, make(person(1, plan="pro", city="Rome")))
    message = arrived(content, make(person(1, first_name=name, plan="pro", city="Rome")))
    assert elements(message.html).tags == elements(plain.html).tags
    assert elements(message.html).attributes == elements(plain.html).attributes
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800]", message.subject)
    assert message.subject.endswith(", news from Rome")
    assert dict(message.headers) == dict(plain.headers)
    assert message.text.count("\n") == plain.text.count("\n")


def test_a_blank_name_gets_its_fallback_everywhere(
    content: Content, origin: Origin, person: Make
) -> None:
    for blank in ("", " ", "\t\u2028", "\u202e"):
        message = arrived(content, personalise(content, origin)(person(1, first_name=blank)))
        assert message.subject == "Hi, news"
        assert message.text.startswith("News for you\n")
        assert "For you only" in message.html
        assert "You are on no plan." in message.text and "You are on no plan." in message.html


def test_html_is_escaped_in_html_and_only_there(
    content: Content, origin: Origin, person: Make
) -> None:
    who = person(1, first_name="<b>&", plan="pro", city='"R"')
    message = arrived(content, personalise(content, origin)(who))
    assert message.subject == '<b>&, news from "R"'
    assert "You are pro, <b>&: settings" in message.text
    assert "You are <strong>pro</strong>, &lt;b&gt;&amp;: <a href=" in message.html
    assert "Bye in &quot;R&quot;." in message.html and "<b>" not in message.html


def test_a_value_that_holds_a_tag_of_this_very_content_is_defused(
    content: Content, origin: Origin, person: Make
) -> None:
    mark = content.mark
    attempts = [
        content.pixel_tag,
        f"-{mark}_URL_preferences_url-",
        f"-{mark[:4]}{mark}{mark[4:]}_PIXEL-",
        mark,
        f"-{mark}_IF2_h-" * 3,
    ]
    for attempt in attempts:
        who = person(1, TrackingMode.INDIVIDUAL, first_name=attempt, city=attempt, plan=attempt)
        personal = personalise(content, origin)(who)
        assert all(mark not in value for value in personal.substitutions.values())
        message = arrived(content, personal)
        assert mark not in everything(message)
        assert message.html.count("/o/") == 1 and "/o/" not in message.text + message.subject


def test_a_block_that_is_not_for_a_person_leaves_no_trace(
    content: Content, origin: Origin, person: Make
) -> None:
    make = personalise(content, origin)
    rome, nowhere = (arrived(content, make(person(1, city=city))) for city in ("Rome", ""))
    assert "Bye in Rome." in rome.text and "Bye in Rome." in rome.html
    assert "\nBye.\n" in nowhere.text and ">Bye.</p>" in nowhere.html
    assert nowhere.subject == "Ana, news"


@pytest.mark.parametrize(
    ("statement", "plan", "shown"),
    [
        ("if plan", "pro", True), ("if plan", "", False),
        ("if not plan", "pro", False), ("if not plan", "", True),
        ('if plan == "pro"', "pro", True), ('if plan == "pro"', "Pro", False),
        ('if plan != "pro"', "pro", False), ('if plan != "pro"', "", True),
    ],
)  # fmt: skip
def test_blocks_go_by_what_the_person_has(
    newsletter: Letterhead, origin: Origin, person: Make, *, statement: str, plan: str, shown: bool
) -> None:
    body = (
        f"a\n\n{{% {statement} %}}\n\nfor 100 % of you, {{{{ first_name | 'x' }}}}\n\n"
        "{% endif %}\n\nz"
    )
    content = compose(Source("x", body), newsletter)
    message = arrived(content, personalise(content, origin)(person(1, plan=plan)))
    between = "a\n\nfor 100 % of you, Ana\n\nz" if shown else "a\n\nz"
    assert message.text.startswith(between)
    assert ("for 100 % of you" in message.html) is shown


def test_promotional_mail_has_the_headers_of_rfc_8058_and_a_list_id(
    content: Content, origin: Origin, person: Make, links: Links
) -> None:
    headers = personalise(content, origin)(person(4)).headers
    assert set(headers) == {"List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"}
    url = re.fullmatch(
        r"<https://mail\.books\.example\.com/u/([\w.-]+)>", headers["List-Unsubscribe"]
    )
    assert url and links.read_unsubscribe(url[1]).recipient_id == 1004
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["List-Id"] == "Reading List <reading-list.news.books.example.com>"


def test_the_mailto_way_out_comes_second_and_carries_the_same_token(
    content: Content, origin: Origin, person: Make
) -> None:
    origin = replace(origin, unsubscribe_mailbox="unsubscribe@in.example.com")
    header = personalise(content, origin)(person(4)).headers["List-Unsubscribe"]
    match = re.fullmatch(
        r"<https://[^<>]+/u/([\w.-]+)>, <mailto:unsubscribe@in\.example\.com\?subject=u-([\w.-]+)>",
        header,
    )
    assert match and match[1] == match[2] and len(header) < 998


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Bücher für alle", "Bucher fur alle <l.news.books.example.com>"),
        ('A, "B" <c>\r\nX: y', '"A, B c X: y" <l.news.books.example.com>'),
        ("読書", "<l.news.books.example.com>"),
    ],
)
def test_the_list_id_is_ascii_and_one_line(
    content: Content, origin: Origin, person: Make, name: str, expected: str
) -> None:
    origin = replace(origin, topic_name=name, topic_slug="L")
    assert personalise(content, origin)(person()).headers["List-Id"] == expected


def test_administrative_mail_has_no_list_headers_no_pixel_and_no_unsubscribe_link(
    notice: Letterhead, origin: Origin, person: Make
) -> None:
    content = compose(Source("Our policy", 'Hello {{ first_name | "there" }}'), notice)
    personal = personalise(content, origin)(person(1, TrackingMode.INDIVIDUAL))
    message = arrived(content, personal)
    assert personal.headers == {}
    assert "/o/" not in everything(message) and "/u/" not in everything(message)
    assert "<img" not in message.html and "/p/" in message.html and "/p/" in message.text
    request = mailing(content, origin, People.of([personal]), attempt="a1")
    assert request.message_class is MessageClass.ADMINISTRATIVE


@pytest.mark.parametrize("name", TROUBLE)
def test_a_preview_is_byte_for_byte_what_the_vendor_makes(
    content: Content, origin: Origin, person: Make, name: str
) -> None:
    for plan in ("pro", "", name):
        who = person(3, TrackingMode.INDIVIDUAL, first_name=name, city=name, plan=plan)
        personal = personalise(content, origin)(who)
        assert all(
            render(content, personal) == arrived(content, personal, seed) for seed in range(5)
        )


def test_a_preview_differs_from_the_send_in_its_links_only(
    content: Content, origin: Origin, person: Make
) -> None:
    who = person(3, TrackingMode.OFF, plan="pro", city="Rome")
    sent = render(content, personalise(content, origin)(who))
    shown = preview(content, origin, who)
    without = re.compile(r"/([up])/[\w.-]+")
    for one, other in zip(sent[:3], shown[:3], strict=True):
        assert without.sub(r"/\1/", one) == without.sub(r"/\1/", other)
    assert sent.html != shown.html


def test_a_test_sends_links_are_for_nobody_and_it_has_no_pixel(
    content: Content, origin: Origin, person: Make, links: Links
) -> None:
    who = inert(person(3, TrackingMode.INDIVIDUAL, plan="pro"))
    message = render(content, personalise(content, origin)(who))
    assert "/o/" not in everything(message)
    for token in set(re.findall(r"/u/([\w.-]+)", everything(message))):
        assert links.read_unsubscribe(token) == (0, 3, 0)
    for token in set(re.findall(r"/p/([\w.-]+)", everything(message))):
        assert links.read_preferences(token) == (0, 0)


def test_what_is_handed_over_passes_the_vendors_rules_and_makes_the_same_messages(
    content: Content, origin: Origin, person: Make
) -> None:
    modes = list(TrackingMode)
    people = [
        person(n, modes[n % 3], first_name=name, plan=name, city=name)
        for n, name in enumerate(TROUBLE, start=1)
    ]
    personals = list(map(personalise(content, origin), people))
    request = json.loads(bodies.body(mailing(content, origin, People.of(personals), attempt="a1")))
    shared = [request["subject"], *(part["value"] for part in request["content"])]
    assert len(request["personalizations"]) == len(TROUBLE)
    for personal, handed in zip(personals, request["personalizations"], strict=True):
        subject, text, html = (fill(part, handed["substitutions"]) for part in shared)
        assert (subject, text, html) == render(content, personal)[:3]


def test_what_somebody_lacks_is_named_before_anything_is_sent(
    newsletter: Letterhead, person: Make
) -> None:
    content = compose(
        Source("{{ first_name }}", '{{ plan }} {{ city | "x" }}{% if a %}{{ a }}{% endif %}'),
        newsletter,
    )
    assert content.required == ("first_name", "plan")
    assert missing(content, person(1, plan="pro")) == ()
    assert missing(content, person(1, first_name=" \0")) == ("first_name", "plan")


def test_the_worst_person_still_fits_the_vendors_limit(
    newsletter: Letterhead, origin: Origin, person: Make
) -> None:
    names = [f"field{number}" for number in range(15)]
    body = " ".join(f'{{{{ {name} | "x" }}}}' for name in names)
    content = compose(Source("x", body), newsletter)
    worst = dict.fromkeys(names, '"' * 9000)
    long_base = replace(origin, base_url="https://" + "m" * 108 + ".com")
    personal = personalise(content, long_base)(person(1, TrackingMode.INDIVIDUAL, **worst))
    pairs = personal.substitutions.items()
    weight = sum(len(tag.encode()) + len(value.encode()) for tag, value in pairs)
    assert weight <= content.largest_substitutions() <= MOST_BYTES
    assert len(render(content, personal).html.encode()) <= content.largest_html()
    assert any("…" in value for value in personal.substitutions.values())


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("Ana", "Brandt", "Ana Brandt"), ("", "", None), (" ", "Brandt", "Brandt"),
        ("Ana\r\nBcc: x", "\u202eo\ud800", "Ana Bcc: x o"), ("x" * 600, "", "x" * 252 + "…"),
    ],
)  # fmt: skip
def test_the_name_beside_the_address_is_one_line_without_tricks(
    content: Content, origin: Origin, person: Make, *, first: str, last: str, expected: str | None
) -> None:
    personal = personalise(content, origin)(person(1, first_name=first, last_name=last))
    assert personal.name == expected


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "javascript:x"}, {"base_url": 'https://a.example"x'},
        {"base_url": "https://a.example/?x"}, {"base_url": "https://" + "a" * 120},
        {"from_address": "a@b.example\r\nX: y"}, {"unsubscribe_mailbox": "a@b.example>, <c"},
    ],
)  # fmt: skip
def test_an_origin_that_could_break_a_header_or_a_link_is_refused(
    content: Content, origin: Origin, change: dict[str, str]
) -> None:
    with pytest.raises(BadInput, match="can't stand in a"):
        personalise(content, replace(origin, **change))  # type: ignore[arg-type]  # one field of the origin at a time


def test_a_system_mails_own_link_is_checked_before_it_goes_out(
    notice: Letterhead, origin: Origin, person: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailprefs.rendering import layouts  # noqa: PLC0415 - only this test adds a mail

    confirm = layouts.Template(
        "confirm", "Please confirm", "Confirm: {{ confirm_url }}",
        '<mj-button href="{{ confirm_url }}">Confirm</mj-button>',
    )  # fmt: skip
    known = layouts.load
    monkeypatch.setattr(
        layouts, "load", lambda name, tag="en": confirm if name == "confirm" else known(name, tag)
    )
    letterhead = replace(notice, purpose=LegalPurpose.ACCOUNT)
    content = compose_template("confirm", letterhead, links=["confirm_url"])
    make = personalise(content, origin)
    message = render(content, make(person(1, confirm_url="https://a.example/c/abc")))
    assert 'href="https://a.example/c/abc"' in message.html
    assert "Confirm: https://a.example/c/abc" in message.text
    for bad in ("", "javascript:x", 'https://a.example/"><b>', "https://a.example/\r\nx"):
        with pytest.raises(BadInput, match="confirm_url is no address"):
            make(person(1, confirm_url=bad))


NAMES = st.text(max_size=80)


@given(
    first=NAMES,
    city=NAMES,
    plan=st.one_of(st.just("pro"), NAMES),
    mode=st.sampled_from(TrackingMode),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
def test_whatever_people_are_called_their_messages_keep_their_shape(
    content: Content,
    origin: Origin,
    person: Make,
    *,
    first: str,
    city: str,
    plan: str,
    mode: TrackingMode,
) -> None:
    who = person(5, mode, first_name=first, city=city, plan=plan)
    personal = personalise(content, origin)(who)
    message = arrived(content, personal)
    assert message == render(content, personal)
    assert content.mark not in everything(message) and 'src=""' not in message.html
    assert "\n" not in message.subject and "\r" not in message.subject
    allowed = set("html head title meta style body div table tbody tr td h1 p a strong img".split())
    assert set(elements(message.html).tags) <= allowed
    assert all(value.encode() for value in personal.substitutions.values())


def unresolved(words: Iterable[str]) -> list[str]:
    return [one for one in words if "{{" in one or "{%" in one or "%}" in one]


def test_nothing_of_the_merge_language_is_left_in_a_message(
    content: Content, origin: Origin, person: Make
) -> None:
    message = render(content, personalise(content, origin)(person(1)))
    assert unresolved(everything(message).split("\n")) == []
