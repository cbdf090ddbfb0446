import pytest

from mailprefs.errors import BadTemplate
from mailprefs.rendering import mjml


def document(inner: str, head: str = "") -> str:
    return (
        f'<mjml lang="en">\n{head}<mj-body>\n<mj-section>\n<mj-column>\n{inner}\n</mj-column>'
        "</mj-section></mj-body></mjml>"
    )


def html_of(inner: str, head: str = "") -> str:
    return mjml.to_html(mjml.check(document(inner, head)))


def test_nothing_is_loaded_from_another_host_by_default() -> None:
    html = html_of("<mj-text>x</mj-text><mj-button href='https://a.example/'>y</mj-button>")
    assert "fonts.googleapis.com" not in html and "@import" not in html and "<link" not in html


@pytest.mark.parametrize(
    "words",
    ["<b>a</b> <i>b</i>", "<b>a</b>\n<i>b</i>", "<b>a</b>\r\n   <i>b</i>"],
)
def test_a_space_between_two_words_is_kept(words: str) -> None:
    assert "<b>a</b> <i>b</i>" in html_of(f"<mj-text>{words}</mj-text>")


def test_unusual_characters_in_attributes_arrive_as_they_were_written() -> None:
    html = html_of("<mj-image src='https://a.example/x.png'\n alt='a \"q\" 👩‍🚀 ü\u0301' />")
    assert 'alt="a &quot;q&quot; 👩‍🚀 ü\u0301"' in html


def test_an_authors_comments_do_not_reach_readers() -> None:
    assert "ask Bob" not in html_of("<mj-text>x<!-- ask Bob --></mj-text>")


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        ("<mj-include path='x.mjml' />", "Line 5 of the body: <mj-include>: files"),
        ("<mj-raw>x</mj-raw>", "<mj-raw>: HTML can't be passed through"),
        ("<mj-foo />", "<mj-foo> is nothing that MJML knows"),
        ("<p>x</p>", "<p> is nothing that MJML knows"),
        ("hello", "text can't stand between components"),
        ("<mj-text>x</mj-txt>", "</mj-text> comes first"),
        ("<mj-text>\n<b>x</mj-text>", "Line 6 of the body: </mj-text> closes nothing"),
        ("<mj-text>a < b</mj-text>", "must be written as &lt;"),
        ("<mj-text><mj-text>x</mj-text></mj-text>", "can't stand inside a text"),
        ("<mj-image src=x />", "without quotes"),
        ("<mj-social><mj-social-element href='https://a.example/'>x</mj-social-element></mj-social>",
         "loads its icon from another host"),
        ("<?php ?>", "processing instruction"),
    ],
)  # fmt: skip
def test_what_mjml_would_swallow_or_load_is_refused_with_its_line(inner: str, words: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        html_of(inner)
    assert words in str(caught.value)


def test_remote_fonts_are_refused() -> None:
    with pytest.raises(BadTemplate, match="another host, which then sees who reads"):
        html_of("", "<mj-head><mj-font name='x' href='https://fonts.example/x' /></mj-head>")


def test_a_source_that_is_no_mjml_is_refused() -> None:
    for source in ("hello", "<p>x</p>", "<mjml></mjml>", "<mjml><mj-body>"):
        with pytest.raises(BadTemplate):
            mjml.check(source)


def test_a_block_between_rows_gets_a_row_of_its_own_and_one_around_columns_is_refused() -> None:
    opening, closing = "\ue900", "\ue902"
    row = f"{opening}<mj-text>x</mj-text>{closing}"
    assert f"<mj-raw>{opening}</mj-raw><mj-text>" in mjml.check(document(row))
    around = f"<mjml><mj-body>{opening}<mj-section></mj-section>{closing}</mj-body></mjml>"
    with pytest.raises(BadTemplate, match="inside one column or one text"):
        mjml.check(around)
