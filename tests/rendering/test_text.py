import pytest

from mailprefs.rendering import text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<p>See <a href="https://a.example/x">the list</a>.</p>', "See the list (https://a.example/x)."),
        ('<a href="https://a.example/">https://a.example/</a>', "https://a.example/"),
        ('<a href="mailto:help@example.com">help@example.com</a>', "help@example.com"),
        ('<a href="https://a.example/"><img src="x" alt="Our shop"></a>', "[Our shop] (https://a.example/)"),
        ("<h1>News</h1><p>One</p><h2>Two</h2>", "News\n====\n\nOne\n\nTwo\n---"),
        ("<ul><li>a</li><li>b<ol><li>x</li><li>y</li></ol></li></ul><p>c</p>",
         "* a\n* b\n  1. x\n  2. y\n\nc"),
        ("<p>a</p><blockquote><p>b</p><p>c</p></blockquote>", "a\n\n> b\n>\n> c"),
        ("<pre>a\n  b</pre>", "    a\n      b"),
        ("<p>a<br>b &amp; c&nbsp;d</p>", "a\nb & c\xa0d"),
        ("<table><tr><th>When</th><th>Where</th></tr><tr><td>Noon</td><td>Here</td></tr></table>",
         "When | Where\nNoon | Here"),
        ('<table role="presentation"><tr><td>a</td><td>b</td></tr></table>', "a\nb"),
        ('<style>p{}</style><div style="display:none;x">hidden<p>too</p></div><p>seen</p>', "seen"),
        ('<img src="x" alt=""><p>a</p><hr><p>b</p>', "a\n\n" + "-" * 24 + "\n\nb"),
    ],
)  # fmt: skip
def test_html_reads_well_as_plain_text(html: str, expected: str) -> None:
    assert text.from_html(html) == expected


def test_lines_are_wrapped_but_an_address_stays_whole() -> None:
    address = "https://books.example.com/" + "a" * 90
    lines = text.from_html(f"<p>{'word ' * 40}<a href='{address}'>here</a> end</p>").split("\n")
    assert all(len(line) <= 76 for line in lines if address not in line)
    assert any(address in line for line in lines)


def test_items_and_quotes_keep_their_indent_when_wrapped() -> None:
    lines = text.from_html(f"<ul><li>{'word ' * 30}</li></ul>").split("\n")
    assert lines[0].startswith("* word") and all(line.startswith("  word") for line in lines[1:])
    assert len(lines) == 2
