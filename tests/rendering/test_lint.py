from dataclasses import replace

import pytest

from mailprefs.rendering.composing import Source, compose
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.rendering.lint import Finding, Severity, findings

BASE = "https://mail.books.example.com"


def codes(
    source: Source, letterhead: Letterhead, *, base_url: str = BASE, production: bool = True
) -> dict[str, Finding]:
    content = compose(source, letterhead)
    return {one.code: one for one in findings(content, base_url=base_url, production=production)}


def mjml(inner: str) -> Source:
    return Source(
        "x",
        f"<mjml><mj-body><mj-section><mj-column>{inner}</mj-column></mj-section></mj-body></mjml>",
        "mjml",
    )


def test_a_good_newsletter_and_a_good_notice_give_no_findings(
    newsletter: Letterhead, notice: Letterhead
) -> None:
    body = (
        'Hello {{ first_name | "there" }}\n\n![Books](https://images.books.example.com/a.png)\n\n'
        "**[Read](https://books.example.com/march)**"
    )
    assert codes(Source("March", body), newsletter) == {}
    assert (
        codes(Source("Our privacy policy changes", "We deal with your data as before."), notice)
        == {}
    )


def test_a_field_without_fallback_is_named_so_that_people_can_be_counted(
    newsletter: Letterhead,
) -> None:
    content = compose(Source("{{ first_name }}", '{{ plan }} {{ city | "x" }}'), newsletter)
    found = findings(content, base_url=BASE, production=True)
    assert [(one.code, one.field, one.severity) for one in found] == [
        ("field_without_fallback", "first_name", Severity.BLOCK),
        ("field_without_fallback", "plan", Severity.BLOCK),
    ]


@pytest.mark.parametrize(
    "tag",
    ["*|FNAME|*", "%%name%%", "%recipient.name%", "{first_name}", "${name}", "[[name]]", "}}"],
)
def test_another_systems_tags_are_found_in_subject_and_body(
    newsletter: Letterhead, tag: str
) -> None:
    for source in (Source(f"Hi {tag}", "x"), Source("x", f"Hi\n\n* {tag}")):
        finding = codes(source, newsletter)["unresolved_tag"]
        assert tag.strip("*") in finding.sentence and finding.severity is Severity.BLOCK
    inside = Source("x", "{% if plan %}\n" + tag + "\n{% endif %}")
    assert "unresolved_tag" in codes(inside, newsletter)


def test_a_missing_postal_address_stops_both_classes(
    newsletter: Letterhead, notice: Letterhead
) -> None:
    for letterhead in (newsletter, notice):
        finding = codes(Source("x", "y"), replace(letterhead, postal_address=" \n"))
        assert finding["missing_postal_address"].severity is Severity.BLOCK


def test_a_link_that_only_some_people_see_counts_as_missing(newsletter: Letterhead) -> None:
    footer = (
        '<mj-text><a href="{{ unsubscribe_url }}">Leave</a> {% if plan %}'
        '<a href="{{ preferences_url }}">T</a> <a href="{{ measurement_url }}">M</a>{% endif %}'
        ' <a href="{{ policy_url }}">P</a> {{ postal_address }}</mj-text>'
    )
    found = codes(mjml(footer), newsletter)
    assert found["missing_preferences"].severity is Severity.BLOCK


def test_a_picture_without_alternative_text_is_found(newsletter: Letterhead) -> None:
    for source in (
        Source("x", "![](https://books.example.com/a.png)"),
        Source("x", "Look: ![](https://books.example.com/a.png) here"),
        mjml('<mj-image src="https://books.example.com/a.png" />'),
    ):
        assert "picture_without_alt" in codes(source, newsletter)
    decorative = mjml('<mj-image alt="" src="https://books.example.com/a.png" />')
    assert "picture_without_alt" not in codes(decorative, newsletter)


def test_a_picture_on_somebody_elses_host_is_found_also_as_a_background(
    newsletter: Letterhead,
) -> None:
    for source in (
        Source("x", "![A](https://tracker.example.net/a.png)"),
        mjml(
            "<mj-text><p style=\"background:url('https://tracker.example.net/a.png')\">x</p></mj-text>"
        ),
    ):
        assert "tracker.example.net" in codes(source, newsletter)["foreign_picture"].sentence


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://books.example.com/", "insecure_address"),
        ("http://127.0.0.1:8400/x", "local_address"),
        ("https://localhost/x", "local_address"),
        ("https://intranet/x", "local_address"),
        ("https://10.0.0.7/x", "local_address"),
        ("https://shop.local/x", "local_address"),
    ],
)
def test_addresses_that_readers_cannot_or_should_not_follow_stop_production_only(
    newsletter: Letterhead, address: str, code: str
) -> None:
    source = Source("x", f"[x]({address})")
    assert set(codes(source, newsletter)) == {code}
    assert codes(source, newsletter, production=False) == {}
    base = address.rstrip("/x")
    assert set(codes(Source("x", "y"), newsletter, base_url=base)) == {"base_url"}


@pytest.mark.parametrize(
    ("size", "code"), [(70_000, None), (85_000, "large"), (95_000, "too_large")]
)
def test_the_html_of_the_worst_person_is_weighed(
    newsletter: Letterhead, size: int, code: str | None
) -> None:
    found = codes(Source("x", "word " * (size // 5)), newsletter)
    assert list(found) == ([code] if code else [])


def test_a_blocks_larger_branch_counts_towards_the_size(newsletter: Letterhead) -> None:
    plain = compose(Source("x", "y"), newsletter).largest_html()
    block = compose(Source("x", "y {% if plan %}" + "z" * 900 + "{% endif %}"), newsletter)
    assert block.largest_html() > plain + 900


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (Source("Spring sale and new terms", "Our terms change."), "promotion_in_subject"),
        (Source("20 % off", "Our terms change."), "promotion_in_subject"),
        (Source("New terms", "Use the coupon SPRING. Our terms change."), "promotion_in_body"),
        (Source("New terms", "Only € 5 a month. Our terms change."), "promotion_in_body"),
        (Source("New terms", "{% if plan %}Buy now!{% endif %} Our terms"), "promotion_in_body"),
        (Source("New terms", "[x](https://books.example.com/?a=1&utm_source=n)"),
         "campaign_tagged_link"),
    ],
)  # fmt: skip
def test_promotion_in_a_notice_is_pointed_out_and_in_a_newsletter_it_is_not(
    notice: Letterhead, newsletter: Letterhead, source: Source, code: str
) -> None:
    found = codes(source, notice)
    assert set(found) == {code} and found[code].severity is Severity.WARN
    assert codes(source, newsletter) == {}


def test_the_gravest_findings_come_first(notice: Letterhead) -> None:
    content = compose(Source("Sale", "{{ plan }}"), notice)
    found = findings(content, base_url=BASE, production=True)
    assert [one.severity for one in found] == [Severity.BLOCK, Severity.WARN]
