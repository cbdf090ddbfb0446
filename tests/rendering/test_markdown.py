import pytest

from mailprefs.errors import BadTemplate
from mailprefs.rendering import markdown


def test_running_text_is_one_component_and_pictures_buttons_and_rules_are_their_own() -> None:
    written = markdown.write(
        "# News\n\nHello\n\n![A shelf](https://a.example/s.png)\n\n"
        "**[Read on](https://a.example/x?a=1&b=2)**\n\n---\n\nBye"
    )
    rows = written.mjml.split("\n")
    assert [row.split(" ")[0].split(">")[0] for row in rows] == [
        "<mj-text", "<mj-image", "<mj-button", "<mj-divider", "<mj-text",
    ]  # fmt: skip
    assert rows[1] == '<mj-image src="https://a.example/s.png" alt="A shelf" />'
    assert rows[2] == '<mj-button href="https://a.example/x?a=1&amp;b=2">Read on</mj-button>'


def test_a_linked_picture_alone_is_a_linked_image() -> None:
    written = markdown.write("[![A shelf](https://a.example/s.png)](https://a.example/)")
    assert written.mjml == (
        '<mj-image src="https://a.example/s.png" alt="A shelf" href="https://a.example/" />'
    )


def test_what_a_person_types_is_escaped_not_markup() -> None:
    html = markdown.write('5 < 6 & "7" `<b>`').html
    assert "5 &lt; 6 &amp; " in html and "&lt;b&gt;" in html and "<b>" not in html


@pytest.mark.parametrize("source", ["<b>x</b>", "a <br> b", "<div>\nx\n</div>", "<!-- note -->"])
def test_html_is_refused_with_its_line(source: str) -> None:
    with pytest.raises(BadTemplate, match=r"Line 3 of the body: HTML can't stand in a Markdown"):
        markdown.write(f"first\n\n{source}")


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html;base64,x", "//evil.example", "/path", "file:///x", "x"],
)
def test_a_link_needs_a_full_address_of_a_harmless_kind(address: str) -> None:
    for source in (f"[x]({address})", f"![x]({address})", f"**[x]({address})**"):
        with pytest.raises(BadTemplate, match="needs a full address"):
            markdown.write(source)


def test_tables_lists_quotes_and_code_are_written() -> None:
    html = markdown.write(
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n1. x\n\n> q\n\n~~s~~\n\n    c\n    d"
    ).html
    for part in ("<table", "<th", "text-align:right", "<ol", "<blockquote", "<s>s</s>", "c&#10;d"):
        assert part in html


@pytest.mark.parametrize(
    "source",
    ["preheader: Three novels\n\n# Hi", "---\npreheader: Three novels\n---\n# Hi",
     "\ufeffpreheader: Three novels\r\n\r\n# Hi"],
)  # fmt: skip
def test_front_matter_gives_the_preheader_and_keeps_line_numbers(source: str) -> None:
    values, body = markdown.split_front_matter(source)
    assert values == {"preheader": "Three novels"}
    assert body.strip() == "# Hi"
    assert body.index("#") == body.count("\n", 0, body.index("#"))


def test_a_body_that_merely_begins_with_a_colon_is_no_front_matter() -> None:
    assert markdown.split_front_matter("dear: all\n\nx") == ({}, "dear: all\n\nx")
    assert markdown.split_front_matter("---\n\nx") == ({}, "---\n\nx")


def test_an_unknown_front_matter_line_is_refused() -> None:
    with pytest.raises(BadTemplate, match="subject:, which means nothing"):
        markdown.split_front_matter("---\nsubject: x\n---\ny")
