"""HTML into the text part: readable, wrapped, and with every link's address in it."""

import re
import textwrap
from html.parser import HTMLParser
from typing import Final

WIDTH: Final = 76
"""Characters a line; an address is never broken."""

_SKIPPED = frozenset({"head", "style", "script", "title"})
_BLOCKS = frozenset(
    "address article blockquote body dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr html li"
    " main ol p pre section table tbody td th thead tr ul".split()
)
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "wbr"})
_SPACE = re.compile(r"[ \t\r\n\f]+")


def from_html(html: str) -> str:
    """Give the text of *html*: ``text (https://...)`` for links, ``[alt]`` for pictures."""
    writer = _Writer()
    writer.feed(html)
    writer.close()
    return writer.result()


def wrap(text: str, first: str = "", rest: str = "") -> str:
    """Give *text* in lines of WIDTH, each behind its prefix; words and addresses stay whole."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


class _Writer(HTMLParser):
    """Walks through HTML once and writes paragraphs as they end."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._inline: list[str] = []
        self._gap = False
        self._hidden: list[str] = []
        self._prefixes: list[tuple[str, str]] = []
        self._counts: list[int | None] = []
        self._links: list[tuple[str, int]] = []
        self._tables: list[bool] = []
        self._in_pre = False

    def result(self) -> str:
        self._flush()
        return "\n".join(self._lines).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._hidden or tag in _SKIPPED or "display:none" in (given.get("style") or ""):
            if tag not in _VOID:
                self._hidden.append(tag)
        elif tag in {"td", "th"} and self._tables and self._tables[-1]:
            self._cell()
        elif tag in _BLOCKS:
            if self._flush() and tag not in {"ul", "ol"}:
                self._gap = True
            self._begin(tag, given)
        else:
            self._inside(tag, given)

    def _inside(self, tag: str, given: dict[str, str | None]) -> None:
        """Take note of a tag within a paragraph."""
        if tag == "a":
            self._links.append((given.get("href") or "", len(self._inline)))
        elif tag == "br":
            self._inline.append("\n")
        elif tag == "img" and given.get("alt"):
            self._inline.append(f"[{given['alt']}]")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                del self._hidden[self._hidden.index(tag) :]
            return
        if tag in {"td", "th"} and self._tables and self._tables[-1]:
            return
        if tag in _BLOCKS:
            self._end(tag)
        elif tag == "a" and self._links:
            self._link(*self._links.pop())

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._inline.append(data if self._in_pre else _SPACE.sub(" ", data))

    def _cell(self) -> None:
        """Part the cells of one row of a table that shows figures, not of one that lays out."""
        if "".join(self._inline).strip():
            self._inline.append(" | ")

    def _begin(self, tag: str, given: dict[str, str | None]) -> None:
        if tag == "table":
            self._tables.append(given.get("role") != "presentation")
        elif tag == "blockquote":
            self._open_gap()
            self._prefixes.append(("> ", "> "))
        elif tag in {"ul", "ol"}:
            self._counts.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._open_gap()
            self._prefixes.append(self._bullet())
        elif tag == "hr":
            self._paragraph("-" * 24)
            self._gap = True
        elif tag == "pre":
            self._in_pre = True

    def _end(self, tag: str) -> None:
        if tag == "pre":
            self._verbatim()
        elif tag in {"h1", "h2"}:
            self._heading("=" if tag == "h1" else "-")
        else:
            self._flush()
        if tag == "table" and self._tables:
            self._tables.pop()
        elif tag in {"blockquote", "li"} and self._prefixes:
            self._prefixes.pop()
        elif tag in {"ul", "ol"} and self._counts:
            self._counts.pop()
        # Items and rows stand close together; everything else gets a blank line after it.
        self._gap = self._gap or tag not in {"li", "tr", "td", "th", "tbody", "thead"}
        if tag in {"ul", "ol"} and self._counts:
            self._gap = False

    def _bullet(self) -> tuple[str, str]:
        if not self._counts or self._counts[-1] is None:
            return "* ", "  "
        bullet = f"{self._counts[-1]}. "
        self._counts[-1] += 1
        return bullet, " " * len(bullet)

    def _link(self, href: str, start: int) -> None:
        label = "".join(self._inline[start:]).strip()
        shown = href.removeprefix("mailto:").removeprefix("tel:")
        if not shown or shown.startswith("#") or label in {href, shown}:
            return
        self._inline.append(f" ({shown})" if label else shown)

    def _heading(self, line: str) -> None:
        text = _SPACE.sub(" ", "".join(self._inline)).strip()
        self._inline.clear()
        if text:
            self._paragraph(text)
            self._lines.append(self._prefix()[1] + line * min(len(text), WIDTH))

    def _verbatim(self) -> None:
        text = "".join(self._inline).strip("\n")
        self._inline.clear()
        self._in_pre = False
        self._open_gap()
        self._lines += [f"{self._prefix()[1]}    {line}".rstrip() for line in text.split("\n")]

    def _flush(self) -> bool:
        """End the paragraph that is being gathered, and tell whether it held anything."""
        if self._in_pre:
            return False
        text = "".join(self._inline)
        self._inline.clear()
        lines = [_SPACE.sub(" ", line).strip() for line in text.split("\n")]
        if any(lines):
            self._paragraph(*lines)
        return any(lines)

    def _paragraph(self, *lines: str) -> None:
        self._open_gap()
        for line in lines:
            first, rest = self._prefix()
            self._lines.append(wrap(line, first, rest) if line else rest.rstrip())

    def _open_gap(self) -> None:
        if self._gap and self._lines:
            # Within a list item or a quote the blank line belongs to it.
            self._lines.append("".join(rest for _, rest in self._prefixes).rstrip())
        self._gap = False

    def _prefix(self) -> tuple[str, str]:
        """Give the prefixes of the first and the further lines; a bullet is used up by this."""
        first = "".join(first for first, _ in self._prefixes)
        rest = "".join(rest for _, rest in self._prefixes)
        self._prefixes = [(rest, rest) for _, rest in self._prefixes]
        return first, rest
