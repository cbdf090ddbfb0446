"""MJML into HTML: author's sources are checked first, and nothing remote is ever loaded.

mrml links Google's fonts by default, repairs broken HTML by dropping text, ignores tags that it
doesn't know, and writes unusual characters of attributes as Rust does. So fonts are off, sources
are checked with a line number for every mistake, and what it writes is put right.
"""

import re
from bisect import bisect_right
from html.parser import HTMLParser
from typing import Final

import mrml

from mailprefs.errors import BadTemplate
from mailprefs.rendering.merge import BLOCK_MARK, TAG_MARK

_STRUCTURE = frozenset(
    "mjml mj-head mj-body mj-attributes mj-all mj-class mj-breakpoint mj-wrapper mj-section"
    " mj-group mj-column mj-hero mj-image mj-divider mj-spacer mj-social mj-navbar mj-accordion"
    " mj-accordion-element mj-carousel mj-carousel-image".split()
)
# What stands in these is text and HTML.
_TEXTUAL = frozenset(
    "mj-text mj-button mj-table mj-raw mj-title mj-preview mj-style mj-navbar-link"
    " mj-accordion-title mj-accordion-text mj-social-element".split()
)
_REFUSED: Final = {
    "mj-include": "files can't be included; put the text into this source.",
    "mj-raw": "HTML can't be passed through unchecked; use mj-text, mj-table or mj-image.",
    "mj-font": "a font would be loaded from another host, which then sees who reads; "
    "name fonts that people have in font-family.",
    "mj-html-attributes": "attributes can't be added afterwards; write them where they belong.",
}
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_RAW_ROWS = frozenset({"mj-column", "mj-hero"})
_UNQUOTED = re.compile(r"=\s*[^\s\"'>=]")
_PIECES = re.compile(r"(</?[a-zA-Z][^<>]*>)")
_TAG_NAME = re.compile(r"<([a-z-]+)")
_SINGLE_QUOTED = re.compile(r"='([^']*)'")
_COMMENT = re.compile(r"<!--(?!\[if).*?-->", re.DOTALL)
_BREAK = re.compile(r"[ \t]*\r?\n\s*")
_DEBUG_ESCAPE = re.compile(r"\\u\{([0-9a-f]{2,6})\}")
_EMPTY_PREVIEW = re.compile(r'<div style="display:none;[^"]*"></div>')
_OPTIONS = mrml.RenderOptions(fonts={})
_PARSER = mrml.ParserOptions(include_loader=mrml.noop_loader())


def check(marked: str) -> str:
    """Give an author's MJML ready for ``to_html``, its tags being marks already.

    A block's marks between components get a row of their own, so that whole rows can be
    conditional.

    :raises BadTemplate: naming the line, for what MJML doesn't know or a message may not hold.
    """
    checker = _Checker(marked)
    checker.feed(marked)
    checker.close()
    checker.finish()
    return checker.rewritten()


def to_html(mjml: str) -> str:
    """Give the HTML of an MJML document; marks pass through it.

    :raises BadTemplate: if it can't be read.
    """
    try:
        html = mrml.to_html(_normal(mjml), _PARSER, _OPTIONS).content
    except OSError as error:
        raise BadTemplate(
            f"The body is no MJML that can be read ({error}); close every tag, quote every "
            "attribute, and write &amp; and &lt; for & and <."
        ) from None
    html = _DEBUG_ESCAPE.sub(lambda match: chr(int(match[1], 16)), html)
    return _EMPTY_PREVIEW.sub("", html)


def _normal(mjml: str) -> str:
    """Give the source without comments, and with white space that mrml reads as browsers do.

    It drops a space with a line break in it even between two words, and refuses any other space
    between components.
    """
    out: list[str] = []
    text = ""
    for piece in _PIECES.split(_COMMENT.sub("", mjml)):
        if piece.startswith("<") and piece.endswith(">"):
            name = _TAG_NAME.match(piece)
            if name and name[1] in _TEXTUAL and not text:
                text = f"</{name[1]}>" if not piece.endswith("/>") else ""
            elif piece == text:
                text = ""
            out.append(_normal_tag(piece))
        else:
            out.append(_BREAK.sub(" ", piece) if text else piece.strip())
    return "".join(out)


def _normal_tag(tag: str) -> str:
    """Quote attributes as mrml can write them again."""
    return _SINGLE_QUOTED.sub(
        lambda found: '="' + found[1].replace('"', "&quot;") + '"', _BREAK.sub(" ", tag)
    )


class _Checker(HTMLParser):
    """Follows an MJML source tag by tag, with the line of each."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self._source = source
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", source))]
        self._open: list[tuple[str, int]] = []
        self._rows: list[int] = []
        self._seen: set[str] = set()

    def rewritten(self) -> str:
        out, position = [], 0
        for at in self._rows:
            out += [self._source[position:at], f"<mj-raw>{self._source[at]}</mj-raw>"]
            position = at + 1
        return "".join([*out, self._source[position:]])

    def finish(self) -> None:
        if self._open:
            tag, line = self._open[-1]
            raise _wrong(line, f"<{tag}> is never closed; write </{tag}>.")
        for tag in ("mjml", "mj-body"):
            if tag not in self._seen:
                raise _wrong(1, f"an MJML source needs <{tag}>; see https://documentation.mjml.io.")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._starts(tag, attrs)
        if tag not in _VOID:
            self._open.append((tag, self._line()))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._starts(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            wanted = f"</{self._open[-1][0]}>" if self._open else "nothing more"
            raise _wrong(self._line(), f"</{tag}> closes nothing; {wanted} comes first.")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._textual():
            if "<" in data:
                raise _wrong(self._line_of(data, "<"), "a bare < must be written as &lt;.")
            return
        start = self._offset()
        for match in BLOCK_MARK.finditer(data):
            if not self._open or self._open[-1][0] not in _RAW_ROWS:
                raise _wrong(
                    self._line_of(data, match[0]),
                    "a conditional block must stand inside one column or one text, not around "
                    "columns and sections.",
                )
            self._rows.append(start + match.start())
        left = BLOCK_MARK.sub("", data)
        if left.strip():
            found = TAG_MARK.search(left)
            raise _wrong(
                self._line_of(data, found[0] if found else left.strip()[:1]),
                "text can't stand between components; put it into <mj-text>.",
            )

    def handle_pi(self, data: str) -> None:  # noqa: ARG002 - html.parser's signature
        raise _wrong(self._line(), "a processing instruction can't stand in a message; delete it.")

    def _starts(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _REFUSED:
            raise _wrong(self._line(), f"<{tag}>: {_REFUSED[tag]}")
        self._seen.add(tag)
        attributes_of_others = bool(self._open) and self._open[-1][0] in {
            "mj-attributes",
            "mj-class",
        }
        known = tag in _STRUCTURE or tag in _TEXTUAL
        if not self._textual() and not known and not attributes_of_others:
            raise _wrong(
                self._line(), f"<{tag}> is nothing that MJML knows; put HTML into <mj-text>."
            )
        if self._textual() and known:
            raise _wrong(self._line(), f"<{tag}> can't stand inside a text; close the text first.")
        if _UNQUOTED.search(self._outside_quotes()):
            raise _wrong(self._line(), f"<{tag}> has an attribute without quotes; quote it.")
        if tag == "mj-social-element" and not dict(attrs).get("src"):
            raise _wrong(
                self._line(),
                "<mj-social-element> without src loads its icon from another host; "
                "give it a picture of yours.",
            )

    def _outside_quotes(self) -> str:
        return re.sub(r"\"[^\"]*\"|'[^']*'", '""', self.get_starttag_text() or "")

    def _textual(self) -> bool:
        return any(tag in _TEXTUAL for tag, _ in self._open)

    def _line(self) -> int:
        return self.getpos()[0]

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column

    def _line_of(self, data: str, found: str) -> int:
        return bisect_right(self._line_starts, self._offset() + data.index(found))


def _wrong(line: int, sentence: str) -> BadTemplate:
    return BadTemplate(f"Line {line} of the body: {sentence}")
