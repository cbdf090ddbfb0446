"""Markdown into MJML components for the layout, and into plain HTML for the text part.

CommonMark with tables, strikethrough and bare addresses as links. HTML in Markdown is refused.
Three paragraphs become components of their own: a picture alone, a link alone that is bold (a
button), and a rule. Everything else is running text, styled inline, as mail clients want it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import mistune

from mailprefs.errors import BadTemplate
from mailprefs.rendering.merge import BLOCK_MARK, TAG_MARK, is_closing

Token = Mapping[str, Any]

INK, MUTED, ACCENT, LINE = "#1d2733", "#5b6672", "#1b5e9b", "#dfe3e8"
"""Colours of the layouts: running text, side remarks, links and buttons, thin lines."""

_STYLES: Final = {
    "h1": "margin:0 0 16px;font-size:28px;line-height:1.25;font-weight:700;letter-spacing:-0.01em",
    "h2": "margin:32px 0 12px;font-size:21px;line-height:1.3;font-weight:700",
    "h3": "margin:24px 0 8px;font-size:17px;line-height:1.4;font-weight:700",
    "p": "margin:0 0 16px",
    "ul": "margin:0 0 16px;padding:0 0 0 24px",
    "ol": "margin:0 0 16px;padding:0 0 0 24px",
    "li": "margin:0 0 6px",
    "blockquote": f"margin:0 0 16px;padding:2px 0 2px 16px;border-left:3px solid {ACCENT}",
    "a": f"color:{ACCENT};text-decoration:underline",
    "table": "width:100%;margin:0 0 16px;border-collapse:collapse",
    "th": f"padding:8px 12px 8px 0;border-bottom:2px solid {LINE};font-weight:700",
    "td": f"padding:8px 12px 8px 0;border-bottom:1px solid {LINE};vertical-align:top",
    "code": "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:0.9em",
    "pre": (
        f"margin:0 0 16px;padding:12px 16px;border:1px solid {LINE};border-radius:6px;"
        "white-space:pre-wrap;font-family:ui-monospace,Menlo,Consolas,monospace;font-size:14px"
    ),
    "img": "max-width:100%;height:auto;border:0;border-radius:6px",
    "hr": f"margin:0 0 16px;border:0;border-top:1px solid {LINE}",
    "button": (
        f"display:inline-block;padding:13px 26px;border-radius:6px;background:{ACCENT};"
        "color:#ffffff;line-height:1.2;font-weight:600;text-decoration:none"
    ),
}
# The row above has a space of its own.
_TOP_MARGIN = re.compile(r'^<(h[23]) style="margin:\d+px')
_NO_TOP = r'<\1 style="margin:0'
_PLAIN = {"emphasis": "em", "strong": "strong", "strikethrough": "s"}
_SCHEMES = ("https://", "http://", "mailto:", "tel:")
_ALONE = re.compile(rf"^[ \t]*({BLOCK_MARK.pattern})[ \t]*$", re.MULTILINE)
_FRONT = re.compile(
    r"\A(?:---[ \t]*\n)?(?P<lines>(?:[a-z_]+:[^\n]*\n)+)(?:---[ \t]*(?:\n|\Z)|(?=\n)|\Z)"
)
_KEYS = ("preheader", "language")

_parse = mistune.create_markdown(renderer=None, plugins=["table", "strikethrough", "url"])


class Component(NamedTuple):
    """One row of the message: as MJML, and as plain HTML from which the text part is made."""

    mjml: str
    html: str
    is_text: bool = False


class Written(NamedTuple):
    """A Markdown body: MJML components for the layout's column, and plain HTML."""

    mjml: str
    html: str


def split_front_matter(source: str) -> tuple[dict[str, str], str]:
    """Give the ``key: value`` lines at the top, and the body with those lines left blank.

    The lines may stand between ``---``, or be followed by an empty line; the only keys are
    ``preheader`` and ``language``. The body keeps its line numbers, so that errors name the
    author's lines.
    """
    source = source.removeprefix("\ufeff").replace("\r\n", "\n")
    match = _FRONT.match(source)
    fenced = source.startswith("---")
    if match is None or not (fenced or source.split(":", 1)[0] in _KEYS):
        return {}, source
    values: dict[str, str] = {}
    for line in match["lines"].splitlines():
        key, _, value = line.partition(":")
        if key not in _KEYS:
            raise BadTemplate(
                f"The top of the body has the line {key}:, which means nothing; "
                "the only such lines are preheader: followed by a sentence, and language: followed "
                "by a code such as de."
            )
        values[key] = value.strip().strip("\"'")
    return values, "\n" * match[0].count("\n") + source[match.end() :]


def write(marked: str) -> Written:
    """Give the MJML and the plain HTML of a Markdown body whose tags are marks already.

    :raises BadTemplate: for HTML, and for a link or a picture with an unusable address.
    """
    tokens = _parse(_ALONE.sub(r"\n\n\1\n\n", marked))
    if isinstance(tokens, str):  # Only with a renderer.
        raise TypeError("mistune was expected to give tokens")
    components = _Writer(marked).components(tokens)
    return Written(_mjml(components), "\n".join(one.html for one in components))


def _mjml(components: Sequence[Component]) -> str:
    """Put neighbouring running text into one ``mj-text``, as an author would."""
    out: list[str] = []
    running: list[str] = []
    for component in [*components, None]:
        if component is not None and component.is_text:
            running.append(component.mjml)
            continue
        if running:
            out.append(f"<mj-text>{_TOP_MARGIN.sub(_NO_TOP, ''.join(running))}</mj-text>")
            running = []
        if component is not None:
            out.append(component.mjml)
    return "\n".join(out)


class _Writer:
    """Writes tokens as HTML; between the marks of a block everything is running text.

    A block's branch is sent once per person, so there a button is one line of HTML instead of the
    table that MJML makes of it.
    """

    def __init__(self, marked: str) -> None:
        self._marked = marked
        self._in_block = False
        self._writers: dict[str, Callable[[Token], str]] = {
            "text": lambda token: escape(token["raw"], quote=False),
            "blank_line": lambda _: "",
            "softbreak": lambda _: " ",
            "linebreak": lambda _: "<br />",
            "paragraph": self._paragraph,
            "block_text": self._children,
            "heading": self._heading,
            "codespan": lambda token: _element("code", escape(token["raw"], quote=False)),
            "block_code": self._code,
            "block_quote": lambda token: _element("blockquote", _ended(self._children(token))),
            "list": self._list,
            "list_item": lambda token: _element("li", _ended(self._children(token))),
            "link": self._link,
            "image": self._image,
            "thematic_break": lambda _: f'<hr style="{_STYLES["hr"]}" />',
            "table": lambda token: _element("table", self._children(token)),
            "table_head": lambda token: f"<tr>{self._children(token)}</tr>",
            "table_body": self._children,
            "table_row": lambda token: f"<tr>{self._children(token)}</tr>",
            "table_cell": self._cell,
        }

    def components(self, tokens: Sequence[Token]) -> list[Component]:
        return [self._component(token) for token in tokens if token["type"] != "blank_line"]

    def _component(self, token: Token) -> Component:
        mark = _lone_mark(token)
        if mark:
            self._in_block = not is_closing(mark)
            return Component(mark, mark, is_text=True)
        if not self._in_block:
            special = self._rule(token) or self._picture(token) or self._button(token)
            if special:
                return special
        html = self._write(token)
        return Component(html, html, is_text=True)

    def _rule(self, token: Token) -> Component | None:
        if token["type"] != "thematic_break":
            return None
        return Component("<mj-divider />", "<hr />")

    def _picture(self, token: Token) -> Component | None:
        inner, href = _only(token), ""
        if inner is not None and inner["type"] == "link":
            href, inner = self._address(inner), _only(inner)
        if inner is None or inner["type"] != "image":
            return None
        source, alt = self._address(inner), _alt(inner)
        link = f' href="{href}"' if href else ""
        picture = f'<img src="{source}"{alt} />'
        html = f'<a href="{href}">{picture}</a>' if href else picture
        return Component(f'<mj-image src="{source}"{alt}{link} />', f"<p>{html}</p>")

    def _button(self, token: Token) -> Component | None:
        link = _bold_link(token)
        if link is None:
            return None
        href, label = self._address(link), self._children(link)
        return Component(
            f'<mj-button href="{href}">{label}</mj-button>',
            f'<p><a href="{href}">{label}</a></p>',
        )

    def _paragraph(self, token: Token) -> str:
        link = _bold_link(token) if self._in_block else None
        if link is not None:
            href, label = self._address(link), self._children(link)
            return _element("p", f'<a href="{href}" style="{_STYLES["button"]}">{label}</a>')
        return _element("p", self._children(token))

    def _heading(self, token: Token) -> str:
        return _element(f"h{min(token['attrs']['level'], 3)}", self._children(token))

    def _code(self, token: Token) -> str:
        # &#10; because MJML reads a line break in a source as a space.
        return _element("pre", escape(token["raw"].strip("\n"), quote=False).replace("\n", "&#10;"))

    def _list(self, token: Token) -> str:
        return _element("ol" if token["attrs"]["ordered"] else "ul", self._children(token))

    def _cell(self, token: Token) -> str:
        attrs = token["attrs"]
        tag, style = ("th", _STYLES["th"]) if attrs["head"] else ("td", _STYLES["td"])
        align = attrs["align"] or "left"
        if align == "right":
            style = style.replace("padding:8px 12px 8px 0", "padding:8px 0 8px 12px")
        return f'<{tag} style="{style};text-align:{align}">{self._children(token)}</{tag}>'

    def _link(self, token: Token) -> str:
        href = self._address(token)
        return f'<a href="{href}" style="{_STYLES["a"]}">{self._children(token)}</a>'

    def _image(self, token: Token) -> str:
        return f'<img src="{self._address(token)}"{_alt(token)} style="{_STYLES["img"]}" />'

    def _children(self, token: Token) -> str:
        return "".join(map(self._write, token["children"]))

    def _write(self, token: Token) -> str:
        kind = token["type"]
        if kind in _PLAIN:
            return f"<{_PLAIN[kind]}>{self._children(token)}</{_PLAIN[kind]}>"
        writer = self._writers.get(kind)
        if writer is None:
            raise self._wrong(
                str(token.get("raw", "")).strip(),
                "HTML can't stand in a Markdown body; write Markdown, or the whole body as MJML.",
            )
        return writer(token)

    def _address(self, token: Token) -> str:
        """Give a link's address ready for an attribute, or refuse it."""
        url = unquote(token["attrs"]["url"]) if "%EE" in token["attrs"]["url"] else ""
        if TAG_MARK.fullmatch(url):
            return url
        if TAG_MARK.search(url) or BLOCK_MARK.search(url):
            raise self._wrong(
                url[:1],
                "a tag can't be a part of an address, as a person's value could lead elsewhere; "
                "write the address out.",
            )
        url = token["attrs"]["url"]
        if not url.lower().startswith(_SCHEMES) or any(mark in url for mark in "\"'<> \n"):
            raise self._wrong(
                url,
                "a link or a picture needs a full address that begins with https://, mailto: "
                "or tel:.",
            )
        return escape(url)

    def _wrong(self, found: str, sentence: str) -> BadTemplate:
        """Name the line on which *found* stands, where it can be found again."""
        at = self._marked.find(found.split("\n", 1)[0]) if found else -1
        if at < 0:
            return BadTemplate(f"The body: {sentence}")
        return BadTemplate(f"Line {self._marked.count(chr(10), 0, at) + 1} of the body: {sentence}")


def _element(tag: str, inner: str) -> str:
    return f'<{tag} style="{_STYLES[tag]}">{inner}</{tag}>'


def _ended(inner: str) -> str:
    """Take the space below the last paragraph of a quote or an item off."""
    if not inner.endswith("</p>"):
        return inner
    before, opening, last = inner.rpartition(f'<p style="{_STYLES["p"]}">')
    return f'{before}<p style="margin:0">{last}' if opening else inner


def _lone_mark(token: Token) -> str:
    """Give the block mark that is all of a paragraph, or an empty text."""
    inner = _only(token)
    raw = str(inner["raw"]) if inner is not None and inner["type"] == "text" else ""
    return raw if BLOCK_MARK.fullmatch(raw) else ""


def _only(token: Token) -> Token | None:
    """Give the only child of a paragraph, a link or a strong text, else None."""
    children: Sequence[Token] = token.get("children") or []
    if token["type"] in {"paragraph", "link", "strong"} and len(children) == 1:
        return children[0]
    return None


def _bold_link(token: Token) -> Token | None:
    strong = _only(token) if token["type"] == "paragraph" else None
    link = _only(strong) if strong is not None and strong["type"] == "strong" else None
    return link if link is not None and link["type"] == "link" else None


def _alt(image: Token) -> str:
    """Give the alt attribute, or none: an author who wrote nothing is asked for it by lint."""
    words = escape(_text(image["children"]).strip())
    return f' alt="{words}"' if words else ""


def _text(tokens: Sequence[Token]) -> str:
    """Give the words of inline tokens, for an attribute."""
    return "".join(
        str(token["raw"]) if "raw" in token else _text(token.get("children", ()))
        for token in tokens
    )
