import json
from dataclasses import replace

import pytest

from mailprefs.errors import BadInput, BadTemplate
from mailprefs.policy import LegalPurpose
from mailprefs.rendering.composing import Source, compose, compose_template
from mailprefs.rendering.content import MOST_BYTES, Content
from mailprefs.rendering.letterhead import Letterhead

OWN_FOOTER = (
    '<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a> '
    '<a href="{{ preferences_url }}">Topics</a> <a href="{{ measurement_url }}">Measuring</a> '
    '<a href="{{ policy_url }}">Privacy</a> {{ postal_address }}</mj-text>'
)


def design(inner: str) -> str:
    return (
        "<mjml><mj-body><mj-section>\n<mj-column>\n"
        f"{inner}</mj-column></mj-section></mj-body></mjml>"
    )


def refusal(source: Source, letterhead: Letterhead) -> str:
    with pytest.raises(BadTemplate) as caught:
        compose(source, letterhead)
    return str(caught.value)


def test_a_newsletter_carries_all_that_promotional_mail_needs_in_both_parts(
    newsletter: Letterhead,
) -> None:
    content = compose(Source("March", "Hello"), newsletter, mark="mpx")
    for part in (content.text, content.html):
        assert part.count("-mpx_URL_unsubscribe_url-") == 1
        assert "-mpx_URL_preferences_url-" in part
        assert "-mpx_URL_preferences_url-#measurement" in part
        assert "https://books.example.com/privacy" in part
        assert "Fernweh Books GmbH · Lindenstraße 12 · 10115 Berlin" in part
        assert "hello@books.example.com" in part
        assert "Reading List" in part
    assert content.html.count("-mpx_PIXEL-") == 1
    assert "PIXEL" not in content.text + content.subject


def test_a_notice_says_why_it_comes_and_has_no_pixel_and_no_unsubscribe_link(
    notice: Letterhead,
) -> None:
    content = compose(Source("Our policy changes", "Hello"), notice, mark="mpx")
    for part in (content.text, content.html):
        words = " ".join(part.split())
        assert "our privacy policy changes, and we promised to tell you" in words
        assert "-mpx_URL_preferences_url-" in part
        assert "https://books.example.com/privacy" in part
        assert "Lindenstraße 12" in part
        assert "nsubscribe" not in part and "PIXEL" not in part and "#measurement" not in part
    assert content.pixel_tag == ""


def test_text_and_html_have_tags_of_their_own_and_the_subject_has_the_texts(
    newsletter: Letterhead,
) -> None:
    source = Source('{{ first_name | "Hi" }}: March', '# Dear {{ first_name | "Hi" }}')
    content = compose(source, newsletter, mark="mpx")
    assert content.subject == "-mpx_first_name_t-: March"
    assert content.text.startswith("Dear -mpx_first_name_t-\n")
    assert ">Dear -mpx_first_name_h-</h1>" in content.html
    assert "_h-" not in content.text and "_t-" not in content.html


def test_two_fallbacks_are_two_tags_that_cannot_be_mistaken_for_each_other(
    newsletter: Letterhead,
) -> None:
    body = '{{ plan | "a" }} {{ plan | "b" }} {{ plan2 | "c" }}'
    content = compose(Source("x", body), newsletter, mark="mpx")
    assert content.text.startswith("-mpx_plan_t- -mpx_2plan_t- -mpx_plan2_t-")
    tags = [slot.text_tag for slot in content.slots]
    assert all(one not in other for one in tags for other in tags if one is not other)


def test_every_content_has_a_mark_of_its_own(newsletter: Letterhead) -> None:
    marks = {compose(Source("x", "y"), newsletter).mark for _ in range(20)}
    assert len(marks) == 20 and all(len(mark) == 12 for mark in marks)


def test_the_preheader_stands_hidden_before_everything_else(newsletter: Letterhead) -> None:
    content = compose(
        Source("x", 'preheader: For {{ city | "you" }}\n\n# Hi'), newsletter, mark="mpx"
    )
    body = content.html[content.html.index("<body") :]
    assert body.index("For -mpx_city_h-") < body.index("Hi</h1>")
    assert "display:none" in body[: body.index("For -mpx_city_h-")]
    assert "For " not in content.text


def test_without_preheader_nothing_hidden_is_left(newsletter: Letterhead) -> None:
    assert "display:none" not in compose(Source("x", "y"), newsletter).html


def test_the_language_is_said_to_screen_readers(newsletter: Letterhead) -> None:
    letterhead = replace(newsletter, language="de")
    assert '<html lang="de"' in compose(Source("x", "y"), letterhead).html
    assert '<html lang="de"' in compose(Source("x", design(""), "mjml"), letterhead).html


def test_a_senders_name_with_markup_in_it_stays_a_name(newsletter: Letterhead) -> None:
    letterhead = replace(newsletter, sender_name='Bo & "Co" <b>', topic_name="A <i> list")
    content = compose(Source("{{ sender_name }}", "From {{ sender_name }}"), letterhead)
    assert content.subject == 'Bo & "Co" <b>'
    assert content.text.startswith('From Bo & "Co" <b>')
    assert "From Bo &amp; &quot;Co&quot; &lt;b&gt;" in content.html
    assert "<i> list" not in content.html


def test_an_own_design_without_a_footer_gets_the_standard_one(newsletter: Letterhead) -> None:
    content = compose(Source("x", design("<mj-text>Own</mj-text>"), "mjml"), newsletter, mark="mpx")
    assert content.html.index("Own") < content.html.index("-mpx_URL_unsubscribe_url-")
    assert content.text.startswith("Own\n") and "-mpx_URL_unsubscribe_url-" in content.text


def test_an_own_footer_is_kept_as_it_is_if_it_is_whole(newsletter: Letterhead) -> None:
    content = compose(Source("x", design(OWN_FOOTER), "mjml"), newsletter, mark="mpx")
    for part in (content.text, content.html):
        assert part.count("-mpx_URL_unsubscribe_url-") == 1
        assert "because you subscribed" not in part
    assert "Unsubscribe (-mpx_URL_unsubscribe_url-)" in content.text


@pytest.mark.parametrize(
    "needed", ["preferences_url", "measurement_url", "policy_url", "postal_address"]
)
def test_an_own_footer_that_lacks_something_is_refused_by_name(
    newsletter: Letterhead, needed: str
) -> None:
    part = OWN_FOOTER.replace(f"{{{{ {needed} }}}}", "https://books.example.com/")
    message = refusal(Source("x", design(part), "mjml"), newsletter)
    assert f"footer lacks {{{{ {needed} }}}}; add what is missing" in message


def test_a_notice_in_an_own_design_needs_its_reason_or_gets_the_standard_footer(
    notice: Letterhead,
) -> None:
    content = compose(Source("x", design("<mj-text>Own</mj-text>"), "mjml"), notice)
    assert "It is not advertising" in content.html
    message = refusal(Source("x", design("<mj-text>{{ reason }}</mj-text>"), "mjml"), notice)
    assert "footer lacks {{ preferences_url }}, {{ policy_url }}, {{ postal_address }}" in message


def test_two_unsubscribe_links_are_refused(newsletter: Letterhead) -> None:
    twice = design(OWN_FOOTER + '<mj-button href="{{ unsubscribe_url }}">Leave</mj-button>')
    assert "2 unsubscribe links" in refusal(Source("x", twice, "mjml"), newsletter)
    message = refusal(Source("x", "[leave]({{ unsubscribe_url }})"), newsletter)
    assert "the layout's footer carries the unsubscribe link" in message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{{ unsubscribe_url }}", "nobody can unsubscribe from administrative messages"),
        ("{{ measurement_url }}", "administrative messages are never measured"),
        ("{{ pixel }}", "administrative messages are never measured"),
        ("{{ coupon }}", "which an administrative message never carries"),
        ("{% promotion %}", "which an administrative message never carries"),
    ],
)
def test_a_notice_refuses_what_belongs_to_promotion(
    notice: Letterhead, body: str, words: str
) -> None:
    assert words in refusal(Source("x", body), notice)
    assert words in refusal(Source("x", design(f"<mj-text>{body}</mj-text>"), "mjml"), notice)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("[x](https://a.example/{{ plan }})", "a part of an address"),
        ("[x]({{ plan }})", "inside an address"),
        ("![{{ plan }}](https://books.example.com/a.png)", "inside an attribute"),
        ("[x]({{ preferences_url }}#top)", "a part of an address"),
    ],
)
def test_a_persons_value_stands_in_running_text_only(
    newsletter: Letterhead, body: str, place: str
) -> None:
    assert place in refusal(Source("x", f"Hi\n\n{body}"), newsletter)
    assert "ine 3 of the body" in refusal(Source("x", f"Hi\n\n{body}"), newsletter)


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        ('<mj-text><p style="color:{{ plan }}">x</p></mj-text>', "inside a style"),
        ('<mj-text><p title="{{ plan }}">x</p></mj-text>', "inside an attribute"),
        ('<mj-button href="{{ preferences_url }}?x">x</mj-button>', "the whole address"),
        ('<mj-text><p title="{{ preferences_url }}">x</p></mj-text>', "the whole address"),
        ("<mj-text><script>x</script></mj-text>", "<script> can't stand in a message"),
        ("<mj-text><form>x</form></mj-text>", "<form> can't stand in a message"),
        ("<mj-text><p onclick='x'>x</p></mj-text>", "would run a program"),
        ("<mj-text><a href='javascript:x'>x</a></mj-text>", "leads to no full address"),
        ("<mj-text><p style='background:url(data:x)'>x</p></mj-text>", "needs a full address"),
        ("<mj-image src='data:image/png;base64,x' />", "needs a full address"),
        ("<mj-image src='https://a.example/t.gif' width='1px' />", "counts opens behind"),
        ("<mj-text>{% if plan %}<b>x{% endif %}</b></mj-text>", "begins in one paragraph"),
        ('<mj-text><a href="{% if plan %}x{% endif %}">x</a></mj-text>', "conditional block can't"),
    ],
)  # fmt: skip
def test_an_own_design_is_checked_where_it_could_do_harm(
    newsletter: Letterhead, inner: str, words: str
) -> None:
    assert words in refusal(Source("x", design(inner), "mjml"), newsletter)


def test_a_style_that_loads_something_is_refused(newsletter: Letterhead) -> None:
    source = design("").replace(
        "<mjml>", "<mjml><mj-head><mj-style>@import url(https://a.example/x)</mj-style></mj-head>"
    )
    assert "can't load or run anything" in refusal(Source("x", source, "mjml"), newsletter)


def test_a_block_of_more_than_a_kilobyte_is_refused_with_a_way_out(newsletter: Letterhead) -> None:
    body = "Hi\n\n{% if plan %}" + "long " * 220 + "{% endif %}"
    message = refusal(Source("x", body), newsletter)
    assert message.startswith("Line 3 of the body: this block is 11")
    assert "at most 1000 are possible" in message and "send two campaigns" in message


@pytest.mark.parametrize(
    "body",
    [
        "**a {% if plan %}b** c{% endif %}",
        "{% if plan %}\n\n* a\n\n{% else %} b {% endif %}",
        "* a {% if plan %}\n* b{% endif %}",
    ],
)
def test_a_block_torn_apart_by_its_surroundings_is_refused(
    newsletter: Letterhead, body: str
) -> None:
    assert "the block begins in one paragraph" in refusal(Source("x", body), newsletter)


def test_values_that_could_weigh_more_than_the_vendor_takes_are_refused(
    newsletter: Letterhead,
) -> None:
    few = compose(Source("x", fields(15)), newsletter)
    assert few.largest_substitutions() <= MOST_BYTES
    message = refusal(Source("x", fields(25)), newsletter)
    assert "bytes a person at most, and the vendor takes 10000" in message


def fields(count: int) -> str:
    return " ".join(f'{{{{ field{number} | "x" }}}}' for number in range(count))


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("", "The subject is empty"),
        ("a\r\nBcc: x", "line break"),
        ("{{ unsubscribe_url }}", "a subject shows no addresses"),
        ("{{ first_name", "Line 1 of the subject"),
    ],
)
def test_a_subject_is_one_line_of_words(newsletter: Letterhead, subject: str, words: str) -> None:
    assert words in refusal(Source(subject, "x"), newsletter)


def test_an_empty_or_huge_body_and_an_unknown_format_are_refused(newsletter: Letterhead) -> None:
    assert "The body is empty" in refusal(Source("x", " \n"), newsletter)
    assert "more than 500000" in refusal(Source("x", "a" * 500_001), newsletter)
    with pytest.raises(BadInput, match="markdown or mjml"):
        compose(Source("x", "y", "html"), newsletter)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"purpose": None}, "legal purpose"),
        ({"sender_name": " "}, "no name"),
        ({"policy_url": ""}, "privacy policy has no address"),
        ({"contact": ""}, "MAILPREFS_CONTACT"),
    ],
)
def test_a_letterhead_with_a_hole_is_refused(
    notice: Letterhead, change: dict[str, str | None], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        compose(Source("x", "y"), replace(notice, **change))  # type: ignore[arg-type]  # one field of the letterhead at a time, on purpose


@pytest.mark.parametrize("purpose", list(LegalPurpose))
def test_every_legal_purpose_has_its_plain_words(notice: Letterhead, purpose: LegalPurpose) -> None:
    content = compose(Source("x", "y"), replace(notice, purpose=purpose))
    assert "You get this message because " in " ".join(content.text.split())


def test_a_content_survives_being_stored_as_json(newsletter: Letterhead) -> None:
    body = '{{ city }} {% if plan == "pro" %}a {{ plan }} b{% else %}c{% endif %}'
    content = compose(Source('{{ first_name | "x" }}', body), newsletter)
    document = json.loads(json.dumps(content.document()))
    again = Content.from_document(
        document, subject=content.subject, text=content.text, html=content.html
    )
    assert again == content


def test_only_known_fields_are_taken_when_they_are_listed(newsletter: Letterhead) -> None:
    compose(Source("x", '{{ plan | "x" }} {{ email | "x" }}'), newsletter, attributes=["plan"])
    with pytest.raises(BadTemplate, match="nobody has a field city"):
        compose(Source("x", "{{ city }}"), newsletter, attributes=["plan"])


def test_a_system_mail_comes_in_the_layout_of_its_class(notice: Letterhead) -> None:
    letterhead = replace(notice, purpose=LegalPurpose.ACCOUNT)
    content = compose_template("fresh_link", letterhead, mark="mpx")
    assert content.subject == "Your link to your e-mail settings"
    assert [one.name for one in content.conditionals] == ["first_name", "first_name"]
    assert "-mpx_URL_preferences_url-" in content.html and "Open my settings" in content.html
    assert "it is about your account with us" in content.html
