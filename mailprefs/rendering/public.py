"""A message as its public page shows it: everybody's words, and nothing that is anybody's own.

Fields are their fallbacks, blocks take the branch of somebody of whom nothing is known, links that
would be signed for a person lead to where one asks for such a link, and there is no pixel.
"""

import re
from html import escape
from typing import Final, NamedTuple

from mailprefs.rendering.branches import tester, writer
from mailprefs.rendering.content import Content
from mailprefs.rendering.person import substitute

_HEAD: Final = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_BODY: Final = re.compile(r"<body\b[^>]*>(.*)</body>", re.IGNORECASE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_UNSEEN: Final = re.compile(r'<div style="display:none[^>]*>[^<]*</div>')
# Beside the message: a press on a link in it opens the whole window, not the frame.
_WHOLE_WINDOW: Final = '<base target="_top">'


class Public(NamedTuple):
    """A message for everybody: its subject as text, and its HTML."""

    subject: str
    html: str

    @property
    def document(self) -> str:
        """Give the HTML for a frame, whose links open in the whole window."""
        return _HEAD.sub(lambda head: head[0] + _WHOLE_WINDOW, self.html, count=1)

    @property
    def body(self) -> str:
        """Give what stands in the HTML's body, without comments and the unseen preheader."""
        found = _BODY.search(self.html)
        body = _COMMENT.sub("", found[1] if found else self.html)
        return _UNSEEN.sub("", body, count=1).strip()


def public(content: Content, *, personal_links: str) -> Public:
    """Give *content* for everybody; its personal links all lead to the address *personal_links*."""
    plain = [personal_links if one.is_link else one.fallback or " " for one in content.slots]
    shown = [escape(value) for value in plain]
    values = {content.pixel_tag: ""} if content.pixel_tag else {}
    for slot, text, html in zip(content.slots, plain, shown, strict=True):
        values |= {tag: text for tag in (slot.text_tag,) if tag}
        values |= {tag: html for tag in (slot.html_tag,) if tag}
    for one in content.conditionals:
        branch = one.then if tester(one)(None) else one.otherwise
        values[one.tag] = writer(branch)(shown if one.is_html else plain)
    return Public(substitute(content.subject, values), substitute(content.html, values))
