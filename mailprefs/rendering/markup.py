"""What finished HTML holds, and what must not be in it whoever wrote it.

``survey`` lists links, pictures and the like for checks and lint; ``check`` refuses what a message
never carries: programs, forms, things that load by themselves, pictures that count opens behind
our back, and a person's value anywhere but in running text.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final, NamedTuple

from mailprefs.errors import BadTemplate
from mailprefs.rendering.merge import BLOCK_MARK, TAG_MARK, Kind, Reading, capital

VOID: Final = frozenset(
    {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_FORBIDDEN: Final = frozenset(
    "applet audio base button embed form frame frameset iframe link math object param script select"
    " source svg textarea track video".split()
)
_SCHEMES = ("https:", "http:", "mailto:", "tel:", "#")
_REMOTE_STYLE = re.compile(r"@import|expression\s*\(|-moz-binding|behavior\s*:", re.IGNORECASE)
_CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)", re.IGNORECASE)
_NOT_SHOWN: Final = (
    "{} needs a full address that begins with https://; pictures inside the message (data:, cid:) "
    "are not shown by many mail clients."
)
_MARK = re.compile("[\ue100-\uf8ff]")
_STYLE = re.compile('style="[^"]*"')
_SIDES = re.compile("(?<=border-)(?:left|right)|(?<=text-align:)(?:left|right)")
_FOUR = re.compile(r"(?P<name>padding|margin):(?P<sides>[^\s;\"]+ [^\s;\"]+ [^\s;\"]+ [^\s;\"]+)")


class Picture(NamedTuple):
    """An image: its address, and its alternative text or None where there is no such attribute."""

    source: str
    alt: str | None


@dataclass(slots=True)
class Survey:
    """What one piece of HTML holds, in reading order."""

    links: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Sentences about what no message may hold."""
    marks: list[tuple[str, str]] = field(default_factory=list)
    """Marks outside running text: what holds them, and all of its value."""

    @property
    def addresses(self) -> list[str]:
        """List all that is linked to or loaded."""
        return [*self.links, *(picture.source for picture in self.pictures)]


def survey(html: str) -> Survey:
    """Walk through *html* once."""
    walker = _Walker()
    walker.feed(html)
    walker.close()
    return walker.found


def check(marked: str, reading: Reading) -> None:
    """Pass the HTML of a message whose tags are still marks, or refuse it.

    :raises BadTemplate: with the first thing that must not be there, and the line of a tag.
    """
    found = survey(marked)
    if found.faults:
        raise BadTemplate(f"The body: {found.faults[0]}")
    for place, value in found.marks:
        _check_marks(place, value, reading)


def is_balanced(html: str) -> bool:
    """Tell whether a fragment closes all that it opens, and nothing more."""
    if html.count("<!--") != html.count("-->"):
        return False
    walker = _Balance()
    walker.feed(html)
    walker.close()
    return walker.balanced and not walker.open


def _check_marks(place: str, value: str, reading: Reading) -> None:
    block = BLOCK_MARK.search(value)
    if block:
        where = reading.block(block[0]).place
        raise BadTemplate(
            f"{capital(where)}: a conditional block can't stand inside {place}; put it into "
            "running text, with the whole link or picture inside it."
        )
    for mark in TAG_MARK.findall(value):
        tag = reading.tag(mark)
        if tag.kind is Kind.LINK and place == "an address" and value == mark:
            continue
        if tag.kind is Kind.LINK:
            raise BadTemplate(
                f"{capital(tag.place)}: {{{{ {tag.name} }}}} must be the whole address of a link, "
                "with nothing before or after it."
            )
        if tag.kind is Kind.FIELD:
            raise BadTemplate(
                f"{capital(tag.place)}: {{{{ {tag.name} }}}} can't stand inside {place}, where a "
                "person's value could change what the message does; put it into running text."
            )


class _Walker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Survey()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        if tag in _FORBIDDEN:
            self.found.faults.append(f"<{tag}> can't stand in a message; mail clients remove it.")
        for name, value in attrs:
            self._attribute(tag, name, value or "")
        given = dict(attrs)
        if tag == "a" and given.get("href") is not None:
            self.found.links.append(given["href"] or "")
        if tag == "img":
            self.found.pictures.append(Picture(given.get("src") or "", given.get("alt")))
            self._tiny(given)
        if tag == "meta" and (given.get("http-equiv") or "").lower() == "refresh":
            self.found.faults.append("a message can't reload itself; take the meta refresh out.")

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._style("a style", data)
        elif data.strip():
            self.found.text.append(data)

    def handle_comment(self, data: str) -> None:
        if _MARK.search(data):
            self.found.marks.append(("a comment", data))

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on"):
            self.found.faults.append(f"<{tag} {name}> would run a program; take it out.")
        elif name == "style":
            self._style("a style", value)
        elif name in {"href", "src", "background", "action", "srcset", "poster"}:
            self._address(tag, name, value)
        elif _MARK.search(value):
            self.found.marks.append(("an attribute", value))

    def _address(self, tag: str, name: str, value: str) -> None:
        if _MARK.search(value):
            self.found.marks.append(("an address" if name == "href" else "an attribute", value))
        elif name == "href" and not value.strip().lower().startswith(_SCHEMES):
            self.found.faults.append(
                f"<{tag}> leads to no full address; begin it with https://, mailto: or tel:."
            )
        elif name != "href" and not value.lower().startswith(("https://", "http://")):
            self.found.faults.append(_NOT_SHOWN.format(f"<{tag} {name}>"))
        if name == "background":
            self.found.pictures.append(Picture(value, ""))

    def _style(self, place: str, css: str) -> None:
        if _MARK.search(css):
            self.found.marks.append((place, css))
        if _REMOTE_STYLE.search(css):
            self.found.faults.append("a style can't load or run anything; take @import out.")
        for url in map(str.strip, _CSS_URL.findall(css)):
            self.found.pictures.append(Picture(url, ""))
            if not url.lower().startswith(("https://", "http://")):
                self.found.faults.append(_NOT_SHOWN.format("A style's url()"))

    def _tiny(self, given: dict[str, str | None]) -> None:
        sizes = [(given.get(side) or "").removesuffix("px") for side in ("width", "height")]
        if any(size in {"0", "1"} for size in sizes):
            self.found.faults.append(
                "a picture one pixel wide or high counts opens behind people's choices; "
                "take it out, opens are measured by the message's own pixel."
            )


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.balanced = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - html.parser's signature
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Leave the balance as it is."""

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.balanced = False


def mirrored(html: str) -> str:
    """Give the HTML of a Markdown body with left and right exchanged in its styles."""
    return _STYLE.sub(lambda found: _SIDES.sub(_other, _FOUR.sub(_turned, found[0])), html)


def _other(found: re.Match[str]) -> str:
    return "right" if found[0] == "left" else "left"


def _turned(found: re.Match[str]) -> str:
    top, right, bottom, left = found["sides"].split()
    return f"{found['name']}:{top} {left} {bottom} {right}"
